//! The checklists of an extraction: what was checked, what a person has to attest.

use crate::role::{Role, lacks};
use conductor::status::{ChecklistStatus, ItemStatus};
use report::clock;

/// A list.
#[derive(Debug)]
pub(crate) struct ListView {
    pub(crate) name: String,
    pub(crate) chip: &'static str,
    pub(crate) class: &'static str,
    pub(crate) items: Vec<ItemView>,
}

/// An item of it.
#[derive(Debug)]
pub(crate) struct ItemView {
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) state: String,
    pub(crate) class: &'static str,
    /// Who says so, or what its check found, and when.
    pub(crate) because: Option<String>,
    pub(crate) is_automatic: bool,
    /// Why this person may not answer it.
    pub(crate) blocked: Option<String>,
}

/// A list, to a person of this role.
pub(crate) fn list(list: &ChecklistStatus, role: Role) -> ListView {
    let (chip, class) = if list.done {
        ("done", "pass")
    } else {
        ("open", "wait")
    };
    ListView {
        name: list.name.clone(),
        chip,
        class,
        items: list.items.iter().map(|one| item(one, role)).collect(),
    }
}

fn item(item: &ItemStatus, role: Role) -> ItemView {
    let needed = if item.automatic {
        Role::Operator
    } else {
        Role::Approver
    };
    let (state, class) = match item.state.as_str() {
        "done" => ("done", "pass"),
        "failed" => ("failed", "fail"),
        "old" => ("too old", "wait"),
        other => (other, "wait"),
    };
    ItemView {
        name: item.name.clone(),
        text: item.text.clone(),
        state: if item.checking {
            "is being checked".to_owned()
        } else {
            state.to_owned()
        },
        class,
        because: because(item),
        is_automatic: item.automatic,
        blocked: lacks(role, needed),
    }
}

fn because(item: &ItemStatus) -> Option<String> {
    if let Some(by) = &item.by {
        let note = item.note.as_ref().filter(|note| !note.is_empty());
        let note = note.map_or_else(String::new, |note| format!(": {note}"));
        let at = item.attested_ms.map(clock::minute).unwrap_or_default();
        return Some(format!("attested by {by}, {at}{note}"));
    }
    let found = item.found.as_ref()?;
    let at = item.checked_ms.map(clock::minute).unwrap_or_default();
    Some(format!("{found} ({at})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_says_who_or_what_answers_it() {
        let mut one = ItemStatus {
            name: "ticket".to_owned(),
            state: "open".to_owned(),
            ..ItemStatus::default()
        };
        let shown = item(&one, Role::Operator);
        assert_eq!((shown.class, &shown.because), ("wait", &None));
        let lacks = "Needs the role approver; yours is operator.";
        assert_eq!(shown.blocked.as_deref(), Some(lacks));
        one.state = "done".to_owned();
        one.by = Some("anna".to_owned());
        one.note = Some("CHG-7".to_owned());
        one.attested_ms = Some(0);
        let shown = item(&one, Role::Approver);
        let because = "attested by anna, 1970-01-01 00:00 UTC: CHG-7";
        assert_eq!(shown.because.as_deref(), Some(because));
        assert_eq!((shown.class, shown.blocked), ("pass", None));
    }
}
