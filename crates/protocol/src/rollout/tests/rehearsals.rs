//! Whole schedules on a clock of their own.

use super::world::{DAY, HOUR, plan};
use crate::rollout::{UnixMillis, rehearse};
use plan::{Plan, Role};
use std::time::Duration;

/// A plan that ships, by its path below `examples`.
fn example(path: &str) -> Plan {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples");
    let text = std::fs::read_to_string(format!("{directory}/{path}.yaml")).unwrap();
    let variable = |name: &str| match name {
        _ if name.ends_with("_LISTEN") => Some("127.0.0.1:0".to_owned()),
        _ if name.ends_with("DATABASE_URL") => Some(format!("postgres://u:p@127.0.0.1:1/{name}")),
        _ if name.ends_with("_URL") => Some("http://127.0.0.1:1".to_owned()),
        _ if name.ends_with("_TOKEN") => Some("hush".to_owned()),
        _ => None,
    };
    Plan::parse(&text, variable).unwrap()
}

/// The one that waits for another begins when that has switched, and all of them end.
#[test]
fn three_extractions_of_an_example_are_gone_through() {
    let plan = example("three-extractions/banyan");
    let timeline = rehearse(&plan, UnixMillis(0)).unwrap();
    assert!(timeline.iter().all(|one| !one.asks_a_person));
    let at = |name: &str, what: &str| {
        let found = timeline
            .iter()
            .position(|one| one.extraction.as_str() == name && one.what.starts_with(what));
        found.unwrap_or_else(|| panic!("{name}: {what}"))
    };
    assert!(at("contracts", "switch") < at("documents", "reads 50%"));
    for name in ["contracts", "documents", "users"] {
        at(name, "all steps are done");
    }
}

/// The schedules that ship: after how many days the way back may end, and after how many
/// the old side may go.
#[test]
fn the_examples_are_gone_through() {
    for (file, finish, retire) in [
        ("by-day", 19, 33),
        ("ten-to-all", 10, 24),
        // Of the switch on the sixth day: a week, and three.
        ("three-weeks", 13, 27),
        ("measured", 18, 32),
    ] {
        let plan = example(&format!("schedules/{file}"));
        // A Monday, at nine.
        let from = 1_795_996_800_000 + 9 * HOUR;
        let timeline = rehearse(&plan, UnixMillis(from)).unwrap();
        let mut people = timeline
            .iter()
            .filter(|one| one.what.contains("banyan finish"));
        let last = people
            .next()
            .unwrap_or_else(|| panic!("{file}: {timeline:#?}"));
        // What must pass is said of each step.
        let switch = timeline.iter().find(|one| one.what == "switch").unwrap();
        assert!(
            switch.gates.contains(&"error-rate".to_owned()),
            "{switch:?}"
        );
        assert_eq!((last.at.0 - from) / DAY, finish, "{file}: {timeline:#?}");
        let retires = timeline.iter().find(|one| {
            let mut items = one.items.iter();
            items.any(|item| item.name == "routes-unused")
        });
        let days = retires.map(|one| (one.at.0 - from) / DAY);
        assert_eq!(days, Some(retire), "{file}: {timeline:#?}");
    }
}

/// Of this thread: what else runs on the machine does not count.
fn processor_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let nanos = text.split(' ').next().unwrap().parse().unwrap();
    Duration::from_nanos(nanos)
}

#[test]
fn three_weeks_are_rehearsed_in_seconds() {
    let plan = plan(&[
        (
            "users",
            "steps: [{ reads: 10%, for: 24h }, { reads: 100%, for: 24h }, switch, { watch: 5d }]",
        ),
        (
            "contracts",
            "after: [users], gates: { window: { days: [mon, tue, wed, thu], from: \"08:00\", \
             until: \"16:00\" } }, steps: [{ reads: 5%, for: 24h }, { reads: 50%, for: 48h }, \
             { reads: 100%, approval: \"lead\" }, switch, { watch: 14d }, retire]",
        ),
    ]);
    // 2026-11-30, a Monday.
    let monday = 1_795_996_800_000;
    let before = processor_time();
    let timeline = rehearse(&plan, UnixMillis(monday)).unwrap();
    let took = processor_time().saturating_sub(before);
    assert!(took < Duration::from_secs(10), "{took:?}");
    let at = |name: &str, what: &str| {
        let found = timeline
            .iter()
            .find(|one| one.extraction.as_str() == name && one.what.starts_with(what));
        let found = found.unwrap_or_else(|| panic!("{what} of {name}: {timeline:#?}"));
        (found.at.0 - monday) / HOUR
    };
    assert_eq!(at("users", "switch"), 48);
    // On Wednesday at once would be at night.
    assert_eq!(at("contracts", "reads 5%"), 48 + 8);
    assert_eq!(at("contracts", "reads 50%"), 72 + 8);
    // Two days later it is Saturday.
    assert_eq!(at("contracts", "switch"), 7 * 24 + 8);
    let people: Vec<_> = timeline.iter().filter(|one| one.asks_a_person).collect();
    let [approval, finish, retire] = &people[..] else {
        panic!("{people:#?}");
    };
    assert_eq!(approval.role, Some(Role::Approver));
    assert_eq!(finish.role, Some(Role::Operator));
    assert_eq!((finish.at.0 - monday) / DAY, 21);
    // Nobody may have used the old side for two weeks then.
    assert_eq!((retire.at.0 - finish.at.0) / DAY, 14);
    assert!(retire.items.iter().any(|item| item.name == "routes-unused"));
}

/// What has to be done before a step is in the timeline once, and again once it is too old.
#[test]
fn checklists_to_come_are_in_the_timeline() {
    let plan = plan(&[
        (
            "a",
            "steps: [{ reads: 5%, for: 2d, checklist: [on-call, secrets] }, \
         { reads: 50%, for: 9d, checklist: [on-call, databases] }, \
         { step: switch, checklist: [on-call, secrets] }], gates: { window: { from: \"08:00\", \
         until: \"16:00\" } }, after: [b]",
        ),
        ("b", "flag: x"),
    ]);
    let timeline = rehearse(&plan, UnixMillis(0)).unwrap();
    let lists = timeline.iter().filter(|one| !one.items.is_empty());
    let lists: Vec<_> = lists
        .map(|one| {
            let items = one.items.iter();
            let items: Vec<_> = items
                .map(|item| (item.name.as_str(), item.automatic))
                .collect();
            (one.at.0 / DAY, one.what.as_str(), one.role, items)
        })
        .collect();
    let (on_call, secrets, databases) =
        (("on-call", false), ("secrets", true), ("databases", true));
    let approver = Some(Role::Approver);
    assert_eq!(
        lists,
        [
            (
                0,
                "checklist before `reads 5% for 2d`",
                approver,
                vec![on_call, secrets]
            ),
            // Whoever is on call was told two days ago: that counts for a week.
            (
                2,
                "checklist before `reads 50% for 9d`",
                None,
                vec![databases]
            ),
            (
                11,
                "checklist before `switch`",
                approver,
                vec![on_call, secrets]
            ),
        ]
    );
    let first = &timeline[0];
    assert!(
        first.extraction.as_str() == "b" && first.asks_a_person,
        "{first:?}"
    );
    // It is answered before the window opens, and the step waits for that.
    let begins = timeline.iter().find(|one| one.what == "reads 5% for 2d");
    assert_eq!(begins.unwrap().at.0, 8 * HOUR);
}
