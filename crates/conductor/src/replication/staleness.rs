//! Whether reads stay away from a side that its change stream does not keep up
//! to date.

use crate::ports::{Progress, StreamProgress};
use protocol::Side;
use std::time::{Duration, Instant};

/// A stream that is being tried again for so long is not well: shorter
/// interruptions are a restart or a lost connection.
const PATIENCE: Duration = Duration::from_secs(3);

/// What is known of the stream that reads depend on.
#[derive(Debug, Default)]
pub(super) struct Staleness {
    interrupted_since: Option<Instant>,
    withdrawn: bool,
}

impl Staleness {
    /// Reads go to the owner alone until the stream has applied what it lacks.
    pub(super) fn withdraw(&mut self) {
        self.withdrawn = true;
    }

    /// Whether reads go to the owner alone. They come back once the stream runs
    /// and has applied what it missed, all but `lag` bytes.
    pub(super) fn withdraws(
        &mut self,
        progress: &Progress,
        owner: Side,
        lag: u64,
        now: Instant,
    ) -> bool {
        let stream = match owner {
            Side::Monolith => progress.forward.as_ref(),
            Side::Service => progress.reverse.as_ref(),
        };
        let state = stream.map_or("ended", |stream| stream.state.as_str());
        if matches!(state, "applying" | "stopped" | "waiting") {
            self.interrupted_since = None;
            let behind = stream.is_some_and(|stream: &StreamProgress| stream.lag_bytes > lag);
            self.withdrawn &= behind;
            return self.withdrawn;
        }
        let since = *self.interrupted_since.get_or_insert(now);
        self.withdrawn |= state == "failed" || now.saturating_duration_since(since) >= PATIENCE;
        self.withdrawn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(state: &str, lag_bytes: u64) -> Progress {
        Progress {
            forward: Some(StreamProgress {
                state: state.to_owned(),
                lag_bytes,
                ..StreamProgress::default()
            }),
            ..Progress::default()
        }
    }

    #[test]
    fn reads_leave_a_stream_that_is_not_well_and_come_back() {
        let began = Instant::now();
        let mut staleness = Staleness::default();
        let mut at = |seconds: u64, state, behind| {
            let now = began + Duration::from_secs(seconds);
            staleness.withdraws(&progress(state, behind), Side::Monolith, 100, now)
        };
        assert!(!at(0, "applying", 0));
        assert!(
            !at(1, "applying", 1_000_000),
            "lag alone is the plan's to judge"
        );
        assert!(!at(2, "retrying", 0), "a moment");
        assert!(!at(3, "applying", 0));
        assert!(!at(4, "retrying", 0));
        assert!(at(7, "retrying", 0), "no moment any more");
        assert!(at(8, "connecting", 0));
        assert!(at(9, "applying", 101), "not caught up yet");
        assert!(!at(10, "applying", 99));
        assert!(at(11, "failed", 0), "at once");
        assert!(!at(12, "applying", 0));
    }

    #[test]
    fn nothing_is_known_of_a_stream_that_is_not_followed() {
        let began = Instant::now();
        let mut staleness = Staleness::default();
        let nothing = Progress::default();
        assert!(!staleness.withdraws(&nothing, Side::Monolith, 0, began));
        assert!(staleness.withdraws(&nothing, Side::Monolith, 0, began + PATIENCE));
    }
}
