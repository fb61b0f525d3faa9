//! What the draws come to.

use std::fmt::Write as _;

/// What is true of the drawn service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    NoDifference,
    ErrorsTwice,
    QuarterSlower,
}

impl Case {
    pub(crate) const ALL: [Self; 3] = [Self::NoDifference, Self::ErrorsTwice, Self::QuarterSlower];

    fn name(self) -> &'static str {
        match self {
            Self::NoDifference => "no_difference",
            Self::ErrorsTwice => "errors_x2",
            Self::QuarterSlower => "latency_25",
        }
    }

    /// Within how many requests of the service, of 2,500 clients or more, a
    /// difference is to be found.
    fn stated_requests(self) -> u64 {
        match self {
            Self::NoDifference => 0,
            Self::ErrorsTwice => 800_000,
            Self::QuarterSlower => 400_000,
        }
    }
}

/// When something was decided.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Decision {
    pub(crate) minute: u64,
    /// Of the service, until then.
    pub(crate) requests: u64,
}

/// What became of a step.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Outcome {
    pub(crate) failed: Option<Decision>,
    /// When it passed first.
    pub(crate) passed: Option<Decision>,
    /// Whether it passes at the end.
    pub(crate) passes: bool,
}

/// Sums over the levels.
#[derive(Debug, Default)]
pub(crate) struct Report {
    steps: usize,
    rolled_back: usize,
    found: Vec<(Case, f64)>,
    minutes: Vec<(Case, [u64; 2])>,
}

impl Report {
    /// Takes a level's draws of a case, and says them in a line.
    pub(crate) fn add(
        &mut self,
        case: Case,
        level: &str,
        stated: bool,
        outcomes: &[Outcome],
    ) -> String {
        let failed: Vec<Decision> = outcomes.iter().filter_map(|of| of.failed).collect();
        let passed: Vec<Decision> = outcomes.iter().filter_map(|of| of.passed).collect();
        let within = failed.iter();
        let within = within.filter(|of| of.requests <= case.stated_requests());
        let found = share(within.count(), outcomes.len());
        let decided = match case {
            Case::NoDifference => &passed,
            Case::ErrorsTwice | Case::QuarterSlower => &failed,
        };
        let minutes = quantiles(decided, |of| of.minute);
        let requests = quantiles(decided, |of| of.requests);
        if case == Case::NoDifference {
            self.steps += outcomes.len();
            self.rolled_back += failed.len();
        }
        if stated {
            self.found.push((case, found));
            self.minutes.push((case, minutes));
        }
        let at_end = outcomes.iter().filter(|of| of.passes).count();
        format!(
            "{:13} {level:29} {:4} steps: {:4} failed, {:4} passed, {:4} pass at the end; decided \
             after {} to {} min, {} to {} requests (median, 99 %)",
            case.name(),
            outcomes.len(),
            failed.len(),
            passed.len(),
            at_end,
            minutes[0],
            minutes[1],
            requests[0],
            requests[1],
        )
    }

    /// The line that a run ends with.
    pub(crate) fn json(&self) -> String {
        let found = |case| self.found.iter().find(|(of, _)| *of == case);
        let found = |case| found(case).map_or(0.0, |(_, share)| *share);
        let mut minutes = String::new();
        for (case, [median, most]) in &self.minutes {
            let comma = if minutes.is_empty() { "" } else { "," };
            let name = case.name();
            let _ = write!(
                minutes,
                "{comma}\"{name}\":{{\"p50\":{median},\"p99\":{most}}}"
            );
        }
        format!(
            "{{\"false_rollback_rate\":{:.5},\"detection_error_x2\":{:.5},\
             \"detection_latency_25\":{:.5},\"minutes_to_decision\":{{{minutes}}}}}",
            share(self.rolled_back, self.steps),
            found(Case::ErrorsTwice),
            found(Case::QuarterSlower),
        )
    }
}

#[expect(clippy::cast_precision_loss, reason = "some hundred draws")]
fn share(part: usize, all: usize) -> f64 {
    if all == 0 {
        0.0
    } else {
        part as f64 / all as f64
    }
}

/// The median and the 99th of a hundred.
fn quantiles(decisions: &[Decision], of: impl Fn(&Decision) -> u64) -> [u64; 2] {
    let mut values: Vec<u64> = decisions.iter().map(of).collect();
    values.sort_unstable();
    [50, 99].map(|percent| {
        let at = (values.len() * percent / 100).min(values.len().saturating_sub(1));
        values.get(at).copied().unwrap_or(0)
    })
}
