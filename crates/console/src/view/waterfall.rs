//! A hand-over's steps, one after the other on one axis.

use super::format;
use conductor::status::HandoverStatus;

/// The width of the axis.
const WIDTH: f64 = 1000.0;

/// What is too short to be seen is drawn as wide as this.
const BAR_MIN: f64 = 4.0;

/// From `hold` on requests wait, until the outcome is known.
const HOLDING: [&str; 6] = ["hold", "fence", "catch-up", "commit", "open", "abort"];

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bar {
    pub(crate) name: String,
    pub(crate) is_held: bool,
    pub(crate) x: String,
    pub(crate) width: String,
    pub(crate) time: String,
}

/// It is looked whether all is ready before anything waits, for as long as that takes.
const BEFORE: &str = "ready";

/// How long it took until it was ready.
pub(crate) fn before(handover: &HandoverStatus) -> Option<String> {
    let ready = handover.steps.iter().find(|step| step.name == BEFORE)?;
    let time = format::milliseconds(ready.ms);
    Some(format!("Ready after {time}, in which nothing waited."))
}

/// The steps after that, in order.
pub(crate) fn waterfall(handover: &HandoverStatus) -> Vec<Bar> {
    let steps = handover.steps.iter().filter(|step| step.name != BEFORE);
    let all: f64 = steps.clone().map(|step| step.ms.max(0.0)).sum();
    let scale = if all > 0.0 { WIDTH / all } else { 0.0 };
    let has_held = handover.held();
    let mut begin = 0.0;
    let bar = |step: &conductor::status::StepStatus| {
        let width = (step.ms.max(0.0) * scale).max(BAR_MIN);
        let x = (begin * scale).min(WIDTH - width);
        begin += step.ms.max(0.0);
        Bar {
            name: step.name.replace('-', " "),
            is_held: has_held && HOLDING.contains(&step.name.as_str()),
            x: format!("{x:.1}"),
            width: format!("{width:.1}"),
            time: format::milliseconds(step.ms),
        }
    };
    steps.map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use conductor::status::StepStatus;

    #[test]
    fn bars_follow_each_other_within_the_axis() {
        let step = |name: &str, ms| StepStatus {
            name: name.to_owned(),
            ms,
        };
        let handover = HandoverStatus {
            steps: vec![
                step("ready", 12_000.0),
                step("lock", 75.0),
                step("hold", 25.0),
                step("open", 0.0),
            ],
            ..HandoverStatus::default()
        };
        let bars = waterfall(&handover);
        let drawn: Vec<_> = bars
            .iter()
            .map(|bar| (bar.x.as_str(), bar.width.as_str(), bar.is_held))
            .collect();
        assert_eq!(
            drawn,
            [
                ("0.0", "750.0", false),
                ("750.0", "250.0", true),
                ("996.0", "4.0", true)
            ]
        );
        let wanted = "Ready after 12 s, in which nothing waited.";
        assert_eq!(before(&handover).as_deref(), Some(wanted));
    }
}
