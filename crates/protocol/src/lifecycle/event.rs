//! What the journal says of an extraction's life: a format of its own, with a
//! golden file. Never edited; a changed meaning is a new variant.

use crate::{
    Epoch, InstanceId, Nonce, Side,
    handover::{Step, Transition},
    owner::{ObservedOwnership, Outcome},
};
use plan::Percent;
use serde::{Deserialize, Serialize};

/// Whether both sides have been proven to agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verified {
    /// Not looked yet.
    Never,
    /// They agreed, at this time of the wall clock in milliseconds.
    Agreed(u64),
    /// They differed.
    Differed,
}

/// What has happened to an extraction. Persisted: never edited; a changed
/// meaning is a new variant.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub enum Event {
    /// It began.
    Started {
        /// Its identity.
        instance: InstanceId,
    },
    /// Our objects exist on both sides.
    Prepared,
    /// The copy is complete.
    Copied,
    /// A verify ended.
    Verified {
        /// With this.
        result: Verified,
    },
    /// The share of reads changed.
    ReadsShifted {
        /// To this, in hundredths of a percent.
        reads: Percent,
    },
    /// A hand-over began.
    HandoverBegan {
        /// Its epoch.
        epoch: Epoch,
        /// The owner until its commit point.
        from: Side,
        /// Its nonce.
        nonce: Nonce,
    },
    /// The rehearsal of one began: its steps are a hand-over's, and it ends aborted, as planned
    /// where that has no reason.
    RehearsalBegan {
        /// Its epoch.
        epoch: Epoch,
        /// The owner, before and after it.
        from: Side,
        /// Its nonce.
        nonce: Nonce,
    },
    /// It went on.
    HandoverStepped {
        /// By this.
        step: Step,
    },
    /// It ended.
    HandoverEnded {
        /// How.
        outcome: Outcome,
        /// Why, when aborted.
        reason: Option<String>,
    },
    /// Cancelling began.
    CancelBegan,
    /// It was cancelled.
    Cancelled,
    /// Finishing began: from here on there is no way back.
    FinishBegan,
    /// It was finished.
    Finished,
    /// The journal was lost and made again from the rows.
    Rebuilt {
        /// What the rows said.
        #[serde(rename = "found")]
        observed: ObservedOwnership,
        /// Their instance.
        instance: InstanceId,
    },
}

impl Event {
    /// What a hand-over made of an input, as events of the extraction.
    pub(crate) fn of_transition(transition: Transition) -> Vec<Self> {
        match transition {
            Transition::Steps(steps) => steps
                .into_iter()
                .map(|step| Self::HandoverStepped { step })
                .collect(),
            Transition::Ended { outcome, reason } => vec![Self::HandoverEnded { outcome, reason }],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GatewayId, Millis};
    use std::collections::BTreeSet;
    use uuid::Uuid;

    /// Never edited: what these lines say was written by some release.
    const GOLDEN: &str = include_str!("../../tests/golden/lifecycle_events.jsonl");

    fn written() -> Vec<Event> {
        let (instance, nonce) = (InstanceId(Uuid::from_u128(1)), Nonce(Uuid::from_u128(2)));
        let gateway = GatewayId(Uuid::from_u128(3));
        let step = |step| Event::HandoverStepped { step };
        let rebuilt = |observed| Event::Rebuilt { observed, instance };
        let epoch = Epoch(2);
        vec![
            Event::Started { instance },
            Event::Prepared,
            Event::Copied,
            Event::Verified {
                result: Verified::Never,
            },
            Event::Verified {
                result: Verified::Agreed(1_700_000_000_000),
            },
            Event::Verified {
                result: Verified::Differed,
            },
            Event::ReadsShifted {
                reads: Percent::from_basis_points(500).unwrap(),
            },
            Event::HandoverBegan {
                epoch: Epoch(1),
                from: Side::Monolith,
                nonce,
            },
            step(Step::Readied),
            step(Step::HoldBegan {
                gateways: BTreeSet::from([gateway]),
                deadline: Millis(1500),
            }),
            step(Step::Acknowledged { gateway }),
            step(Step::Fenced),
            step(Step::CaughtUp),
            step(Step::AbortChosen {
                reason: "the operator asked".to_owned(),
            }),
            step(Step::Committed),
            Event::HandoverEnded {
                outcome: Outcome::Committed,
                reason: None,
            },
            Event::HandoverEnded {
                outcome: Outcome::Aborted,
                reason: Some("no time".to_owned()),
            },
            Event::CancelBegan,
            Event::Cancelled,
            Event::FinishBegan,
            Event::Finished,
            rebuilt(ObservedOwnership::Copying),
            rebuilt(ObservedOwnership::Settled {
                by: Side::Service,
                epoch,
            }),
            rebuilt(ObservedOwnership::Fenced {
                from: Side::Monolith,
                epoch,
                nonce,
            }),
            rebuilt(ObservedOwnership::Committed {
                from: Side::Service,
                epoch,
                nonce,
            }),
            Event::RehearsalBegan {
                epoch,
                from: Side::Service,
                nonce,
            },
            Event::HandoverEnded {
                outcome: Outcome::Aborted,
                reason: None,
            },
        ]
    }

    #[test]
    fn journals_of_earlier_releases_are_read_as_they_were_written() {
        let read = |line| serde_json::from_str::<Event>(line).unwrap();
        let events: Vec<_> = GOLDEN.lines().map(read).collect();
        assert_eq!(events, written());
        let lines: Vec<_> = events
            .iter()
            .map(|event| serde_json::to_string(event).unwrap())
            .collect();
        assert_eq!(lines.join("\n"), GOLDEN.trim_end());
    }
}
