//! What has changed between two looks at an extraction, in sentences.

use crate::banyan::answers::{Extraction, Handover, Rollout};

/// In the order in which they are to be read.
pub(super) fn sentences(before: &Extraction, now: &Extraction) -> Vec<String> {
    let mut sentences = Vec::new();
    let is_copied = now.phase == "following" && now.last_handover.is_none();
    if is_copied && before.phase != "following" {
        let rows = now.copy.rows_copied;
        sentences.push(format!("{rows} rows copied, changes are followed."));
    }
    let (was, is) = (before.last_handover.as_ref(), now.last_handover.as_ref());
    if let Some(handover) = is
        && was.is_none_or(|was| !is_same(was, handover))
    {
        sentences.extend(handed_over(handover));
    }
    if let Some(rollout) = &now.rollout {
        let none = Rollout::default();
        steps(
            before.rollout.as_ref().unwrap_or(&none),
            rollout,
            &mut sentences,
        );
    }
    if before.reads_percent > 0.0 && now.reads_percent == 0.0 && now.owner == "monolith" {
        sentences.push("All reads are at the monolith again.".to_owned());
    }
    sentences
}

fn steps(before: &Rollout, now: &Rollout, sentences: &mut Vec<String>) {
    let is_entered = |one: &Rollout| one.entered_ms.is_some();
    let has_entered = is_entered(now)
        && (now.step != before.step || before.entered_ms != now.entered_ms)
        && now.state == "running";
    if has_entered && let (Some(step), Some(words)) = (now.step, now.step_in_words()) {
        let count = now.steps.len();
        sentences.push(format!("Step {step} of {count}: {words}."));
    }
    let waits = |one: &Rollout| {
        let first = one.waits_for.first().cloned().unwrap_or_default();
        // What it counts changes all the time.
        let is_for_others = one.entered_ms.is_none() && first.contains("to switch");
        is_for_others.then_some(first)
    };
    if let Some(what) = waits(now)
        && waits(before).is_none()
    {
        sentences.push(format!("Waits for {what}."));
    }
    if now.state == "stopped" && before.state != "stopped" {
        let why = now.why.as_deref().unwrap_or("no reason given");
        sentences.push(format!("Stopped by itself: {why}."));
    }
    if now.state == "done" && before.state != "done" {
        sentences.push("All its steps are done.".to_owned());
    }
    if let Some(refused) = &now.refused
        && before.refused != now.refused
    {
        sentences.push(format!("Asked again in a moment: {refused}"));
    }
}

/// Whether two looks show the same hand-over, which may have ended between them.
pub(super) fn is_same(one: &Handover, other: &Handover) -> bool {
    (&one.kind, one.epoch, &one.outcome) == (&other.kind, other.epoch, &other.outcome)
}

fn handed_over(handover: &Handover) -> Option<String> {
    let Handover {
        kind,
        total_ms,
        held_requests,
        hold_ms_max,
        ..
    } = handover;
    match handover.outcome.as_str() {
        "committed" => {
            let owner = if kind == "rollback" {
                "The monolith"
            } else {
                "The service"
            };
            Some(format!(
                "{owner} owns it: {kind} in {total_ms:.0} ms, {held_requests} requests held, \
                 {hold_ms_max:.0} ms at most."
            ))
        }
        "aborted" => Some(format!("The {kind} was undone: {}.", handover.reason())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(phase: &str, owner: &str, rollout: Rollout) -> Extraction {
        Extraction {
            phase: phase.to_owned(),
            owner: owner.to_owned(),
            rollout: Some(rollout),
            ..Extraction::default()
        }
    }

    fn in_step(step: usize, entered_ms: Option<i64>) -> Rollout {
        Rollout {
            state: "running".to_owned(),
            step: Some(step),
            steps: vec!["reads 50% for 20s".to_owned(), "switch".to_owned()],
            entered_ms,
            ..Rollout::default()
        }
    }

    #[test]
    fn a_step_is_told_once_and_when_it_begins() {
        let waiting = at("following", "monolith", in_step(1, None));
        let entered = at("following", "monolith", in_step(1, Some(5)));
        assert_eq!(
            sentences(&waiting, &entered),
            ["Step 1 of 2: reads 50% for 20s."]
        );
        assert!(sentences(&entered, &entered).is_empty());
        // Resumed: the same step anew.
        let again = at("following", "monolith", in_step(1, Some(9)));
        assert_eq!(sentences(&entered, &again).len(), 1);
    }

    #[test]
    fn why_it_stopped_and_what_became_of_its_share_is_told() {
        let mut running = at("following", "monolith", in_step(1, Some(5)));
        running.reads_percent = 50.0;
        let stopped = Rollout {
            state: "stopped".to_owned(),
            why: Some("gate `p95` failed".to_owned()),
            ..in_step(1, Some(5))
        };
        let stopped = at("following", "monolith", stopped);
        assert_eq!(
            sentences(&running, &stopped),
            [
                "Stopped by itself: gate `p95` failed.",
                "All reads are at the monolith again."
            ]
        );
    }

    #[test]
    fn a_hand_over_is_told_when_it_has_ended() {
        let before = at("following", "monolith", in_step(2, None));
        let handover = |outcome: &str| Extraction {
            last_handover: Some(Handover {
                kind: "rollback".to_owned(),
                outcome: outcome.to_owned(),
                epoch: 4,
                ..Handover::default()
            }),
            ..before.clone()
        };
        let under_way = handover("under-way");
        assert!(sentences(&before, &under_way).is_empty());
        let told = sentences(&under_way, &handover("committed"));
        assert!(
            told[0].starts_with("The monolith owns it: rollback"),
            "{told:?}"
        );
        assert!(sentences(&handover("committed"), &handover("committed")).is_empty());
    }

    #[test]
    fn a_dependency_is_told() {
        let mut waits = in_step(1, None);
        let before = at("following", "monolith", waits.clone());
        waits.waits_for = vec!["contracts to switch".to_owned()];
        let now = at("following", "monolith", waits);
        assert_eq!(sentences(&before, &now), ["Waits for contracts to switch."]);
    }
}
