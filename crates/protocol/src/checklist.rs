//! Checklists: what is answered to their items, and whether that counts.
//!
//! An automatic item counts when its check has passed lately. One whose check could not
//! be made here, since a tool is missing, counts when a person attests it; one whose
//! check has failed counts by nothing but a check that passes. All other items are
//! attested. Every answer has an age.

use crate::rollout::{Actor, UnixMillis};
use plan::ChecklistItem;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// Clocks differ. An answer that is further ahead of ours was given by a wrong one.
const SKEW_MS: i64 = 5 * 60 * 1000;

/// What has happened to an item. Persisted: never edited; a changed meaning is a new
/// variant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event")]
pub enum Event {
    /// Its check was made.
    #[serde(rename = "item-checked")]
    Checked {
        /// Its name.
        item: String,
        /// What came of it.
        result: CheckResult,
        /// That in words.
        text: String,
        /// When it ended.
        at: UnixMillis,
    },
    /// A person has attested it.
    #[serde(rename = "item-attested")]
    Attested {
        /// Its name.
        item: String,
        /// Who.
        by: Actor,
        /// In that person's words.
        note: String,
        /// When.
        at: UnixMillis,
    },
}

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckResult {
    /// It is so.
    Passed,
    /// It is not.
    Failed,
    /// It cannot be made here.
    Skipped,
}

/// The answers to an extraction's items, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answers(BTreeMap<String, Answer>);

/// The last answers to an item.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// Of its check.
    pub checked: Option<Checked>,
    /// Of a person.
    pub attested: Option<Attested>,
}

/// What a check has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// What came of it.
    pub result: CheckResult,
    /// That in words.
    pub text: String,
    /// When it ended.
    pub at: UnixMillis,
}

/// What a person has attested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attested {
    /// Who.
    pub by: Actor,
    /// In that person's words.
    pub note: String,
    /// When.
    pub at: UnixMillis,
}

/// How an item stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemState {
    /// It is done.
    Done,
    /// Nobody has answered yet.
    Open,
    /// The answer is too old.
    Old,
    /// The check has failed.
    Failed,
    /// The check cannot be made here, and nobody has attested it.
    Skipped,
}

impl ItemState {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Open => "open",
            Self::Old => "old",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

impl fmt::Display for ItemState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Answers {
    /// With what has happened.
    #[must_use]
    pub fn evolve(mut self, event: &Event) -> Self {
        match event.clone() {
            Event::Checked {
                item,
                result,
                text,
                at,
            } => {
                let checked = Checked { result, text, at };
                self.0.entry(item).or_default().checked = Some(checked);
            }
            Event::Attested { item, by, note, at } => {
                let attested = Attested { by, note, at };
                self.0.entry(item).or_default().attested = Some(attested);
            }
        }
        self
    }

    /// The last answers to an item.
    pub fn of(&self, item: &str) -> Option<&Answer> {
        self.0.get(item)
    }

    /// How an item stands.
    pub fn state(&self, item: &ChecklistItem, now: UnixMillis) -> ItemState {
        let answer = self.0.get(&item.name);
        let is_recent = |at: UnixMillis| {
            let age = now.0.saturating_sub(at.0);
            (-SKEW_MS..=millis(item)).contains(&age)
        };
        let counts = |at| {
            if is_recent(at) {
                ItemState::Done
            } else {
                ItemState::Old
            }
        };
        let attested = answer.and_then(|answer| answer.attested.as_ref());
        let Some(_) = item.check else {
            return attested.map_or(ItemState::Open, |attested| counts(attested.at));
        };
        match answer.and_then(|answer| answer.checked.as_ref()) {
            None => ItemState::Open,
            Some(checked) => match checked.result {
                CheckResult::Passed => counts(checked.at),
                CheckResult::Failed => ItemState::Failed,
                CheckResult::Skipped => {
                    attested.map_or(ItemState::Skipped, |attested| counts(attested.at))
                }
            },
        }
    }

