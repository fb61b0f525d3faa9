//! Rows that stay, after rows of the moved tables were written otherwise than by
//! the stream.

use super::{boundary_keys::CrossBoundaryKeys, tables::Tables};
use crate::{database::session::Session, error::MoverError, extraction::Mover};
use protocol::{Side, stream::Direction};

/// Fails where rows that stay refer to rows of the moved tables that are not
/// there, as the target's open transaction sees it.
pub(crate) async fn check(
    mover: &Mover,
    direction: Direction,
    target: &Session,
) -> Result<(), MoverError> {
    if target.side() != Side::Monolith {
        return Ok(());
    }
    let side = direction.source();
    let source = &Session::open(side, mover.database(side)).await?;
    let extraction = mover.extraction();
    let mappings = &extraction.data.tables;
    let tables = Tables::load(direction, &extraction.name, mappings, source, target).await?;
    let references = extraction.data.references.keys();
    let mut keys = CrossBoundaryKeys::load(references, &tables, target).await?;
    for table in 0..mappings.len() {
        keys.truncated(table);
    }
    keys.check(&tables, target).await
}
