//! Where an extraction stands: nine stops, in their order.

use super::{format, shadow::ShadowReport};
use conductor::status::ExtractionStatus;

/// A stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stop {
    pub(crate) name: &'static str,
    pub(crate) state: State,
    /// A number that goes with it.
    pub(crate) note: String,
}

/// Whether it was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Done,
    Now,
    ToCome,
    /// The plan leaves it out.
    Left,
}

impl State {
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Now => "now",
            Self::ToCome => "",
            Self::Left => "left",
        }
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Now => "now",
            Self::ToCome => "to come",
            Self::Left => "left out",
        }
    }
}

/// All stops of an extraction.
pub(crate) fn rail(one: &ExtractionStatus, shadow: &ShadowReport) -> Vec<Stop> {
    let at = position(one);
    let names = NAMES.iter().enumerate();
    let stop = |(index, name): (usize, &&'static str)| {
        let is_left = *name == "shadow" && shadow.share.is_none();
        let is_left = is_left || one.owner == "both" && !SHARED.contains(name);
        Stop {
            name,
            state: if is_left {
                State::Left
            } else if index < at {
                State::Done
            } else if index == at {
                State::Now
            } else {
                State::ToCome
            },
            note: if is_left {
                "not in the plan".to_owned()
            } else {
                note(name, one, shadow)
            },
        }
    };
    names.map(stop).collect()
}

const NAMES: [&str; 9] = [
    "check", "copy", "follow", "verify", "shadow", "shift", "switch", "watch", "retire",
];

/// Those of an extraction whose data both sides share.
const SHARED: [&str; 4] = ["check", "shadow", "shift", "retire"];

const CHECK: usize = 0;
const COPY: usize = 1;
const VERIFY: usize = 3;
const SHIFT: usize = 5;
const SWITCH: usize = 6;
const WATCH: usize = 7;
const RETIRE: usize = 8;
const END: usize = 9;

/// The stop where it is.
fn position(one: &ExtractionStatus) -> usize {
    match one.phase.as_str() {
        "preparing" | "copying" => COPY,
        "following" if one.reads_percent >= 100.0 => SWITCH,
        "following" if is_proven(one) || one.reads_percent > 0.0 => SHIFT,
        "following" => VERIFY,
        "shared" => SHIFT,
        "switching" | "rolling-back" => SWITCH,
        "switched" => WATCH,
        "finishing" => RETIRE,
        "finished" => END,
        // `planned`, `cancelling`, or nothing is known yet.
        _ => CHECK,
    }
}

fn is_proven(one: &ExtractionStatus) -> bool {
    let last = one.last_verify.as_ref();
    last.is_some_and(|last| last.differences == 0)
}

fn note(name: &str, one: &ExtractionStatus, shadow: &ShadowReport) -> String {
    let begun = position(one) > CHECK;
    match name {
        "copy" if begun => {
            let copy = &one.progress.copy;
            if one.phase == "copying" {
                let all = format::count(copy.rows_total);
                format!("{} of {all}", format::count(copy.rows_copied))
            } else if copy.rows_copied > 0 {
                format!("{} rows", format::count(copy.rows_copied))
            } else {
                String::new()
            }
        }
        "follow" => {
            lag_seconds(one).map_or_else(String::new, |lag| format!("lag {}", format::seconds(lag)))
        }
        "verify" => match &one.last_verify {
            Some(last) if begun => format!("{} differ", format::count(last.differences)),
            _ => String::new(),
        },
        "shadow" => shadow.same().unwrap_or_default(),
        "shift" if begun => format::percent(one.reads_percent),
        _ => String::new(),
    }
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
    use conductor::status::VerifyStatus;

    fn now(phase: &str, reads_percent: f64, differences: Option<u64>) -> Option<&'static str> {
        let one = ExtractionStatus {
            phase: phase.to_owned(),
            reads_percent,
            last_verify: differences.map(|differences| VerifyStatus {
                differences,
                ..VerifyStatus::default()
            }),
            ..ExtractionStatus::default()
        };
        let stops = rail(&one, &ShadowReport::default());
        let stop = stops.into_iter().find(|stop| stop.state == State::Now);
        stop.map(|stop| stop.name)
    }

    #[test]
    fn each_phase_has_its_stop() {
        for (phase, reads, differences, wanted) in [
            ("planned", 0.0, None, Some("check")),
            ("preparing", 0.0, None, Some("copy")),
            ("copying", 0.0, None, Some("copy")),
            ("following", 0.0, None, Some("verify")),
            ("following", 0.0, Some(3), Some("verify")),
            ("following", 0.0, Some(0), Some("shift")),
            ("following", 50.0, None, Some("shift")),
            ("following", 100.0, Some(0), Some("switch")),
            ("switching", 100.0, Some(0), Some("switch")),
            ("switched", 100.0, Some(0), Some("watch")),
            ("finishing", 100.0, Some(0), Some("retire")),
            ("finished", 100.0, Some(0), None),
        ] {
            assert_eq!(now(phase, reads, differences), wanted, "{phase} {reads}");
        }
    }
}
