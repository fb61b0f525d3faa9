//! What `checklists:` is read as, and what may wait for one.

use plan::{AutomaticCheck, Plan, PlanError};
use std::time::Duration;

fn plan(checklists: &str, steps: &str) -> Result<Plan, PlanError> {
    let text = format!(
        r#"
monolith: {{ url: "http://127.0.0.1:1", database: "postgres://u:p@127.0.0.1:2/m" }}
services: {{ a: {{ url: "http://127.0.0.1:3", database: "postgres://u:p@127.0.0.1:4/a" }} }}
gateway: {{ listen: "127.0.0.1:0" }}
checklists: {checklists}
extractions:
  one:
    service: a
    routes: [{{ path: /one }}]
    data: {{ mode: replicate, schema: s, tables: {{ public.t: {{}} }} }}
    rollout: {{ key: address, steps: {steps} }}
"#
    );
    Plan::parse(&text, |_| None)
}

const STEPS: &str = "[{ reads: 5% }, switch]";

#[test]
fn lists_are_the_built_in_ones_and_the_plans() {
    let own = "{ lists: { go-live: [backup, { item: dba-signed, text: signed, max-age: 2h }],
                          pre-migration: [ticket] } }";
    let checklists = plan(own, STEPS).unwrap().checklists;
    let names = |list: &str| {
        let items = checklists.items(&[list.to_owned()]).unwrap();
        items
            .iter()
            .map(|item| item.name.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(names("go-live"), ["backup", "dba-signed"]);
    assert_eq!(names("pre-migration"), ["ticket"]);
    assert!(names("decommissioning").contains(&"team-trained".to_owned()));
    // An item of two lists that are asked for is there once; one alone is found, too.
    let both = ["go-live", "backup", "ticket"].map(str::to_owned);
    assert_eq!(checklists.items(&both).unwrap().len(), 3);
    let items = checklists.items(&["go-live".to_owned()]).unwrap();
    assert_eq!(items[0].check, Some(AutomaticCheck::Backup));
    assert_eq!(items[0].max_age, Duration::from_hours(24));
    assert_eq!((items[1].check, items[1].text.as_str()), (None, "signed"));
    assert_eq!(items[1].max_age, Duration::from_hours(2));
}

#[test]
fn steps_wait_for_lists_and_items_that_there_are() {
    let steps = "[{ reads: 0% }, { reads: 5%, checklist: [pre-migration] },
                  { step: switch, checklist: [on-call], approval: lead }, { watch: 1d }]";
    let found = plan("{}", steps).unwrap();
    let schedule = found.extractions.values().next().unwrap();
    let steps = &schedule.schedule.as_ref().unwrap().steps;
    assert_eq!(steps[1].checklist, ["pre-migration"]);
    assert_eq!(steps[2].to_string(), "switch");
    assert_eq!(steps[2].checklist, ["on-call"]);
    for (steps, why) in [
        (
            "[{ reads: 5%, checklist: [pre-flight] }]",
            "waits for `pre-flight`",
        ),
        (
            "[{ reads: 0%, checklist: [ticket] }, switch]",
            "changes nothing",
        ),
        (
            "[switch, { watch: 1d, checklist: [ticket] }]",
            "changes nothing",
        ),
        ("[{ step: retire }]", "it is no step"),
        ("[{ step: switch, for: 1h }]", "it is no step"),
        ("[{ step: switch, reads: 5% }]", "it is no step"),
    ] {
        let error = plan("{}", steps).unwrap_err().to_string();
        assert!(error.contains(why), "{steps}: {error}");
    }
}

#[test]
fn lists_that_could_not_be_kept_are_refused() {
    for (checklists, why) in [
        ("{ lists: { backup: [ticket] } }", "an item and no list"),
        ("{ lists: { a: [ticket, ticket] } }", "twice"),
        ("{ lists: { a: [] } }", "has no items"),
        ("{ lists: { decommissioning: [] } }", "has no items"),
        (
            "{ lists: { a: [pre-migration] } }",
            "`pre-migration` is a list",
        ),
        ("{ lists: { a: [ticket], b: [a] } }", "`a` is a list"),
        ("{ lists: { a: [{ text: x }] } }", "no name"),
        ("{ lists: { a: [On-Call] } }", "is no name"),
        (
            "{ prometheus: \"https://p:9090\" }",
            "write http://host:9090",
        ),
        ("{ scratch: \"mysql://a\" }", "postgres://"),
    ] {
        let error = plan(checklists, STEPS).unwrap_err().to_string();
        assert!(error.contains(why), "{checklists}: {error}");
    }
}
