//! What the monolith did before the first shift, where there is nothing of the
//! same window to compare with.
//!
//! It is a sample as well: to fail, the service must be worse than the worst that
//! the baseline may have been, to pass better than a harmful increase over the
//! best it may have been. Its requests are taken to be independent: nothing is
//! stored of who sent them.

use serde::{Deserialize, Serialize};

/// Counts from before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBaseline {
    /// All requests.
    pub requests: u64,
    /// Those that failed.
    pub errors: u64,
}

impl ErrorBaseline {
    /// What the share of errors may have been, from the least to the most; none
    /// of no requests.
    pub(crate) fn bounds(self, doubt: f64) -> Option<(f64, f64)> {
        bounds(float(self.errors), float(self.requests), doubt)
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts below 2^52")]
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}

/// What a share may be of which so many events were seen, each bound wrong with a
/// probability of at most `doubt` (Chernoff 1952: exact, not tight).
pub(crate) fn bounds(events: f64, requests: f64, doubt: f64) -> Option<(f64, f64)> {
    if requests <= 0.0 || events > requests {
        return None;
    }
    let share = events / requests;
    let surprise = |other: f64| requests * divergence(share, other);
    let wanted = (1.0 / doubt).ln();
    let bound = |mut near: f64, mut far: f64| {
        for _ in 0..60 {
            let middle = f64::midpoint(near, far);
            if surprise(middle) < wanted {
                near = middle;
            } else {
                far = middle;
            }
        }
        far
    };
    Some((bound(share, 0.0), bound(share, 1.0)))
}

/// Kullback and Leibler's, of two shares.
fn divergence(share: f64, other: f64) -> f64 {
    let part = |share: f64, other: f64| {
        if share > 0.0 {
            share * (share / other).ln()
        } else {
            0.0
        }
    };
    part(share, other) + part(1.0 - share, 1.0 - other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_around_the_share_and_close_in() {
        let (least, most) = bounds(10.0, 10_000.0, 0.01).unwrap();
        assert!(least > 0.0002 && least < 0.0005, "{least}");
        assert!(most > 0.0015 && most < 0.0025, "{most}");
        let (least, most) = bounds(1000.0, 1_000_000.0, 0.01).unwrap();
        assert!(least > 0.0009 && most < 0.0011, "{least} {most}");
    }

    #[test]
    fn nothing_seen_is_no_share_of_nothing() {
        // 1 - 0.01^(1/1000)
        let (least, most) = bounds(0.0, 1000.0, 0.01).unwrap();
        assert!(least < 1e-9 && (most - 0.004_594_6).abs() < 1e-6, "{most}");
        assert_eq!(bounds(0.0, 0.0, 0.01), None);
        assert_eq!(bounds(2.0, 1.0, 0.01), None);
    }
}
