//! Taking charge of an extraction when a conductor starts.

use crate::{
    database::session::Session,
    error::MoverError,
    extraction::Mover,
    layout::SCHEMA,
    objects::{owner, schema},
};
use protocol::{
    ConductorId, Side,
    owner::{Claim, OwnerRow},
};

impl Mover {
    /// Claims one side's row, if there is one: from here on every transaction
    /// of an earlier conductor on that side is refused, by the row and so by the
    /// fences. Repeating it makes a claim of one's own invalid as well. A schema
    /// that an earlier version made is brought up to date first.
    pub async fn claim_row(
        &self,
        side: Side,
        conductor: ConductorId,
    ) -> Result<Option<(OwnerRow, Claim)>, MoverError> {
        let mut session = Session::open(side, self.database(side)).await?;
        if owner::read(&*session, side, &self.extraction.name)
            .await?
            .is_none()
        {
            return Ok(None);
        }
        schema::bring_up_to_date(&mut session).await?;
        owner::claim(&*session, side, &self.extraction.name, conductor).await
    }

    /// Whether the first copy is complete: the forward stream's row says so
    /// from that moment on. Asked only where the service's row exists.
    pub async fn is_copied(&self) -> Result<bool, MoverError> {
        let service = Session::open(Side::Service, self.database(Side::Service)).await?;
        let select =
            format!("select state <> 'copying' from {SCHEMA}.stream where extraction = $1");
        let row = service
            .query_opt(&select, &[&self.extraction.name.as_str()])
            .await
            .map_err(MoverError::sql(Side::Service, "reading the stream's row"))?;
        Ok(row.is_some_and(|row| row.get(0)))
    }
}
