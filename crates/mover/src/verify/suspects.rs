//! Tells rows that differ from rows that changed between two reads.
//!
//! For a suspect, in this order: read the owner's row; take the position of
//! the owner's log; wait until the follower has passed it; read the other
//! side's row; read the owner's row again. What was read first is then on the
//! other side, or something later is. So:
//!
//! - the other side's row is one that the owner has had since the first read:
//!   they agree;
//! - it is not, and the owner's row has not changed between its reads: they
//!   differ, if that happens twice. Once proves nothing: a commit is
//!   in the change stream before the owner itself shows it, and a row that was
//!   absent, came and went again looks unchanged;
//! - the owner's row keeps changing: look again, a bounded number of times,
//!   then report it as unsettled. All that the owner was observed to have within
//!   a round counts, so that a row which changes faster than it can be read is
//!   still confirmed.

use super::{
    key_columns::Key,
    report::DifferenceKind,
    table_side::{ObservedRow, TableSides},
};
use crate::{error::MoverError, positions::Sampler};
use protocol::{Lsn, Side};
use std::{collections::HashSet, time::Duration};
use tokio::{
    sync::watch,
    time::{Instant, timeout, timeout_at},
};

/// Suspects that are read in one statement.
const BATCH_KEYS: usize = 500;

/// How often a suspect is looked at anew.
const MOST_ROUNDS: usize = 8;

/// How often within a round, without waiting for the follower again.
const MOST_LOOKS: usize = 5;

/// How many rounds in a row must find that a row differs.
const CONFIRMATIONS: usize = 2;

/// A follower that does not move at all for this long has stopped.
const STUCK_LIMIT: Duration = Duration::from_secs(15);

/// A follower that moves, but not to where it must be for this long, is too
/// far behind for a comparison.
const BEHIND_LIMIT: Duration = Duration::from_mins(2);

/// How often the position is asked for, where a call takes a second at most.
const MOST_SAMPLES: usize = 5;

/// Checks the suspects of one verification.
pub(super) struct SuspectChecker {
    owner: AwaitedStream,
    /// The other side's, where it may have rows as well.
    other: Option<AwaitedStream>,
}

/// A stream that is waited for: where its source's log ends, and how far it is.
pub(super) struct AwaitedStream {
    sampler: Sampler,
    applied: watch::Receiver<Lsn>,
    source: Side,
}

/// One suspect.
struct Suspect {
    key: Key,
    /// The findings of the last rounds in a row.
    differs: Vec<DifferenceKind>,
}

/// A round's result for a suspect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SuspectVerdict {
    Agrees,
    Differs(DifferenceKind),
    /// The owner's row changed meanwhile: look again.
    Changing,
}

impl SuspectChecker {
    pub(super) fn new(owner: AwaitedStream, other: Option<AwaitedStream>) -> Self {
        Self { owner, other }
    }

    /// Those of the suspects that really differ, and how.
    pub(super) async fn confirm(
        &mut self,
        sides: &TableSides<'_>,
        suspects: Vec<Key>,
    ) -> Result<Vec<(Key, DifferenceKind)>, MoverError> {
        let mut differences = Vec::new();
        let mut suspects = suspects.into_iter().peekable();
        while suspects.peek().is_some() {
            let mut batch: Vec<Suspect> = suspects
                .by_ref()
                .take(BATCH_KEYS)
                .map(|key| Suspect {
                    key,
                    differs: Vec::new(),
                })
                .collect();
            for _ in 0..MOST_ROUNDS {
                batch = self.round(sides, batch, &mut differences).await?;
                if batch.is_empty() {
                    break;
                }
            }
            let unsettled = batch
                .into_iter()
                .map(|one| (one.key, DifferenceKind::Unsettled));
            differences.extend(unsettled);
        }
        Ok(differences)
    }

    /// One round; those that need another.
    async fn round(
        &mut self,
        sides: &TableSides<'_>,
        batch: Vec<Suspect>,
        differences: &mut Vec<(Key, DifferenceKind)>,
    ) -> Result<Vec<Suspect>, MoverError> {
        let keys: Vec<Key> = batch.iter().map(|one| one.key.clone()).collect();
        let verdicts = self.judge(sides, &keys).await?;
        let mut again = Vec::new();
        for (mut suspect, verdict) in batch.into_iter().zip(verdicts) {
            match verdict {
                SuspectVerdict::Agrees => {}
                SuspectVerdict::Changing => {
                    suspect.differs.clear();
                    again.push(suspect);
                }
                SuspectVerdict::Differs(kind) => {
                    suspect.differs.push(kind);
                    if suspect.differs.len() >= CONFIRMATIONS {
                        differences.push((suspect.key, kind));
                    } else {
                        again.push(suspect);
                    }
                }
            }
        }
        Ok(again)
    }

    async fn judge(
        &mut self,
        sides: &TableSides<'_>,
        keys: &[Key],
    ) -> Result<Vec<SuspectVerdict>, MoverError> {
        let first = sides.owner.read_rows(keys).await?;
        let position = self.owner.position().await?;
        self.owner.wait_applied(position).await?;
        // A row that was listed on the other side is in its log by now.
        if let Some(other) = self.other.as_mut().filter(|_| sides.both_append) {
            let position = other.position().await?;
            other.wait_applied(position).await?;
        }
        // Everything that the owner was observed to have since the first read.
        let mut had: Vec<HashSet<Option<i64>>> = first
            .iter()
            .map(|row| HashSet::from([hash(row.as_ref())]))
            .collect();
        let mut verdicts = Vec::new();
        for _ in 0..MOST_LOOKS {
            let theirs = sides.other.read_rows(keys).await?;
            let ours = sides.owner.read_rows(keys).await?;
            for (had, row) in had.iter_mut().zip(&ours) {
                had.insert(hash(row.as_ref()));
            }
            let new = (0..keys.len()).map(|at| {
                verdict(
                    first[at].as_ref(),
                    ours[at].as_ref(),
                    &had[at],
                    theirs[at].as_ref(),
                )
            });
            verdicts = merge(&verdicts, new.collect());
            if !verdicts.contains(&SuspectVerdict::Changing) {
                break;
            }
        }
        Ok(verdicts)
    }
}

