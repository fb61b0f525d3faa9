//! Checklists as they are shown.

use super::state::State;
use crate::status::{ChecklistStatus, ItemStatus};
use plan::ChecklistItem;
use protocol::{
    checklist::{CheckResult, ItemState},
    rollout::{Gate, GateKind, UnixMillis, Verdict},
};
use serde_json::json;

/// A list.
pub(super) fn list(
    name: &str,
    items: &[ChecklistItem],
    state: &State,
    now: UnixMillis,
) -> ChecklistStatus {
    let items: Vec<_> = items.iter().map(|item| one(item, state, now)).collect();
    ChecklistStatus {
        name: name.to_owned(),
        done: items
            .iter()
            .all(|item| item.state == ItemState::Done.as_str()),
        items,
    }
}

fn one(item: &ChecklistItem, state: &State, now: UnixMillis) -> ItemStatus {
    let answer = state.answers.of(&item.name);
    let checked = answer.and_then(|answer| answer.checked.as_ref());
    let attested = answer.and_then(|answer| answer.attested.as_ref());
    // A person's word stands for a check that could not be made, and for no other.
    let attested = attested.filter(|_| {
        item.check.is_none() || checked.is_some_and(|one| one.result == CheckResult::Skipped)
    });
    ItemStatus {
        name: item.name.clone(),
        text: item.text.clone(),
        automatic: item.check.is_some(),
        state: state.answers.state(item, now).as_str().to_owned(),
        checking: state.checking.as_ref() == Some(&item.name),
        found: checked.map(|checked| checked.text.clone()),
        checked_ms: checked.map(|checked| checked.at.0),
        by: attested.map(|attested| attested.by.to_string()),
        note: attested.map(|attested| attested.note.clone()),
        attested_ms: attested.map(|attested| attested.at.0),
    }
}

/// The gate of a step that waits for these items.
pub(super) fn gate(items: &[&ChecklistItem], state: &State, now: UnixMillis) -> Gate {
    let states = items
        .iter()
        .map(|item| (*item, state.answers.state(item, now)));
    let open: Vec<_> = states.filter(|(_, is)| *is != ItemState::Done).collect();
    let words: Vec<_> = open
        .iter()
        .map(|(item, is)| format!("{} ({is})", item.name))
        .collect();
    let (verdict, text) = if items.is_empty() {
        (Verdict::Unknown, "the plan has no such item".to_owned())
    } else if open.is_empty() {
        (Verdict::Pass, format!("all {} items are done", items.len()))
    } else {
        (
            Verdict::Fail,
            format!(
                "not done: {}. `banyan checklist` says why",
                words.join(", ")
            ),
        )
    };
    let evidence = json!({ "gate": "checklist", "open": words });
    made(verdict, text, evidence)
}

/// The same where nobody answers any checklist.
pub(crate) fn unanswered() -> Gate {
    let text = "nobody answers checklists here".to_owned();
    made(Verdict::Unknown, text, json!({ "gate": "checklist" }))
}

fn made(verdict: Verdict, text: String, evidence: serde_json::Value) -> Gate {
    Gate {
        name: "checklist".to_owned(),
        kind: GateKind::Begin,
        is_dry_run: false,
        verdict,
        text,
        evidence,
    }
}
