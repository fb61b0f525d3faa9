//! An extraction whose data both sides share, from its plan to its end.
//!
//! Monolith and service work on the same tables of one database, so either may
//! write and no row says who owns: there is nothing to copy, to fence or to
//! hand over, and no step that could be half done. What is decided is which
//! share of the clients reads and which share writes at the service. The
//! journal is all that there is; one that was lost sends everything to the
//! monolith, which is right at any time.
//!
//! ```text
//!   planned ──start──▶ shared { reads, writes } ──shift, switch, rollback──▶ ...
//!      ▲                  │
//!      └──────cancel──────┘
//! ```
//!
//! Each decision takes a new epoch, and a life after a cancel goes on counting:
//! a gateway that hears of two decisions in the wrong order ignores the older.

use crate::{
    Epoch, Side,
    routing::{ExtractionRouting, Writes},
};
use plan::Percent;
use serde::{Deserialize, Serialize};

/// The state of one extraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SharedDataLifecycle {
    /// All of it is the monolith's. The epoch is that of the last decision.
    Planned(Epoch),
    /// It is split.
    Split {
        /// The last decision.
        epoch: Epoch,
        /// Who is at the service.
        shares: Shares,
    },
}

impl Default for SharedDataLifecycle {
    fn default() -> Self {
        Self::Planned(Epoch::default())
    }
}

/// Which share of the clients is at the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shares {
    /// With its reads.
    pub reads: Percent,
    /// With its writes.
    pub writes: Percent,
}

impl Shares {
    /// Everything goes to one side.
    pub fn all_to(side: Side) -> Self {
        let share = match side {
            Side::Monolith => Percent::ZERO,
            Side::Service => Percent::ALL,
        };
        Self {
            reads: share,
            writes: share,
        }
    }
}

/// What an operator wants of an extraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Begin.
    Start,
    /// Change the shares that are named.
    Shift {
        /// Of the reads.
        reads: Option<Percent>,
        /// Of the writes.
        writes: Option<Percent>,
    },
    /// Send everything to one side.
    SendAll(Side),
    /// End it.
    Cancel,
}

/// What has happened to an extraction. Persisted: never edited; a changed
/// meaning is a new variant. The names differ from those of
/// [`crate::lifecycle::Event`], so that nobody takes the one for the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event")]
pub enum Event {
    /// It began.
    #[serde(rename = "shared-started")]
    Started {
        /// The decision's number.
        epoch: Epoch,
    },
    /// The shares changed.
    #[serde(rename = "shares-set")]
    SharesSet {
        /// The decision's number.
        epoch: Epoch,
        /// Of the reads, in hundredths of a percent.
        reads: Percent,
        /// Of the writes, likewise.
        writes: Percent,
    },
    /// It ended, and everything is the monolith's.
    #[serde(rename = "shared-cancelled")]
    Cancelled {
        /// The decision's number.
        epoch: Epoch,
    },
}

/// A command that cannot be carried out now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// It has not begun.
    #[error("it is planned. Begin with `banyan start`")]
    NotStarted,
    /// It has.
    #[error("it has been started already: `banyan status`")]
    Started,
    /// Everything is there already.
    #[error("all its reads and writes go to the {0} already")]
    ThereAlready(Side),
    /// It cannot be cancelled any more.
    #[error("all its writes go to the service; roll back first: `banyan rollback`")]
    Switched,
    /// There is only one copy of the data.
    #[error(
        "both sides share its data (`mode: shared`): there are no two copies to compare. \
         `banyan shadow` compares what both sides answer"
    )]
    NothingToVerify,
    /// Nothing is held for a switch.
    #[error(
        "both sides share its data (`mode: shared`): a switch holds no request and locks nothing, \
         so there is nothing to rehearse"
    )]
    NothingToRehearse,
    /// There is nothing of ours to take away.
    #[error(
        "both sides share its data (`mode: shared`), so there is no stream and no fence to take \
         away. Write its routes under `gateway.routes` when all goes to the service"
    )]
    NothingToFinish,
}

impl SharedDataLifecycle {
    /// What a command leads to: nothing where it changes nothing.
    pub fn decide(&self, command: Command) -> Result<Option<Event>, Rejection> {
        let epoch = self.epoch().next();
        let Self::Split { shares, .. } = self else {
            return match command {
                Command::Start => Ok(Some(Event::Started { epoch })),
                _ => Err(Rejection::NotStarted),
            };
        };
        let wanted = match command {
            Command::Start => return Err(Rejection::Started),
            Command::Cancel if shares.writes == Percent::ALL => return Err(Rejection::Switched),
            Command::Cancel => return Ok(Some(Event::Cancelled { epoch })),
            Command::SendAll(side) if *shares == Shares::all_to(side) => {
                return Err(Rejection::ThereAlready(side));
            }
            Command::SendAll(side) => Shares::all_to(side),
            Command::Shift { reads, writes } => Shares {
                reads: reads.unwrap_or(shares.reads),
                writes: writes.unwrap_or(shares.writes),
            },
        };
        let Shares { reads, writes } = wanted;
        Ok((wanted != *shares).then_some(Event::SharesSet {
            epoch,
            reads,
            writes,
        }))
    }

    /// The state after an event. Events that do not fit change nothing.
    #[must_use]
    pub fn evolve(self, event: &Event) -> Self {
        match (self, *event) {
            (Self::Planned(_), Event::Started { epoch }) => Self::Split {
                epoch,
                shares: Shares::all_to(Side::Monolith),
            },
            (
                Self::Split { .. },
                Event::SharesSet {
                    epoch,
                    reads,
                    writes,
                },
            ) => Self::Split {
                epoch,
                shares: Shares { reads, writes },
            },
            (Self::Split { .. }, Event::Cancelled { epoch }) => Self::Planned(epoch),
            (state, _) => state,
        }
    }

    /// Its word in `banyan status`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Planned(_) => "planned",
            Self::Split { .. } => "shared",
        }
    }

    /// The last decision.
    pub fn epoch(&self) -> Epoch {
        match self {
            Self::Planned(epoch) | Self::Split { epoch, .. } => *epoch,
        }
    }

    /// Who is at the service.
    pub fn shares(&self) -> Shares {
        match self {
            Self::Planned(_) => Shares::all_to(Side::Monolith),
            Self::Split { shares, .. } => *shares,
        }
    }

    /// What the gateways are told.
    pub fn routing(&self) -> ExtractionRouting {
        let Shares { reads, writes } = self.shares();
        ExtractionRouting {
            instance: None,
            epoch: self.epoch(),
            writes: Writes::Split(writes),
            reads,
            // There is nothing that would have to flow.
            follows: true,
        }
    }
}
