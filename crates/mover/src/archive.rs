//! An archive of a side's tables, by `pg_dump`, and the trial that it can be restored.
//!
//! Both tools are PostgreSQL's own. Where this machine has none that fits the server,
//! that is said, and nothing is done.

mod tools;
mod trial;

pub use tools::{ArchiveError, Tools};
pub use trial::RestoredTable;

use crate::{database::session::Session, extraction::Mover};
use plan::TableWrites;
use protocol::Side;
use std::path::Path;

impl Mover {
    /// The tools that fit the server of a side.
    pub async fn archive_tools(&self, side: Side) -> Result<Tools, ArchiveError> {
        let session = Session::open(side, self.database(side)).await?;
        Tools::find(&session).await
    }

    /// Writes the monolith's tables that the service alone has now into a file, as they are
    /// at one moment. Replaces a file that is there.
    pub async fn archive_old_tables(&self, tools: &Tools, file: &Path) -> Result<(), ArchiveError> {
        let tables: Vec<_> = self
            .tables_written(Side::Monolith, TableWrites::Owner)
            .cloned()
            .collect();
        let database = self.database(Side::Monolith);
        tools.dump(database, &tables, None, file).await
    }
}
