//! Whole schedules on a clock of their own.

use super::world::{DAY, HOUR, plan};
use crate::rollout::{UnixMillis, rehearse};
use plan::{ExtractionName, Plan};
use std::collections::BTreeMap;

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
    let schedules = plan.extractions.iter();
    let schedules = schedules
        .map(|(name, one)| (name.clone(), (one.schedule.as_ref().unwrap(), false)))
        .collect();
    let timeline = rehearse(&schedules, UnixMillis(0)).unwrap();
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

/// The schedules that ship end when their names say.
#[test]
fn the_examples_are_gone_through() {
    for (file, days) in [
        ("by-day", 19),
        ("ten-to-all", 10),
        ("three-weeks", 20),
        ("measured", 18),
    ] {
        let plan = example(&format!("schedules/{file}"));
        let (name, one) = plan.extractions.first_key_value().unwrap();
        let schedule = one.schedule.as_ref().unwrap();
        let schedules = BTreeMap::from([(name.clone(), (schedule, false))]);
        // A Monday, at nine.
        let from = 1_795_996_800_000 + 9 * HOUR;
        let timeline = rehearse(&schedules, UnixMillis(from)).unwrap();
        let last = timeline.last().unwrap();
        assert!(last.what.contains("banyan finish"), "{file}: {last:?}");
        // What must pass is said of each step.
        let switch = timeline.iter().find(|one| one.what == "switch").unwrap();
        assert!(
            switch.gates.contains(&"error-rate".to_owned()),
            "{switch:?}"
        );
        assert_eq!((last.at.0 - from) / DAY, days, "{file}: {timeline:#?}");
    }
}

#[test]
fn three_weeks_are_rehearsed() {
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
    let schedules: BTreeMap<ExtractionName, _> = plan
        .extractions
        .iter()
        .map(|(name, one)| (name.clone(), (one.schedule.as_ref().unwrap(), false)))
        .collect();
    // 2026-11-30, a Monday.
    let monday = 1_795_996_800_000;
    let timeline = rehearse(&schedules, UnixMillis(monday)).unwrap();
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
    assert_eq!(people.len(), 2, "{people:#?}");
    let last = timeline.last().unwrap();
    assert_eq!((last.at.0 - monday) / DAY, 21);
}
