//! How far each source's changes have been applied on the other side, whoever
//! applies them: this process's followers, or another process's.

use mover::{
    Mover,
    follow::{Follower, remote_progress},
};
use protocol::{Lsn, Side, stream::Direction};
use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
};

/// By source, the monolith's first.
pub(super) struct AppliedPositions([watch::Sender<Lsn>; 2]);

fn index(source: Side) -> usize {
    usize::from(source == Side::Service)
}

/// Positions never go back.
fn reached(known: &watch::Sender<Lsn>, position: Lsn) {
    known.send_if_modified(|known| {
        let further = position > *known;
        *known = position.max(*known);
        further
    });
}

impl AppliedPositions {
    pub(super) fn new() -> Self {
        Self(Side::BOTH.map(|_| watch::Sender::new(Lsn::default())))
    }

    pub(super) fn of(&self, source: Side) -> watch::Receiver<Lsn> {
        self.0[index(source)].subscribe()
    }

    /// What starts next may be on another server, whose log positions mean nothing
    /// here: nobody's write counts as applied by what was reached on this one.
    pub(super) fn reset(&self) {
        for known in &self.0 {
            known.send_replace(Lsn::default());
        }
    }

    /// Nothing of a side's log will be applied any more: nobody waits for it.
    pub(super) fn all_of(&self, source: Side) {
        self.0[index(source)].send_replace(Lsn::MAX);
    }

    /// Takes a follower's positions, until it ends or the task is aborted.
    pub(super) fn relay(&self, source: Side, follower: &Follower) -> JoinHandle<()> {
        let (mut from, to) = (follower.applied(), self.0[index(source)].clone());
        tokio::spawn(async move {
            loop {
                let position = *from.borrow_and_update();
                reached(&to, position);
                if from.changed().await.is_err() {
                    return;
                }
            }
        })
    }

    /// Takes the positions from the streams' rows while another process follows,
    /// until what this returns is dropped.
    pub(super) fn watch_remote_progress(&self, mover: &Mover) -> JoinSet<()> {
        let watch = |direction: Direction| {
            let (mover, to) = (mover.clone(), self.0[index(direction.source())].clone());
            async move {
                remote_progress::watch(&mover, direction, |position| reached(&to, position)).await;
            }
        };
        Direction::BOTH.into_iter().map(watch).collect()
    }
}
