//! Where an extraction stands, as the status says it: nine stops, in their order.

use conductor::status::{ExtractionStatus, StopState};

/// A stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stop {
    pub(crate) name: String,
    pub(crate) class: &'static str,
    /// Whether it was reached, for who does not see it.
    pub(crate) word: &'static str,
    /// A number that goes with it.
    pub(crate) note: String,
}

/// All stops of an extraction.
pub(crate) fn rail(one: &ExtractionStatus) -> Vec<Stop> {
    let is_now = |state: StopState| state == StopState::Now;
    let at = one.rail.iter().position(|stop| is_now(stop.state));
    let at = at.unwrap_or(one.rail.len());
    let stops = one.rail.iter().enumerate();
    stops
        .map(|(index, stop)| {
            let (class, word) = match stop.state {
                StopState::Done => ("done", "done"),
                StopState::Now => ("now", "now"),
                StopState::ToCome => ("", "to come"),
                StopState::LeftOut if index < at => ("left passed", "left out"),
                StopState::LeftOut => ("left", "left out"),
            };
            Stop {
                name: stop.name.clone(),
                class,
                word,
                note: stop.note.clone().unwrap_or_default(),
            }
        })
        .collect()
}

/// The worse of both streams, of those that there are.
pub(crate) fn lag_seconds(one: &ExtractionStatus) -> Option<f64> {
    let streams = [&one.progress.forward, &one.progress.reverse];
    let lags = streams
        .into_iter()
        .flatten()
        .map(|stream| stream.lag_seconds);
    lags.reduce(f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use conductor::status::RailStop;

    #[test]
    fn what_is_left_out_is_past_or_ahead() {
        let stop = |name: &str, state| RailStop {
            name: name.to_owned(),
            state,
            note: None,
        };
        let one = ExtractionStatus {
            rail: vec![
                stop("verify", StopState::Done),
                stop("shadow", StopState::LeftOut),
                stop("shift", StopState::Now),
                stop("watch", StopState::LeftOut),
                stop("retire", StopState::ToCome),
            ],
            ..ExtractionStatus::default()
        };
        let classes: Vec<_> = rail(&one).into_iter().map(|stop| stop.class).collect();
        assert_eq!(classes, ["done", "left passed", "now", "left", ""]);
    }
}
