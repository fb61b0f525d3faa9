//! Taking charge of an extraction when a conductor starts: first its place on a
//! side ([`Presence`]), which no other conductor may have, then the row.

mod presence;

pub use presence::Presence;

use crate::{
    database::session::Session,
    error::MoverError,
    extraction::Mover,
    layout::SCHEMA,
    objects::{owner, refusals, schema, sessions},
};
use protocol::{
    ConductorId, Side,
    owner::{Claim, OwnerRow},
};
use std::time::Duration;
use tokio::time::timeout;

/// Claims take milliseconds; one that takes longer is kept waiting.
const USUAL_CLAIM: Duration = Duration::from_secs(1);

impl Mover {
    /// One side's row, if there is one. Changes nothing.
    pub async fn read_row(&self, side: Side) -> Result<Option<OwnerRow>, MoverError> {
        let session = Session::open(side, self.database(side)).await?;
        owner::read(&*session, side, &self.extraction.name).await
    }

    /// Claims one side's row, if there is one: from here on every transaction
    /// of an earlier conductor on that side is refused, by the row and so by the
    /// fences. What it still has at work there is ended before, and waited for:
    /// it may hold an origin or a lock over a connection that is dead. Repeating
    /// it makes a claim of one's own invalid as well. A schema that an earlier
    /// version made is brought up to date first.
    pub async fn claim_row(
        &self,
        side: Side,
        conductor: ConductorId,
    ) -> Result<Option<(OwnerRow, Claim)>, MoverError> {
        let mut session = Session::open(side, self.database(side)).await?;
        sessions::end_earlier(&session, &self.layout()).await?;
        if owner::read(&*session, side, &self.extraction.name)
            .await?
            .is_none()
        {
            return Ok(None);
        }
        schema::bring_up_to_date(&mut session).await?;
        refusals::make_missing(&session, &self.layout()).await;
        self.claim_past_blockers(&session, conductor).await
    }

    /// An earlier conductor's transaction may have the row locked, and wait for a
    /// statement that never comes.
    async fn claim_past_blockers(
        &self,
        session: &Session,
        conductor: ConductorId,
    ) -> Result<Option<(OwnerRow, Claim)>, MoverError> {
        let side = session.side();
        let pid: i32 = session
            .query_one("select pg_backend_pid()", &[])
            .await
            .map_err(MoverError::sql(side, "claiming the ownership row"))?
            .get(0);
        let claiming = owner::claim(&**session, side, &self.extraction.name, conductor);
        tokio::pin!(claiming);
        if let Ok(claimed) = timeout(USUAL_CLAIM, &mut claiming).await {
            return claimed;
        }
        let helper = Session::open(side, self.database(side)).await?;
        sessions::end_blockers(&helper, pid).await?;
        claiming.await
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