impl AwaitedStream {
    pub(super) fn new(sampler: Sampler, applied: watch::Receiver<Lsn>, source: Side) -> Self {
        Self {
            sampler,
            applied,
            source,
        }
    }

    async fn position(&self) -> Result<Lsn, MoverError> {
        for _ in 0..MOST_SAMPLES {
            if let Some(position) = self.sampler.sample().await {
                return Ok(position);
            }
        }
        Err(MoverError::Deadline {
            side: self.source,
            doing: "telling the position of its log",
            limit: crate::positions::SAMPLE_TIMEOUT,
        })
    }

    /// Waits until the follower has passed a position.
    async fn wait_applied(&mut self, position: Lsn) -> Result<(), MoverError> {
        let side = self.source.other();
        let deadline = Instant::now() + BEHIND_LIMIT;
        while *self.applied.borrow_and_update() < position {
            let doing = "following up to where verify needs it (has the follower stopped?)";
            match timeout_at(deadline, timeout(STUCK_LIMIT, self.applied.changed())).await {
                Ok(Ok(Ok(()))) => {}
                Ok(Ok(Err(_))) => {
                    return Err(MoverError::Data {
                        object: format!("the change stream to the {side}"),
                        problem: "it ended while rows were compared".to_owned(),
                        remedy: "Verify again once it follows".to_owned(),
                    });
                }
                Ok(Err(_)) => {
                    return Err(MoverError::Deadline {
                        side,
                        doing,
                        limit: STUCK_LIMIT,
                    });
                }
                Err(_) => {
                    return Err(MoverError::Deadline {
                        side,
                        doing,
                        limit: BEHIND_LIMIT,
                    });
                }
            }
        }
        Ok(())
    }
}

fn hash(row: Option<&ObservedRow>) -> Option<i64> {
    row.map(|seen| seen.hash)
}

fn verdict(
    first: Option<&ObservedRow>,
    last: Option<&ObservedRow>,
    had: &HashSet<Option<i64>>,
    theirs: Option<&ObservedRow>,
) -> SuspectVerdict {
    if had.contains(&hash(theirs)) {
        return SuspectVerdict::Agrees;
    }
    if first != last {
        return SuspectVerdict::Changing;
    }
    SuspectVerdict::Differs(match (last, theirs) {
        (Some(_), None) => DifferenceKind::Missing,
        (None, Some(_)) => DifferenceKind::Extra,
        _ => DifferenceKind::Changed,
    })
}

/// Of two reads in one round: what agreed once, agrees.
fn merge(old: &[SuspectVerdict], new: Vec<SuspectVerdict>) -> Vec<SuspectVerdict> {
    let old = |at: usize| old.get(at).copied() == Some(SuspectVerdict::Agrees);
    new.into_iter()
        .enumerate()
        .map(|(at, verdict)| {
            if old(at) {
                SuspectVerdict::Agrees
            } else {
                verdict
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(hash: i64, version: &str) -> ObservedRow {
        ObservedRow {
            hash,
            version: version.to_owned(),
        }
    }

    #[test]
    fn verdicts() {
        use DifferenceKind::{Changed, Extra, Missing};
        let row = |hash, version| Some(seen(hash, version));
        let cases = [
            // The owner at first, the owner at last, the other side.
            (
                row(1, "a"),
                row(1, "a"),
                row(1, "x"),
                SuspectVerdict::Agrees,
            ),
            (None, None, None, SuspectVerdict::Agrees),
            (
                row(1, "a"),
                row(2, "b"),
                row(1, "x"),
                SuspectVerdict::Agrees,
            ),
            (
                row(1, "a"),
                row(2, "b"),
                row(2, "x"),
                SuspectVerdict::Agrees,
            ),
            (row(1, "a"), None, None, SuspectVerdict::Agrees),
            (
                row(1, "a"),
                row(2, "b"),
                row(3, "x"),
                SuspectVerdict::Changing,
            ),
            // The same values again, but it has been something else between.
            (
                row(1, "a"),
                row(1, "b"),
                row(3, "x"),
                SuspectVerdict::Changing,
            ),
            (
                row(1, "a"),
                row(1, "a"),
                row(3, "x"),
                SuspectVerdict::Differs(Changed),
            ),
            (
                row(1, "a"),
                row(1, "a"),
                None,
                SuspectVerdict::Differs(Missing),
            ),
            (None, None, row(1, "x"), SuspectVerdict::Differs(Extra)),
        ];
        for (first, last, theirs, expected) in cases {
            let (first, last, theirs) = (first.as_ref(), last.as_ref(), theirs.as_ref());
            let had = HashSet::from([hash(first), hash(last)]);
            let found = verdict(first, last, &had, theirs);
            assert_eq!(found, expected, "{first:?} {last:?} {theirs:?}");
        }
    }

    #[test]
    fn agreeing_once_in_a_round_is_enough() {
        let merged = merge(
            &[SuspectVerdict::Agrees, SuspectVerdict::Changing],
            vec![SuspectVerdict::Changing; 2],
        );
        assert_eq!(merged, [SuspectVerdict::Agrees, SuspectVerdict::Changing]);
    }
}
