//! The one thing that comes next, and what else may be ordered.

use super::{
    format,
    verbs::{self, Verb},
};
use crate::role::Role;
use conductor::{
    Precondition,
    status::{ExtractionStatus, RolloutStatus},
};
use report::clock;

/// The shares that are proposed, in percent.
const SHARES: [f64; 4] = [5.0, 10.0, 50.0, 100.0];

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
    let (title, text, primary) = proposal(one);
    let button = |name: &str| verbs::find(name).map(|verb| button(one, verb, role));
    let primary = primary.and_then(button);
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
        others: others.filter_map(button).collect(),
        primary,
    }
}

fn button(one: &ExtractionStatus, verb: &'static Verb, role: Role) -> Button {
    let share = (verb.name == "shift").then(|| next_share(one.reads_percent));
    let label = match share {
        Some(share) => format!("Shift to {}", format::percent(share)),
        None => verb.label.to_owned(),
    };
    let blocked = role.lacks(verb.needs);
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

fn next_share(now: f64) -> f64 {
    let next = SHARES.into_iter().find(|share| *share > now + f64::EPSILON);
    next.unwrap_or(100.0)
}

type Proposal = (String, String, Option<&'static str>);

fn proposal(one: &ExtractionStatus) -> Proposal {
    let say = |title: &str, text: &str, verb| (title.to_owned(), text.to_owned(), verb);
    let begun = !["", "planned", "cancelling"].contains(&one.phase.as_str());
    if let Some(rollout) = one.rollout.as_ref().filter(|_| begun)
        && let Some(proposal) = by_steps(rollout)
    {
        return proposal;
    }
    let verified = one.last_verify.as_ref().map(|last| last.differences);
    match one.phase.as_str() {
        "planned" => say("Start it.", "", Some("start")),
        "preparing" | "copying" => say(
            "The copy is under way.",
            "It goes on by itself; then both sides can be compared.",
            None,
        ),
        "following" => match verified {
            None => say(
                "Prove that both sides have the same rows.",
                "",
                Some("verify"),
            ),
            Some(1..) => say(
                "Both sides differ: look at Differences, mend what differs, and prove it again.",
                "",
                Some("verify"),
            ),
            Some(0) if one.reads_percent >= 100.0 => {
                say("Hand the writes over.", "", Some("switch"))
            }
            Some(0) => (
                format!(
                    "Send {} of the readers to the service.",
                    format::percent(next_share(one.reads_percent))
                ),
                String::new(),
                Some("shift"),
            ),
        },
        "shared" => say(
            "Send more of the requests to the service.",
            "",
            Some("shift"),
        ),
        "switching" => say("The switch is under way.", "It ends by itself.", None),
        "rolling-back" => say("The rollback is under way.", "It ends by itself.", None),
        "switched" => say(
            "Watch it at the service.",
            "Keep it there for good once nothing asks for the old tables; until then prove from \
             time to time that the way back has every row.",
            Some("verify"),
        ),
        "cancelling" | "finishing" => say("It is being ended.", "It goes on by itself.", None),
        "finished" => say(
            "Nothing is left to do.",
            "It is kept at the service for good; take it from the plan when you like.",
            None,
        ),
        _ => say(
            "Waits until both databases have answered.",
            "It is tried again by itself.",
            None,
        ),
    }
}

/// What comes next where the plan has steps.
fn by_steps(rollout: &RolloutStatus) -> Option<Proposal> {
    let waits = rollout.waits_for.join("; ");
    match rollout.state.as_str() {
        "stopped" => {
            let why = rollout.why.as_deref().unwrap_or("no reason is known");
            Some((
                format!("It has stopped: {why}."),
                String::new(),
                Some("resume"),
            ))
        }
        "running" if waits.contains("`banyan approve`") => Some((
            "A person is asked.".to_owned(),
            format!("It waits for {}.", waits.replace(": `banyan approve`", "")),
            Some("approve"),
        )),
        "running" => {
            let until = rollout.until_ms.map_or_else(String::new, |at| {
                format!(", until {} at least", clock::minute(at))
            });
            let text = if waits.is_empty() {
                String::new()
            } else {
                format!("It waits for {waits}{until}.")
            };
            Some((following_step(rollout), text, None))
        }
        _ => None,
    }
}

/// The step after the one that it is in.
fn following_step(rollout: &RolloutStatus) -> String {
    let next = rollout.step.and_then(|step| rollout.steps.get(step));
    match next {
        Some(next) => format!("It goes on by itself; next: {next}."),
        None => "It goes on by itself.".to_owned(),
    }
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
    use conductor::status::VerifyStatus;

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

    fn primary(one: &ExtractionStatus) -> Option<String> {
        next(one, Role::Approver).primary.map(|button| button.label)
    }

    #[test]
    fn one_thing_is_proposed_at_a_time() {
        for (one, wanted) in [
            (following(0.0, None), Some("Verify")),
            (following(0.0, Some(2)), Some("Verify")),
            (following(0.0, Some(0)), Some("Shift to 5 %")),
            (following(10.0, Some(0)), Some("Shift to 50 %")),
            (following(100.0, Some(0)), Some("Switch")),
        ] {
            assert_eq!(primary(&one).as_deref(), wanted);
        }
    }

    #[test]
    fn steps_of_the_plan_come_before_what_a_person_would_do() {
        let mut one = following(10.0, Some(0));
        let mut rollout = RolloutStatus {
            state: "running".to_owned(),
            step: Some(1),
            steps: vec!["reads 10%".to_owned(), "reads 50%".to_owned()],
            waits_for: vec!["the step's time".to_owned()],
            ..RolloutStatus::default()
        };
        one.rollout = Some(rollout.clone());
        let told = next(&one, Role::Approver);
        assert_eq!(told.title, "It goes on by itself; next: reads 50%.");
        assert_eq!(told.primary, None);
        assert_eq!(told.others[0].verb.name, "pause");

        rollout.waits_for = vec!["approval of \"the lead\": `banyan approve`".to_owned()];
        one.rollout = Some(rollout.clone());
        assert_eq!(primary(&one).as_deref(), Some("Approve"));

        rollout.state = "stopped".to_owned();
        rollout.why = Some("gate `p99` failed".to_owned());
        one.rollout = Some(rollout);
        assert_eq!(primary(&one).as_deref(), Some("Resume"));
    }

    #[test]
    fn what_a_role_may_not_do_is_shown_with_the_reason() {
        let one = following(0.0, Some(0));
        let of = |role| next(&one, role).primary.unwrap().blocked;
        assert_eq!(
            of(Role::Viewer).as_deref(),
            Some("Needs the role operator; yours is viewer.")
        );
        assert_eq!(of(Role::Operator), None);
    }
}
