//! Ends a switched extraction for good: the service keeps the data, and nothing
//! of ours is left in either database.
//!
//! Refused unless both rows, where they are there, name the service. Then both
//! rows are claimed by a new conductor's id, both slots are dropped, the
//! service's side is cleared, and then the monolith's ([`crate::objects::removal`]).
//! The monolith's row goes last: as long as anything is left, it says that the
//! service owns, so that nobody takes the extraction for one that never began.
//!
//! Killed anywhere, a repeat goes on.

use crate::{
    error::MoverError,
    extraction::Mover,
    objects::{
        removal::{Ending, Removal},
        sessions, slots,
    },
};
use protocol::{ConductorId, InstanceId, stream::Direction};
use uuid::Uuid;

impl Mover {
    /// Ends an extraction that has switched. From the first slot that is dropped
    /// there is no way back. With `whose`, only that instance is ended: another one is
    /// refused. May be repeated.
    pub async fn finish(&self, whose: Option<InstanceId>) -> Result<(), MoverError> {
        let (mut monolith, mut service) = sessions::both_at_work(self).await?;
        let removal = Removal::new(self, Ending::Finish, whose);
        // Both are asked before either is changed.
        for session in [&monolith, &service] {
            removal.allowed(session).await?;
        }
        let conductor = ConductorId(Uuid::new_v4());
        let old = removal.take_charge(&mut monolith, conductor).await?;
        let new = removal.take_charge(&mut service, conductor).await?;
        let layout = self.layout();
        if removal.may_have_slots(old.or(new)) {
            slots::drop_if_exists(&service, &layout.slot(Direction::Reverse)).await?;
            slots::drop_if_exists(&monolith, &layout.slot(Direction::Forward)).await?;
        }
        if let Some((_, claim)) = new {
            removal.clear(&mut service, claim).await?;
        }
        if let Some((_, claim)) = old {
            removal.clear(&mut monolith, claim).await?;
        }
        tracing::info!(extraction = %self.extraction.name, "finished");
        Ok(())
    }
}
