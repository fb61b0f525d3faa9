//! What an operator requests of an extraction, and what comes back.

use crate::{
    ports::{Cancellation, Recopied, Verification},
    status::{ExtractionStatus, FailedRoute},
};
use plan::Percent;
use protocol::{Epoch, Side, finding::Finding, lifecycle, shared_data};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What is said where nothing is decided any more.
pub(crate) const STOPPING: &str = "banyan is stopping; ask again when it runs";

/// What can be requested of an extraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Prepare, copy, follow.
    Start,
    /// Change the share of reads, of writes, or of both.
    Shift(Shift),
    /// Send back to the monolith what can go back without a hand-over.
    Withdraw,
    /// Compare both sides.
    Verify,
    /// Hand over to the service.
    Switch,
    /// Hand back to the monolith.
    RollBack(Waived),
    /// Rehearse the hand-over to the side that does not own, and undo it at its commit point.
    Rehearse,
    /// End it without a trace.
    Cancel {
        /// Empty the service's tables, too, where it owned them for a while.
        empty: bool,
    },
    /// Keep it at the service for good.
    Finish,
    /// Try now what is tried again by itself.
    Resume,
    /// Have the streams that have lost changes begin anew, the other side's rows
    /// made the owner's. Refused where another one owns by now.
    Recopy(ShownOwner),
}

/// What a rollback does without, where there is no time for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Waived {
    /// A proof that both sides agree where a table was rewritten or got other columns.
    pub proof: bool,
    /// That the monolith says it is healthy; it has to take connections in any case.
    pub health: bool,
}

/// Who owns, as it was shown to the operator who then agreed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShownOwner {
    /// Which side.
    pub owner: Side,
    /// Since which decision.
    pub epoch: Epoch,
}

impl Request {
    /// To which side it hands over, if it does.
    pub(crate) fn hands_over_to(self) -> Option<Side> {
        match self {
            Self::Switch => Some(Side::Service),
            Self::RollBack(_) => Some(Side::Monolith),
            _ => None,
        }
    }

    /// Whether requests are held for it.
    pub(crate) fn holds(self) -> bool {
        self.hands_over_to().is_some() || self == Self::Rehearse
    }

    /// Whether it ends the extraction without a trace.
    pub(crate) fn is_cancel(self) -> bool {
        matches!(self, Self::Cancel { .. })
    }

    /// Whether it has rows copied again.
    pub(crate) fn is_recopy(self) -> bool {
        matches!(self, Self::Recopy(_))
    }
}

/// Which shares a shift changes, and to what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shift {
    /// That of the reads.
    Reads(Percent),
    /// That of the writes.
    Writes(Percent),
    /// Both.
    Both {
        /// Of the reads.
        reads: Percent,
        /// Of the writes.
        writes: Percent,
    },
}

impl Shift {
    /// The share of the reads, if that is changed.
    pub fn reads(self) -> Option<Percent> {
        match self {
            Self::Reads(reads) | Self::Both { reads, .. } => Some(reads),
            Self::Writes(_) => None,
        }
    }

    /// Whether more goes to the service by it than these shares, in percent.
    pub(crate) fn raises(self, reads_percent: f64, writes_percent: Option<f64>) -> bool {
        let above = |share: Percent, now: f64| share.percent() > now + f64::EPSILON;
        self.reads()
            .is_some_and(|share| above(share, reads_percent))
            || self
                .writes()
                .is_some_and(|share| above(share, writes_percent.unwrap_or_default()))
    }

    /// The share of the writes, if that is changed.
    pub fn writes(self) -> Option<Percent> {
        match self {
            Self::Writes(writes) | Self::Both { writes, .. } => Some(writes),
            Self::Reads(_) => None,
        }
    }
}

