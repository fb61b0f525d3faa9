//! Which clients a split picks.
//!
//! A client's bucket is `xxh3_64(extraction, 0x00, key) mod 10000`, seed 0:
//! the same after a restart and on every host. A share of `p` hundredths of a
//! percent covers the buckets below `p`, so raising a share only adds clients.
//! The extraction's name is part of the hash so that the same clients are not
//! the first ones every time.

use plan::{ExtractionName, Percent};
use std::fmt;
use xxhash_rust::xxh3::Xxh3Default;

/// A client's place among [`Percent::STEPS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Bucket(u16);

impl Bucket {
    /// The bucket of a client of an extraction.
    pub(crate) fn of(extraction: &ExtractionName, key: &[u8]) -> Self {
        Self::within(extraction.as_str(), key)
    }

    /// The bucket of a client of whatever has this name.
    pub(crate) fn within(name: &str, key: &[u8]) -> Self {
        let mut hash = Xxh3Default::new();
        hash.update(name.as_bytes());
        hash.update(&[0]);
        hash.update(key);
        let bucket = hash.digest() % u64::from(Percent::STEPS);
        Self(u16::try_from(bucket).unwrap_or(0))
    }

    /// One that no client has.
    pub(crate) fn random(number: u64) -> Self {
        Self(u16::try_from(number % u64::from(Percent::STEPS)).unwrap_or(0))
    }

    /// Whether a share covers it.
    pub(crate) fn is_covered_by(self, share: Percent) -> bool {
        self.0 < share.basis_points()
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}%", self.0 / 100, self.0 % 100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(text: &str) -> ExtractionName {
        ExtractionName::new(text).unwrap()
    }

    #[test]
    fn a_bucket_never_changes_between_releases() {
        // From another implementation of xxh3. Changing these moves clients
        // between sides in the middle of a rollout.
        let bucket = |extraction, key: &str| Bucket::of(&name(extraction), key.as_bytes()).0;
        assert_eq!(bucket("contracts", "user-1"), 6008);
        assert_eq!(bucket("contracts", "user-2"), 5711);
        assert_eq!(bucket("parties", "user-1"), 3826);
    }

    #[test]
    fn shares_are_near_what_they_say() {
        for points in [500, 1_000, 5_000, 9_000] {
            let share = Percent::from_basis_points(points).unwrap();
            let covered = (0..20_000)
                .filter(|n| {
                    Bucket::of(&name("contracts"), format!("user-{n}").as_bytes())
                        .is_covered_by(share)
                })
                .count();
            let wanted = usize::from(points) * 2;
            assert!(
                covered.abs_diff(wanted) < 400,
                "{covered} of 20000 at {share}"
            );
        }
    }

    proptest! {
        #[test]
        fn raising_a_share_only_adds_clients(key: Vec<u8>, low in 0..=10_000u16, high in 0..=10_000u16) {
            let (low, high) = (low.min(high), low.max(high));
            let bucket = Bucket::of(&name("contracts"), &key);
            let covers = |points| bucket.is_covered_by(Percent::from_basis_points(points).unwrap());
            prop_assert!(!covers(low) || covers(high));
            prop_assert!(!covers(0));
            prop_assert!(covers(10_000));
        }
    }
}
