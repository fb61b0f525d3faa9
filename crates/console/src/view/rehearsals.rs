//! The last rehearsals of a hand-over, as the journal has them, and what they say of the
//! one that is meant.

use super::{
    format,
    next::{Button, button},
    verbs,
};
use crate::role::Role;
use conductor::{
    JournalEntry, RecordedEvent, ReportEvent,
    outlook::rehearsal::Figures,
    status::{ExtractionStatus, HandoverStatus, Pause},
};
use report::clock;

/// The most that are shown, and gone by: too few for a 99th percentile.
const SHOWN_MAX: usize = 20;

/// What the page of an extraction shows of them.
#[derive(Debug)]
pub(crate) struct Rehearsals {
    pub(crate) title: String,
    /// What those that got through say.
    pub(crate) figures: Option<String>,
    /// Who was waited for, each once.
    pub(crate) waited_for: Vec<String>,
    /// Newest first.
    pub(crate) rows: Vec<RehearsalRow>,
    pub(crate) order: Option<Button>,
}

/// One rehearsal.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RehearsalRow {
    pub(crate) at: String,
    pub(crate) class: &'static str,
    pub(crate) outcome: &'static str,
    pub(crate) pause: String,
    pub(crate) held: String,
    pub(crate) longest: String,
    /// Why it was aborted.
    pub(crate) reason: Option<String>,
}

/// Those of the hand-over that would come next; `None` where there is none to rehearse.
pub(crate) fn rehearsals(
    one: &ExtractionStatus,
    entries: &[JournalEntry],
    role: Role,
) -> Option<Rehearsals> {
    let kind = match (one.phase.as_str(), one.owner.as_str()) {
        // Shared data has no hand-over.
        _ if one.writes_percent.is_some() => return None,
        ("finished" | "finishing" | "cancelling" | "planned" | "", _) => return None,
        (_, "service") => "rollback",
        _ => "switch",
    };
    let mut made: Vec<(i64, HandoverStatus)> = entries
        .iter()
        .filter_map(reported)
        .filter(|(_, one)| one.rehearsal && one.kind == kind)
        .collect();
    made.reverse();
    made.truncate(SHOWN_MAX);
    let through: Vec<_> = made
        .iter()
        .filter(|(_, one)| one.outcome == "rehearsed")
        .map(|(_, one)| one.clone())
        .collect();
    let verb =
        verbs::find("rehearse", one).filter(|_| ["following", "switched"].contains(&&*one.phase));
    let figures = Figures::of(&through);
    let waits = figures.waited_for.iter();
    Some(Rehearsals {
        title: format!("Rehearsals of the {kind}"),
        waited_for: waits
            .map(|wait| format!("in {}: {}", wait.step.replace('-', " "), wait.whom))
            .collect(),
        figures: (!through.is_empty()).then(|| text(through.len(), &figures)),
        rows: made.iter().map(|(at_ms, one)| row(*at_ms, one)).collect(),
        order: verb.map(|verb| button(one, verb, role, None)),
    })
}

/// What an entry reports of a hand-over, and when.
fn reported(entry: &JournalEntry) -> Option<(i64, HandoverStatus)> {
    let RecordedEvent::Report(ReportEvent::Reported { of, report }) = entry.recorded()? else {
        return None;
    };
    let report = (of == "handover").then_some(report)?;
    Some((entry.at_ms, serde_json::from_value(report).ok()?))
}

fn text(count: usize, figures: &Figures) -> String {
    let pause = &figures.pause_ms;
    let max = format::milliseconds(pause.max);
    let paused = match count {
        1 => format!("By one rehearsal, writes would pause for {max}"),
        count => format!(
            "By {count} rehearsals, writes would pause for {} at the median, {max} at most",
            format::milliseconds(pause.p50)
        ),
    };
    let held = match figures.held_requests {
        0 => "No request came in that time.".to_owned(),
        1 => format!(
            "1 request was held, for {}.",
            format::milliseconds(figures.held_ms_max)
        ),
        held => format!(
            "{} requests were held, for {} at most.",
            format::count(held),
            format::milliseconds(figures.held_ms_max)
        ),
    };
    format!("{paused}. {held}")
}

