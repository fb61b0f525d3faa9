//! Whom a fence waits for, seen from beside it.

use crate::{
    database::{holders, session::Session, sql},
    error::MoverError,
    extraction::Mover,
};
use plan::TableWrites;
use protocol::Side;
use std::{convert::Infallible, time::Duration};

/// How often it is looked: whoever is waited for more briefly delays nobody.
const LOOK: Duration = Duration::from_millis(20);

impl Mover {
    /// Notes who keeps a fence of ours from its lock, again and again until it is dropped.
    pub async fn note_waited_for(
        &self,
        side: Side,
        mut note: impl FnMut(String) + Send,
    ) -> Result<Infallible, MoverError> {
        let session = Session::open(side, self.database(side)).await?;
        let tables: Vec<String> = self
            .tables_written(side, TableWrites::Owner)
            .map(sql::table)
            .collect();
        loop {
            let found = holders::of_locking(&session, &tables)
                .await
                .map_err(MoverError::sql(side, "looking whom the lock waits for"))?;
            found.into_iter().for_each(&mut note);
            tokio::time::sleep(LOOK).await;
        }
    }
}
