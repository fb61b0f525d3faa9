//! The one thing that comes next, and what else may be ordered.

use super::{
    format,
    verbs::{self, Verb},
};
use crate::role::{Role, lacks};
use conductor::{
    Precondition,
    status::{ExtractionStatus, NextVerb},
};
use report::clock;

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Next {
    pub(crate) title: String,
    pub(crate) text: String,
    pub(crate) undo: String,
    /// What is proposed, if anything is.
    pub(crate) primary: Option<Button>,
    pub(crate) others: Vec<Button>,
}

/// A verb that is offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Button {
    pub(crate) verb: &'static Verb,
    pub(crate) label: String,
    /// For `shift`: the share that is proposed.
    pub(crate) share: Option<String>,
    /// How it stood when the page was made, where the order is bound to that.
    pub(crate) expected: Option<String>,
    /// Why it may not be pressed by this person.
    pub(crate) blocked: Option<String>,
}

/// What comes next for an extraction, to a person of this role.
pub(crate) fn next(one: &ExtractionStatus, role: Role) -> Next {
    let (title, text) = sentence(one);
    let asked = one.asks.as_ref();
    let primary = asked.and_then(|asked| {
        let verb = verbs::find(name(asked), one)?;
        let share = match asked {
            NextVerb::Shift { reads_percent } => Some(*reads_percent),
            _ => None,
        };
        Some(button(one, verb, role, share))
    });
    let is_primary = |name: &&str| {
        let primary = primary.as_ref();
        primary.is_some_and(|primary| primary.verb.name == *name)
    };
    let others = possible(one);
    let others = others.into_iter().filter(|name| !is_primary(name));
    let does = primary.as_ref().map(|primary| primary.verb.does);
    let undo = primary.as_ref().map(|primary| primary.verb.undo);
    let planned = one
        .rollout
        .as_ref()
        .and_then(|rollout| rollout.undo.clone());
    Next {
        title,
        text: [text.as_str(), does.unwrap_or_default()]
            .into_iter()
            .filter(|text| !text.is_empty())
            .collect::<Vec<_>>()
            .join(" "),
        undo: undo.map(str::to_owned).or(planned).unwrap_or_default(),
        others: others
            .filter_map(|name| Some(button(one, verbs::find(name, one)?, role, None)))
            .collect(),
        primary,
    }
}

/// A verb of its page, to a person of this role.
pub(crate) fn button(
    one: &ExtractionStatus,
    verb: &'static Verb,
    role: Role,
    share: Option<f64>,
) -> Button {
    let label = match share {
        Some(share) => format!("Shift to {}", format::percent(share)),
        None => verb.label.to_owned(),
    };
    let blocked = lacks(role, verb.needs);
    Button {
        verb,
        label,
        share: share.map(|share| format!("{share}%")),
        expected: expected(verb, one),
        blocked,
    }
}

/// How it stands, for a form to carry.
pub(crate) fn expected(verb: &Verb, one: &ExtractionStatus) -> Option<String> {
    let expected = verb.is_bound.then(|| Precondition::of(one));
    expected.and_then(|expected| serde_json::to_string(&expected).ok())
}

/// The verb's own name.
fn name(asked: &NextVerb) -> &'static str {
    match asked {
        NextVerb::Start => "start",
        NextVerb::Verify { .. } => "verify",
        NextVerb::Shift { .. } => "shift",
        NextVerb::Withdraw => "withdraw",
        NextVerb::Switch => "switch",
        NextVerb::Approve { .. } => "approve",
        NextVerb::Resume { .. } => "resume",
        NextVerb::Finish => "finish",
    }
}

/// What comes next, and more of it: what a person is asked for, or the status' own words.
pub(crate) fn sentence(one: &ExtractionStatus) -> (String, String) {
    let rollout = one.rollout.as_ref();
    let shares = one.writes_percent.is_some();
    let title = match &one.asks {
        None => {
            let until = rollout.and_then(|rollout| rollout.until_ms);
            let until = until.map(|at| format!("Until {} at least.", clock::minute(at)));
            let next = format!("{}.", format::capital(&one.next));
            return (next, until.unwrap_or_default());
        }
        Some(NextVerb::Approve { step, of }) => {
            let text = match of {
                Some(of) => format!("Step {step} waits for approval of \"{of}\"."),
                None => format!("Step {step} waits for a person, as each does by the plan."),
            };
            return ("A person is asked.".to_owned(), text);
        }
        Some(NextVerb::Resume { .. }) => match rollout.and_then(|rollout| rollout.why.as_ref()) {
            Some(why) => format!("It has stopped: {why}."),
            None => {
                "It was shifted before the plan had steps: say with which it goes on.".to_owned()
            }
        },
        Some(NextVerb::Start) => "Start it.".to_owned(),
        Some(NextVerb::Verify { differences: 0 }) => {
            "Prove that both sides have the same rows.".to_owned()
        }
        Some(NextVerb::Verify { .. }) => {
            "Both sides differ: look at Differences, mend what differs, and prove it again."
                .to_owned()
        }
        Some(NextVerb::Shift { reads_percent }) => format!(
            "Send {} of the readers to the service.",
            format::percent(*reads_percent)
        ),
        Some(NextVerb::Withdraw) => format!(
            "{} of the readers are at the service still: the rollback left them there.",
            format::percent(one.wanted_reads())
        ),
        Some(NextVerb::Switch) if shares => "Send the writes to the service, too.".to_owned(),
        Some(NextVerb::Switch) => "Hand the writes over.".to_owned(),
        Some(NextVerb::Finish) => {
            "The plan's steps end here: end the way back once nobody needs it.".to_owned()
        }
    };
    (title, String::new())
}

