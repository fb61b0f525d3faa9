//! What two pairs of answers prove. Pure.
//!
//! Two answers may differ because a change has not flowed yet, or because a
//! field is different each time. So where they differ, both sides are asked once
//! more, after what the owner had written has flowed: only what differs both
//! times, and in which the owner agrees with itself, is a difference.
//!
//! What was seen to be different each time is remembered ([`Evidence`]): where
//! nothing else differs, asking once is enough.

use super::compare::{Difference, Spot};
use std::collections::BTreeSet;

/// How often a field must have changed from one answer of the owner to the next
/// before it counts as volatile: fewer may be ordinary writes in between.
const CHANGES_MIN: u16 = 3;

/// How much evidence counts: older evidence fades, so that a field may become
/// steady again, or volatile.
const EVIDENCE_MAX: u16 = 64;

/// What was seen of a field in which both sides differed: whether the owner
/// then agreed with itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Evidence {
    changed: u16,
    steady: u16,
}

impl Evidence {
    pub(crate) fn add(&mut self, changed: bool) {
        if self.changed + self.steady >= EVIDENCE_MAX {
            self.changed /= 2;
            self.steady /= 2;
        }
        if changed {
            self.changed += 1;
        } else {
            self.steady += 1;
        }
    }

    /// Whether it is known to be different each time: mostly so, and not by
    /// accident.
    pub(crate) fn is_volatile(self) -> bool {
        self.changed >= CHANGES_MIN && self.changed >= self.steady
    }
}

/// Whether a spot may ever count as known to be volatile. A status that changes
/// is a fault, not a habit.
pub(crate) fn can_be_volatile(spot: &Spot) -> bool {
    *spot != Spot::Status
}

/// What both pairs of answers say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Differs both times, and the owner agrees with itself.
    pub(crate) lasting: Vec<Difference>,
    /// The owner differs from itself.
    pub(crate) volatile: Vec<Spot>,
    /// The owner agrees with itself, and both sides do the second time.
    pub(crate) passing: Vec<Spot>,
}

/// Judges what differed the first time by what differed the second time, and
/// by what the owner's two answers differ in.
pub(crate) fn judge(
    first: Vec<Difference>,
    second: &[Difference],
    itself: &[Difference],
) -> Verdict {
    let spots =
        |all: &[Difference]| -> BTreeSet<Spot> { all.iter().map(|one| one.spot.clone()).collect() };
    let (again, itself) = (spots(second), spots(itself));
    let mut verdict = Verdict {
        lasting: Vec::new(),
        volatile: Vec::new(),
        passing: Vec::new(),
    };
    for one in first {
        if itself.iter().any(|changed| is_at(&one.spot, changed)) {
            verdict.volatile.push(one.spot);
        } else if again.contains(&one.spot) {
            verdict.lasting.push(one);
        } else {
            verdict.passing.push(one.spot);
        }
    }
    verdict
}

/// Whether a change at one spot explains a difference at another: it is the
/// same, or an array or object that holds it has changed.
fn is_at(spot: &Spot, changed: &Spot) -> bool {
    match (spot, changed) {
        (Spot::Field(spot), Spot::Field(changed)) => spot
            .strip_prefix(changed.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '['])),
        (spot, changed) => spot == changed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn difference(field: &str) -> Difference {
        Difference {
            spot: Spot::Field(field.to_owned()),
            monolith: String::new(),
            service: String::new(),
        }
    }

    fn spots(all: &[&str]) -> Vec<Spot> {
        all.iter().map(|one| difference(one).spot).collect()
    }

    #[test]
    fn only_what_lasts_and_is_no_whim_of_the_owner_counts() {
        let first = ["$.lagging", "$.whim", "$.wrong", "$.list[*].a"];
        let second = ["$.whim", "$.wrong", "$.newer", "$.list[*].a"].map(difference);
        let itself = ["$.whim", "$.other", "$.list"].map(difference);
        let verdict = judge(first.map(difference).to_vec(), &second, &itself);
        assert_eq!(verdict.lasting, [difference("$.wrong")]);
        assert_eq!(verdict.volatile, spots(&["$.whim", "$.list[*].a"]));
        assert_eq!(verdict.passing, spots(&["$.lagging"]));
    }

    #[test]
    fn a_field_is_volatile_once_it_was_often_and_mostly() {
        let mut evidence = Evidence::default();
        for _ in 0..CHANGES_MIN {
            assert!(!evidence.is_volatile());
            evidence.add(true);
        }
        assert!(evidence.is_volatile());
        // A field that is written often is no more volatile than that.
        let mut busy = Evidence::default();
        for at in 0..100 {
            busy.add(at % 3 == 0);
            assert!(!busy.is_volatile());
        }
    }

    #[test]
    fn evidence_fades() {
        let mut evidence = Evidence::default();
        for _ in 0..10_000 {
            evidence.add(true);
        }
        let mut steady = 0;
        while evidence.is_volatile() {
            evidence.add(false);
            steady += 1;
        }
        assert!(steady <= EVIDENCE_MAX, "{steady}");
    }
}