fn row(at_ms: i64, one: &HandoverStatus) -> RehearsalRow {
    let (outcome, class) = if one.outcome == "rehearsed" {
        ("got through", "pass")
    } else {
        ("aborted", "fail")
    };
    RehearsalRow {
        at: clock::minute(at_ms),
        class,
        outcome,
        pause: match one.pause() {
            Some(Pause::Measured(ms)) => format::milliseconds(ms),
            Some(Pause::AtMost(ms)) => format!("{} at most", format::milliseconds(ms)),
            Some(Pause::Never) | None => "–".to_owned(),
        },
        held: format::count(one.hold.held_requests),
        longest: if one.hold.held_requests == 0 {
            "–".to_owned()
        } else {
            format::milliseconds(one.hold.hold_ms_max)
        },
        reason: one.reason.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use conductor::{
        ports::HoldReport,
        status::{StepStatus, WaitStatus},
    };
    use serde_json::value::to_raw_value;

    fn entry(seq: i64, kind: &str, outcome: &str, fence_ms: f64) -> JournalEntry {
        let step = |name: &str, ms| StepStatus {
            name: name.to_owned(),
            ms,
        };
        let report = HandoverStatus {
            kind: kind.to_owned(),
            rehearsal: true,
            outcome: outcome.to_owned(),
            reason: (outcome == "aborted").then(|| "a writer did not end".to_owned()),
            hold: HoldReport {
                held_requests: 2,
                hold_ms_max: 9.0,
                ..HoldReport::default()
            },
            steps: vec![
                step("lock", 3.0),
                step("hold", 1.0),
                step("fence", fence_ms),
            ],
            waited_for: vec![WaitStatus {
                step: "fence".to_owned(),
                whom: "psql".to_owned(),
            }],
            ..HandoverStatus::default()
        };
        let event = ReportEvent::Reported {
            of: "handover".to_owned(),
            report: serde_json::to_value(report).unwrap(),
        };
        JournalEntry {
            seq,
            at_ms: seq,
            extraction: "contracts".to_owned(),
            version: 1,
            event: to_raw_value(&event).unwrap(),
            hash: String::new(),
        }
    }

    fn following() -> ExtractionStatus {
        ExtractionStatus {
            phase: "following".to_owned(),
            owner: "monolith".to_owned(),
            ..ExtractionStatus::default()
        }
    }

    #[test]
    fn they_say_how_long_writes_would_pause_and_who_was_waited_for() {
        let entries = [
            entry(1, "switch", "rehearsed", 19.0),
            entry(2, "switch", "aborted", 500.0),
            entry(3, "rollback", "rehearsed", 700.0),
            entry(4, "switch", "rehearsed", 39.0),
        ];
        let shown = rehearsals(&following(), &entries, Role::Viewer).unwrap();
        assert_eq!(
            shown.figures.as_deref(),
            Some(
                "By 2 rehearsals, writes would pause for 20 ms at the median, 40 ms at most. 4 \
                 requests were held, for 9.0 ms at most."
            )
        );
        assert_eq!(shown.waited_for, ["in fence: psql"]);
        let outcomes: Vec<_> = shown.rows.iter().map(|row| row.outcome).collect();
        assert_eq!(outcomes, ["got through", "aborted", "got through"]);
        assert!(shown.rows[1].reason.is_some());
        let order = shown.order.unwrap();
        assert!(order.blocked.is_some(), "a viewer may not");
    }

    #[test]
    fn what_cannot_be_handed_over_is_not_rehearsed() {
        let of = |one: &ExtractionStatus| rehearsals(one, &[], Role::Operator);
        assert!(of(&following()).unwrap().order.is_some());
        let mut one = following();
        one.phase = "copying".to_owned();
        assert!(of(&one).unwrap().order.is_none(), "not yet");
        one.phase = "finished".to_owned();
        assert!(of(&one).is_none());
        let mut one = following();
        one.writes_percent = Some(0.0);
        assert!(of(&one).is_none(), "shared data");
    }
}