/// What may be ordered as it stands; whether it is done says the API.
fn possible(one: &ExtractionStatus) -> Vec<&'static str> {
    let mut names: Vec<&'static str> = match one.phase.as_str() {
        "following" => vec!["shift", "verify", "withdraw", "switch", "cancel"],
        "switched" => vec!["verify", "rollback", "finish"],
        "shared" => vec!["shift", "withdraw", "cancel"],
        "preparing" | "copying" => vec!["cancel"],
        _ => Vec::new(),
    };
    if one.reads_percent <= 0.0 {
        names.retain(|name| *name != "withdraw");
    }
    if let Some(rollout) = &one.rollout {
        match rollout.state.as_str() {
            "running" => names.insert(0, "pause"),
            "stopped" => names.insert(0, "resume"),
            _ => {}
        }
    }
    let streams = [&one.progress.forward, &one.progress.reverse];
    let has_failed = streams
        .into_iter()
        .flatten()
        .any(|stream| stream.state == "failed");
    if has_failed {
        names.push("recopy");
    }
    if one.trouble.is_some() && !names.contains(&"resume") {
        names.insert(0, "resume");
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use conductor::{
        outlook,
        status::{RolloutStatus, VerifyStatus},
    };

    fn following(reads_percent: f64, differences: Option<u64>) -> ExtractionStatus {
        ExtractionStatus {
            phase: "following".to_owned(),
            owner: "monolith".to_owned(),
            reads_percent,
            last_verify: differences.map(|differences| VerifyStatus {
                differences,
                ..VerifyStatus::default()
            }),
            ..ExtractionStatus::default()
        }
    }

    fn told(one: &ExtractionStatus) -> Next {
        next(&outlook::with(one.clone()), Role::Approver)
    }

    fn primary(one: &ExtractionStatus) -> Option<String> {
        told(one).primary.map(|button| button.label)
    }

    /// The button is the verb that the status asks for, whatever that is.
    #[test]
    fn the_button_is_what_the_status_asks_for() {
        for (asks, wanted) in [
            (NextVerb::Start, "Start"),
            (NextVerb::Verify { differences: 2 }, "Verify"),
            (NextVerb::Shift { reads_percent: 5.0 }, "Shift to 5 %"),
            (NextVerb::Withdraw, "Withdraw"),
            (NextVerb::Switch, "Switch"),
            (NextVerb::Approve { step: 2, of: None }, "Approve"),
            (NextVerb::Resume { step: Some(2) }, "Resume the steps"),
            (NextVerb::Finish, "Finish"),
        ] {
            let one = ExtractionStatus {
                asks: Some(asks),
                ..following(10.0, None)
            };
            let label = next(&one, Role::Approver).primary.map(|one| one.label);
            assert_eq!(label.as_deref(), Some(wanted));
        }
        let one = ExtractionStatus {
            next: "the copy ends, and it follows by itself".to_owned(),
            ..following(10.0, None)
        };
        let told = next(&one, Role::Approver);
        assert_eq!(told.title, "The copy ends, and it follows by itself.");
        assert_eq!(told.primary, None);
    }

    #[test]
    fn steps_of_the_plan_come_before_what_a_person_would_do() {
        let mut one = following(10.0, Some(0));
        let mut rollout = RolloutStatus {
            state: "running".to_owned(),
            step: Some(1),
            steps: vec!["reads 10%".to_owned(), "reads 50%".to_owned()],
            entered_ms: Some(7),
            waits_for: vec!["the step's time".to_owned()],
            until_ms: Some(0),
            ..RolloutStatus::default()
        };
        one.rollout = Some(rollout.clone());
        let shown = told(&one);
        assert_eq!(
            shown.title,
            "Step 2 of 2, reads 50%, after the step's time."
        );
        assert!(shown.text.starts_with("Until 1970-01-01"), "{}", shown.text);
        assert_eq!(shown.primary, None);
        assert_eq!(shown.others[0].verb.name, "pause");

        rollout.state = "stopped".to_owned();
        rollout.why = Some("gate `p99` failed".to_owned());
        rollout.waits_for = vec!["the withdrawal".to_owned()];
        one.rollout = Some(rollout.clone());
        assert_eq!(primary(&one), None, "it is being taken back");
        rollout.asks = Some(NextVerb::Resume { step: None });
        one.rollout = Some(rollout);
        assert_eq!(told(&one).title, "It has stopped: gate `p99` failed.");
        assert_eq!(primary(&one).as_deref(), Some("Resume the steps"));
    }

    #[test]
    fn readers_that_a_rollback_left_are_named() {
        let one = ExtractionStatus {
            left_readers: true,
            ..following(20.0, Some(0))
        };
        let shown = told(&one);
        assert!(shown.title.starts_with("20 % of the readers"), "{shown:?}");
        assert_eq!(primary(&one).as_deref(), Some("Withdraw"));
    }

    #[test]
    fn what_a_role_may_not_do_is_shown_with_the_reason() {
        let one = outlook::with(following(0.0, Some(0)));
        let of = |role| next(&one, role).primary.unwrap().blocked;
        assert_eq!(
            of(Role::Viewer).as_deref(),
            Some("Needs the role operator; yours is viewer.")
        );
        assert_eq!(of(Role::Operator), None);
    }
}
