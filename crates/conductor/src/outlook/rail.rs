//! Nine stops, in their order.

use crate::status::{ExtractionStatus, RailStop, StopState};

const NAMES: [&str; 9] = [
    "check", "copy", "follow", "verify", "shadow", "shift", "switch", "watch", "retire",
];

/// Those of an extraction whose data both sides share.
const SHARED: [&str; 4] = ["check", "shadow", "shift", "retire"];

/// Where an extraction stands.
pub fn rail(one: &ExtractionStatus) -> Vec<RailStop> {
    let now = NAMES.iter().position(|name| *name == stop(one));
    let is_left_out = |name: &str| {
        let shares = one.writes_percent.is_some();
        shares && !SHARED.contains(&name) || name == "shadow" && one.shadow_percent.is_none()
    };
    let state = |at: usize| match now {
        Some(now) if at > now => StopState::ToCome,
        Some(now) if at == now => StopState::Now,
        _ => StopState::Done,
    };
    let names = NAMES.iter().enumerate();
    names
        .map(|(at, name)| RailStop {
            name: (*name).to_owned(),
            state: if is_left_out(name) {
                StopState::LeftOut
            } else {
                state(at)
            },
            note: note(name, one).filter(|_| !is_left_out(name)),
        })
        .collect()
}

/// The stop where it is.
fn stop(one: &ExtractionStatus) -> &'static str {
    let owns = |side: &str| one.owner == side;
    match one.phase.as_str() {
        "preparing" | "copying" => "copy",
        "following" if one.progress.forward.is_none() => "follow",
        "following" if one.reads_percent >= 100.0 => "switch",
        "following" if is_proven(one) || one.reads_percent > 0.0 => "shift",
        "following" => "verify",
        "shared" => "shift",
        "rehearsing" if is_back(one) => "watch",
        "switching" | "rolling-back" | "rehearsing" => "switch",
        "switched" if owns("service") => "watch",
        // Until it is taken out of the plan: what is left of the old side is to go.
        "finishing" | "finished" => "retire",
        _ => "check",
    }
}

fn is_back(one: &ExtractionStatus) -> bool {
    let last = one.last_handover.as_ref();
    last.is_some_and(|last| last.kind == "rollback")
}

fn is_proven(one: &ExtractionStatus) -> bool {
    let last = one.last_verify.as_ref();
    last.is_some_and(|last| last.differences == 0)
}

/// A number that goes with a stop.
fn note(name: &str, one: &ExtractionStatus) -> Option<String> {
    let copy = &one.progress.copy;
    match name {
        "copy" if one.phase == "copying" => {
            Some(format!("{} of {}", copy.rows_copied, copy.rows_total))
        }
        "verify" => one
            .last_verify
            .as_ref()
            .filter(|last| last.differences > 0)
            .map(|last| format!("{} differ", last.differences)),
        "shadow" => one.shadow_percent.map(|share| format!("{share}%")),
        "shift" if one.reads_percent > 0.0 => Some(format!("{}%", one.reads_percent)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ports::{Progress, StreamProgress},
        status::VerifyStatus,
    };

    fn status(phase: &str, reads_percent: f64, differences: Option<u64>) -> ExtractionStatus {
        ExtractionStatus {
            phase: phase.to_owned(),
            owner: if phase == "switched" {
                "service".to_owned()
            } else {
                "monolith".to_owned()
            },
            reads_percent,
            progress: Progress {
                forward: Some(StreamProgress::default()),
                ..Progress::default()
            },
            last_verify: differences.map(|differences| VerifyStatus {
                differences,
                ..VerifyStatus::default()
            }),
            ..ExtractionStatus::default()
        }
    }

    fn now(one: &ExtractionStatus) -> Option<String> {
        let stops = rail(one).into_iter();
        let mut now = stops.filter(|stop| stop.state == StopState::Now);
        now.next().map(|stop| stop.name)
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
            ("rehearsing", 100.0, Some(0), Some("switch")),
            ("switched", 100.0, Some(0), Some("watch")),
            ("finishing", 100.0, Some(0), Some("retire")),
            ("finished", 100.0, Some(0), Some("retire")),
        ] {
            let found = now(&status(phase, reads, differences));
            assert_eq!(found.as_deref(), wanted, "{phase} {reads}");
        }
    }

    #[test]
    fn what_the_plan_has_not_is_left_out() {
        let left = |one: &ExtractionStatus| {
            let stops = rail(one).into_iter();
            let left = stops.filter(|stop| stop.state == StopState::LeftOut);
            left.map(|stop| stop.name).collect::<Vec<_>>()
        };
        let moves = status("following", 0.0, None);
        assert_eq!(left(&moves), ["shadow"]);
        let shared = ExtractionStatus {
            phase: "shared".to_owned(),
            writes_percent: Some(0.0),
            shadow_percent: Some(10.0),
            ..moves
        };
        assert_eq!(
            left(&shared),
            ["copy", "follow", "verify", "switch", "watch"]
        );
    }

    #[test]
    fn numbers_stand_beside_their_stop() {
        let stops = rail(&status("following", 50.0, Some(2)));
        let notes: Vec<_> = stops.into_iter().filter_map(|stop| stop.note).collect();
        assert_eq!(notes, ["2 differ", "50%"]);
    }
}