    /// Why a person's word on an item is not taken, if it is not.
    pub fn refuses_attestation(&self, item: &ChecklistItem) -> Option<String> {
        item.check?;
        let checked = self.0.get(&item.name).and_then(|one| one.checked.as_ref());
        match checked {
            Some(checked) if checked.result == CheckResult::Skipped => None,
            Some(checked) if checked.result == CheckResult::Failed => Some(format!(
                "`{}` is checked, and that failed: {}. Mend it, and have it checked again",
                item.name, checked.text
            )),
            _ => Some(format!(
                "`{}` is checked by itself: have that done. It is attested only where it cannot be \
                 checked",
                item.name
            )),
        }
    }
}

fn millis(item: &ChecklistItem) -> i64 {
    i64::try_from(item.max_age.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use plan::AutomaticCheck;
    use std::time::Duration;

    /// Never edited: what these lines say was written by some release.
    const GOLDEN: &str = include_str!("../tests/golden/checklist_events.jsonl");

    fn checked(result: CheckResult, at: i64) -> Event {
        Event::Checked {
            item: "backup".to_owned(),
            result,
            text: "12 rows restored".to_owned(),
            at: UnixMillis(at),
        }
    }

    fn attested(item: &str, at: i64) -> Event {
        Event::Attested {
            item: item.to_owned(),
            by: Actor::Person("ada".to_owned()),
            note: "CHG-7".to_owned(),
            at: UnixMillis(at),
        }
    }

    #[test]
    fn journals_of_earlier_releases_are_read_as_they_were_written() {
        let read = |line| serde_json::from_str::<Event>(line).unwrap();
        let events: Vec<_> = GOLDEN.lines().map(read).collect();
        let written = [
            checked(CheckResult::Passed, 1_700_000_000_000),
            checked(CheckResult::Failed, 1_700_000_000_001),
            checked(CheckResult::Skipped, 1_700_000_000_002),
            attested("ticket", 1_700_000_000_003),
        ];
        assert_eq!(events, written);
        let lines: Vec<_> = events
            .iter()
            .map(|event| serde_json::to_string(event).unwrap())
            .collect();
        assert_eq!(lines.join("\n"), GOLDEN.trim_end());
    }

    #[test]
    fn an_item_is_done_by_a_recent_answer_of_its_kind() {
        let item = |name: &str, check| ChecklistItem {
            name: name.to_owned(),
            text: String::new(),
            check,
            max_age: Duration::from_mins(1),
        };
        let backup = item("backup", Some(AutomaticCheck::Backup));
        let ticket = item("ticket", None);
        let minutes = |count: i64| UnixMillis(count * 60_000);
        let by = |events: &[Event]| events.iter().fold(Answers::default(), Answers::evolve);
        let none = by(&[]);
        assert_eq!(none.state(&backup, minutes(0)), ItemState::Open);
        assert_eq!(none.state(&ticket, minutes(0)), ItemState::Open);
        let passed = by(&[checked(CheckResult::Passed, 0)]);
        assert_eq!(passed.state(&backup, minutes(1)), ItemState::Done);
        assert_eq!(passed.state(&backup, minutes(2)), ItemState::Old);
        // A clock that was an hour ahead.
        assert_eq!(passed.state(&backup, minutes(-60)), ItemState::Old);
        // A person's word does not mend what has failed, and stands for what is skipped.
        let failed = by(&[attested("backup", 0), checked(CheckResult::Failed, 0)]);
        assert_eq!(failed.state(&backup, minutes(0)), ItemState::Failed);
        assert!(
            failed
                .refuses_attestation(&backup)
                .unwrap()
                .contains("12 rows")
        );
        let skipped = by(&[checked(CheckResult::Skipped, 0)]);
        assert_eq!(skipped.state(&backup, minutes(0)), ItemState::Skipped);
        assert_eq!(skipped.refuses_attestation(&backup), None);
        let stood_for = skipped.evolve(&attested("backup", 0));
        assert_eq!(stood_for.state(&backup, minutes(1)), ItemState::Done);
        assert_eq!(stood_for.state(&backup, minutes(2)), ItemState::Old);
        let told = by(&[attested("ticket", 0)]);
        assert_eq!(told.state(&ticket, minutes(1)), ItemState::Done);
        assert_eq!(told.refuses_attestation(&ticket), None);
        assert!(none.refuses_attestation(&backup).is_some());
    }
}
