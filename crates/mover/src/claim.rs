//! Taking charge of an extraction when a conductor starts.

use crate::{
    database::session::Session, error::MoverError, extraction::Mover, layout::SCHEMA,
    objects::owner,
};
use protocol::{
    ConductorId, Side,
    owner::{Claim, OwnerRow},
};

impl Mover {
    /// Claims one side's row, if there is one: from here on every transaction
    /// of an earlier conductor on that side is refused. Repeating it makes a
    /// claim of one's own invalid as well.
    pub async fn claim_row(
        &self,
        side: Side,
        conductor: ConductorId,
    ) -> Result<Option<(OwnerRow, Claim)>, MoverError> {
        let session = Session::open(side, self.database(side)).await?;
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