/// The reply to a request that was carried out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Reply {
    /// How the extraction stands now.
    pub status: ExtractionStatus,
    /// What a verify found.
    pub verification: Option<Verification>,
    /// What a cancel left.
    #[serde(default)]
    pub cancelled: Option<Cancellation>,
    /// What was copied again.
    #[serde(default)]
    pub recopied: Option<Recopied>,
    /// What a resume had go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumed: Option<Resumed>,
    /// Routes that a shift took along though their reads write, until the next start.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waived: Vec<FailedRoute>,
}

impl Reply {
    /// What the journal keeps of it: no rows, and of those that differ no keys.
    pub(crate) fn kept(&self) -> Map<String, Value> {
        let mut kept = Map::new();
        let mut keep = |name: &str, value: Value| kept.insert(name.to_owned(), value);
        if let Some(found) = &self.verification {
            keep("rows", found.rows.into());
            keep("differences", found.differences.into());
        }
        if let Some(cancelled) = &self.cancelled {
            keep("left", cancelled.left.clone().into());
        }
        if let Some(recopied) = &self.recopied {
            keep("written", recopied.written.into());
            keep("deleted", recopied.deleted.into());
        }
        match self.resumed {
            Some(Resumed::Steps) => keep("resumed", "steps of the plan".into()),
            Some(Resumed::Streams) => keep("resumed", "streams".into()),
            None => None,
        };
        if !self.waived.is_empty() {
            let named = self.waived.iter();
            let named = named.map(|one| format!("{} {}", one.method, one.path));
            keep("waived", named.collect::<Vec<_>>().into());
        }
        kept
    }

    /// One that has nothing to report beside the status.
    pub(crate) fn with(status: ExtractionStatus) -> Self {
        Self {
            status,
            verification: None,
            cancelled: None,
            recopied: None,
            resumed: None,
            waived: Vec::new(),
        }
    }
}

/// What a resume had go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resumed {
    /// The steps of the plan, which had stopped; streams were tried again, too.
    Steps,
    /// Streams alone: no step had stopped, or the plan has none.
    Streams,
}

/// Why a request was not carried out.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RequestError {
    /// Not in this state. Nothing was touched.
    #[error("{0}")]
    State(#[from] lifecycle::Rejection),
    /// The same, where both sides share the data.
    #[error("{0}")]
    SharedData(#[from] shared_data::Rejection),
    /// Its writes have one owner. Nothing was touched.
    #[error(
        "its data move (`mode: replicate`), so that its writes have one owner and cannot be split. \
         `banyan switch` hands all of them over; a share of them needs `mode: shared`, where both \
         sides work on the same tables"
    )]
    NotShared,
    /// There was a hand-over since the operator was asked. Nothing was touched.
    #[error(
        "it was agreed to while the {} owned the data (epoch {}), and now the {now} does (epoch \
         {epoch}): the other side's rows would be replaced. Nothing was touched; run it again to be \
         asked anew", shown.owner, shown.epoch
    )]
    OwnerChanged {
        /// What was shown.
        shown: ShownOwner,
        /// Who owns now.
        now: Side,
        /// Since which decision.
        epoch: Epoch,
    },
    /// It is not as it was when this was decided on. Nothing was touched.
    #[error("{0}")]
    Changed(String),
    /// `check` says no. Nothing was touched.
    #[error("it cannot be moved as it is: see `banyan check`")]
    Findings(Vec<Finding>),
    /// It did not work.
    #[error("{0}")]
    Failed(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_more_than_there_is_asks_for_a_healthy_service() {
        let share = |text| Percent::parse(text).unwrap();
        let both = |reads, writes| Shift::Both {
            reads: share(reads),
            writes: share(writes),
        };
        for (shift, raises) in [
            (Shift::Reads(share("5%")), false),
            (Shift::Reads(share("0%")), false),
            (Shift::Reads(share("5.01%")), true),
            (Shift::Writes(share("1%")), false),
            (Shift::Writes(share("2%")), true),
            (both("5%", "1%"), false),
            (both("0%", "2%"), true),
        ] {
            assert_eq!(shift.raises(5.0, Some(1.0)), raises, "{shift:?}");
        }
        assert!(Shift::Writes(share("1%")).raises(5.0, None));
    }
}
