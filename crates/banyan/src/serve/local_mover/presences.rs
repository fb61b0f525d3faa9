//! This conductor's places on both sides, while it is in charge.

use mover::{Mover, MoverError, claim::Presence};
use protocol::Side;
use tokio::sync::Mutex;

/// The monolith's first.
#[derive(Default)]
pub(super) struct Presences([Mutex<Option<Presence>>; 2]);

impl Presences {
    /// Takes the place on a side, unless it is taken by this one already.
    pub(super) async fn at(&self, mover: &Mover, side: Side) -> Result<(), MoverError> {
        let mut place = self.0[usize::from(side == Side::Service)].lock().await;
        if place.as_ref().is_none_or(Presence::is_displaced) {
            *place = None;
            *place = Some(mover.take_place(side).await?);
        }
        Ok(())
    }

    /// Whether a living conductor has one of them now.
    pub(super) fn is_displaced(&self) -> bool {
        self.0.iter().any(|place| {
            let place = place.try_lock();
            place.is_ok_and(|place| place.as_ref().is_some_and(Presence::is_displaced))
        })
    }

    /// Gives both up.
    pub(super) async fn leave(&self) {
        for place in &self.0 {
            if let Some(presence) = place.lock().await.take() {
                presence.end().await;
            }
        }
    }
}
