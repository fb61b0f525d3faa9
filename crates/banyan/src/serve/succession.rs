//! One `banyan serve` takes over from another without a refused request: the
//! new process asks in the state directory, gets the listening sockets, and
//! decides once the old one has stopped deciding ([`gateway::socket_handoff`]).

use crate::exit::Failure;
use gateway::{
    Gateway, Listeners,
    socket_handoff::{Handing, Offer, Taken},
};
use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{
    task::{JoinHandle, spawn_blocking},
    time::{Instant, sleep},
};

/// The socket in the state directory.
const FILE: &str = "handover.sock";

/// How long the owners may take to be known, the databases asked. After that
/// the predecessor, which routes meanwhile, is let go on.
const OWNERS: Duration = Duration::from_secs(15);

/// How often it is looked.
const LOOK: Duration = Duration::from_millis(20);

/// Wait after an offer that failed, so that a broken one does not turn in
/// circles.
const PAUSE: Duration = Duration::from_secs(1);

fn socket(state: &Path) -> PathBuf {
    state.join(FILE)
}

/// What a successor has from its predecessor.
pub(super) struct Inherited {
    taken: Taken,
}

impl Inherited {
    /// Asks the `banyan serve` of this state directory for its sockets.
    pub(super) async fn ask(state: &Path) -> Result<(Self, Listeners), Failure> {
        let path = socket(state);
        let asked = path.clone();
        let (taken, listeners) = blocking(move || Taken::ask(&asked))
            .await
            .map_err(|error| {
                Failure::Refused(format!(
                    "no `banyan serve` hands its sockets over at {}: {error}. Start one without \
                 --take-over, or name its state directory with --state",
                    path.display()
                ))
            })?;
        Ok((Self { taken }, listeners))
    }

    /// Waits until the predecessor decides nothing any more.
    pub(super) async fn ready(self) -> Result<Self, Failure> {
        let Self { mut taken } = self;
        let taken = blocking(move || taken.ready().map(|()| taken)).await;
        let taken = taken.map_err(|error| {
            Failure::Refused(format!(
                "the running `banyan serve` does not hand over: {error}. It goes on; see its log"
            ))
        })?;
        Ok(Self { taken })
    }

    /// Accepts clients as soon as the owners are known, lets the predecessor
    /// stop, and returns when it serves nobody any more. After an error
    /// this process has to end: then the predecessor decides again.
    pub(super) async fn accept(self, gateway: Gateway) -> Result<(), Failure> {
        let until = Instant::now() + OWNERS;
        while !gateway.forwards() {
            if Instant::now() > until {
                return Err(Failure::Refused(format!(
                    "who owns is not known after {OWNERS:?}, so nothing is taken over: the running \
                     `banyan serve` goes on. See its `banyan status` for what is wrong, or stop it \
                     and start one without --take-over"
                )));
            }
            sleep(LOOK).await;
        }
        gateway.accept();
        let Self { mut taken } = self;
        let gone = spawn_blocking(move || {
            taken.accepting()?;
            taken.gone();
            io::Result::Ok(())
        });
        if let Ok(Err(error)) = gone.await {
            tracing::warn!(%error, "the predecessor was gone before it was taken over from");
        }
        Ok(())
    }
}

/// Waits, in the background, for a process that wants to take over.
pub(super) struct Successor {
    offer: Arc<Offer>,
    gateway: Gateway,
    waiting: JoinHandle<io::Result<Handing>>,
}

impl Successor {
    pub(super) fn wait(state: &Path, gateway: &Gateway) -> Result<Self, Failure> {
        let path = socket(state);
        let offer = Offer::bind(&path).map_err(|error| {
            Failure::Refused(format!(
                "{} cannot be made: {error}. Give another directory with --state",
                path.display()
            ))
        })?;
        let offer = Arc::new(offer);
        Ok(Self {
            waiting: waiting(&offer, gateway),
            offer,
            gateway: gateway.clone(),
        })
    }

    /// One that has the sockets and could begin. While requests are held, nobody
    /// may: they hear of the end from here only. Cancel safe.
    pub(super) async fn asked(&mut self) -> Handing {
        loop {
            let asked = (&mut self.waiting).await;
            self.waiting = waiting(&self.offer, &self.gateway);
            match asked {
                Ok(Ok(_turned_away)) if self.gateway.holds() => {
                    tracing::warn!(
                        "a successor asked during a switch: ask again when it has ended"
                    );
                }
                Ok(Ok(handing)) => return handing,
                Ok(Err(error)) => tracing::warn!(%error, "a successor asked, and failed"),
                Err(error) => tracing::error!(%error, "no successor can ask any more"),
            }
            sleep(PAUSE).await;
        }
    }
}

fn waiting(offer: &Arc<Offer>, gateway: &Gateway) -> JoinHandle<io::Result<Handing>> {
    let (offer, gateway) = (Arc::clone(offer), gateway.clone());
    spawn_blocking(move || offer.wait(&gateway))
}

/// Lets a successor decide, and waits until it accepts.
pub(super) async fn give(mut handing: Handing) -> io::Result<Handing> {
    blocking(move || handing.give().map(|()| handing)).await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    spawn_blocking(work).await.map_err(io::Error::other)?
}
