//! Tells rows that move from rows that differ.
//!
//! For a suspect, in this order: read the owner's row; take the position of
//! the owner's log; wait until the follower has passed it; read the other
//! side's row; read the owner's row again. What was read first is then on the
//! other side, or something later is. So:
//!
//! - the other side's row is one that the owner has had since the first read:
//!   they agree;
//! - it is not, and the owner's row has not changed between its reads: they
//!   differ, if that happens twice. Once may be a trick of time: a commit is
//!   in the change stream before the owner itself shows it, and a row that was
//!   absent, came and went again looks unchanged;
//! - the owner's row keeps changing: look again, a bounded number of times,
//!   then report it as unsettled. What the owner was seen to have within a
//!   round is remembered, so that a row which changes faster than one can look
//!   still settles.

use super::{
    DifferenceKind,
    table::{Key, Seen, TableSides},
};
use crate::{MoverError, positions::Sampler};
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

/// How many rounds must say that a row differs.
const CONFIRMATIONS: usize = 2;

/// A follower that does not move at all for this long has stopped.
const STUCK_LIMIT: Duration = Duration::from_secs(15);

/// A follower that moves, but not to where it must be for this long, is too
/// far behind for a comparison.
const BEHIND_LIMIT: Duration = Duration::from_mins(2);

/// How often the position is asked for, where a call takes a second at most.
const MOST_SAMPLES: usize = 5;

/// Settles suspects of one verification.
pub(super) struct Settler {
    sampler: Sampler,
    applied: watch::Receiver<Lsn>,
    owner: Side,
}

/// One suspect.
struct Suspect {
    key: Key,
    /// What the last rounds in a row have said.
    differs: Vec<DifferenceKind>,
}

/// What a round says of a suspect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Agrees,
    Differs(DifferenceKind),
    Moves,
}

impl Settler {
    pub(super) fn new(sampler: Sampler, applied: watch::Receiver<Lsn>, owner: Side) -> Self {
        Self {
            sampler,
            applied,
            owner,
        }
    }

    /// Those of the suspects that really differ, and how.
    pub(super) async fn settle(
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
                Verdict::Agrees => {}
                Verdict::Moves => {
                    suspect.differs.clear();
                    again.push(suspect);
                }
                Verdict::Differs(kind) => {
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
    ) -> Result<Vec<Verdict>, MoverError> {
        let first = sides.owner.look(keys).await?;
        let position = self.position().await?;
        self.wait_applied(position).await?;
        // Everything that the owner was seen to have since the first look.
        let mut had: Vec<HashSet<Option<i64>>> = first
            .iter()
            .map(|row| HashSet::from([hash(row.as_ref())]))
            .collect();
        let mut verdicts = Vec::new();
        for _ in 0..MOST_LOOKS {
            let theirs = sides.other.look(keys).await?;
            let ours = sides.owner.look(keys).await?;
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
            if !verdicts.contains(&Verdict::Moves) {
                break;
            }
        }
        Ok(verdicts)
    }

    async fn position(&self) -> Result<Lsn, MoverError> {
        for _ in 0..MOST_SAMPLES {
            if let Some(position) = self.sampler.sample().await {
                return Ok(position);
            }
        }
        Err(MoverError::Deadline {
            side: self.owner,
            doing: "telling the position of its log",
            limit: crate::positions::SAMPLE_TIMEOUT,
        })
    }

    /// Waits until the follower has passed a position.
    async fn wait_applied(&mut self, position: Lsn) -> Result<(), MoverError> {
        let side = self.owner.other();
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

fn hash(row: Option<&Seen>) -> Option<i64> {
    row.map(|seen| seen.hash)
}

fn verdict(
    first: Option<&Seen>,
    last: Option<&Seen>,
    had: &HashSet<Option<i64>>,
    theirs: Option<&Seen>,
) -> Verdict {
    if had.contains(&hash(theirs)) {
        return Verdict::Agrees;
    }
    if first != last {
        return Verdict::Moves;
    }
    Verdict::Differs(match (last, theirs) {
        (Some(_), None) => DifferenceKind::Missing,
        (None, Some(_)) => DifferenceKind::Extra,
        _ => DifferenceKind::Changed,
    })
}

/// Of two looks in one round: whoever agreed once, agrees.
fn merge(old: &[Verdict], new: Vec<Verdict>) -> Vec<Verdict> {
    let old = |at: usize| old.get(at).copied() == Some(Verdict::Agrees);
    new.into_iter()
        .enumerate()
        .map(|(at, verdict)| if old(at) { Verdict::Agrees } else { verdict })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(hash: i64, version: &str) -> Seen {
        Seen {
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
            (row(1, "a"), row(1, "a"), row(1, "x"), Verdict::Agrees),
            (None, None, None, Verdict::Agrees),
            (row(1, "a"), row(2, "b"), row(1, "x"), Verdict::Agrees),
            (row(1, "a"), row(2, "b"), row(2, "x"), Verdict::Agrees),
            (row(1, "a"), None, None, Verdict::Agrees),
            (row(1, "a"), row(2, "b"), row(3, "x"), Verdict::Moves),
            // The same values again, but it has been something else between.
            (row(1, "a"), row(1, "b"), row(3, "x"), Verdict::Moves),
            (
                row(1, "a"),
                row(1, "a"),
                row(3, "x"),
                Verdict::Differs(Changed),
            ),
            (row(1, "a"), row(1, "a"), None, Verdict::Differs(Missing)),
            (None, None, row(1, "x"), Verdict::Differs(Extra)),
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
        let merged = merge(&[Verdict::Agrees, Verdict::Moves], vec![Verdict::Moves; 2]);
        assert_eq!(merged, [Verdict::Agrees, Verdict::Moves]);
    }
}
