//! Refuses imports upward between the areas of a crate, which are its top-level
//! modules.

use crate::{
    circles,
    imports::{self, Imports},
    module_tree::planted,
    workspace,
};
use std::collections::{BTreeMap, BTreeSet};

/// The areas of a crate by floor, the topmost first. An area uses those on
/// floors below its own, and those on its own where none of them uses it back.
/// The crate's root uses all and is used by none.
const FLOORS: &[(&str, &[&[&str]])] = &[
    (
        "gateway",
        &[
            &["server"],
            &["request"],
            &["state"],
            &["shadow"],
            &["upstream", "observe", "selection"],
            &["routing", "access", "transport", "body"],
            &["base"],
        ],
    ),
    (
        "mover",
        &[
            &[
                "check",
                "claim",
                "prepare",
                "copy",
                "follow",
                "verify",
                "cancel",
                "finish",
                "freeze",
                "archive",
                "retire",
                "readiness",
                "handover",
            ],
            &["pgoutput", "positions", "apply"],
            &["catalog", "objects"],
            &["error", "database", "layout", "extraction"],
        ],
    ),
    (
        "protocol",
        &[
            &["reconcile", "checklist", "retire", "brown_out"],
            &["rollout"],
            &["lifecycle", "shared_data"],
            &["rehearsal"],
            &["handover"],
            &["owner", "stream", "finding", "routing"],
            &["ids"],
        ],
    ),
    (
        "conductor",
        &[
            &["api"],
            &["rollout"],
            &["checklist"],
            &["replication", "shared_data", "halt", "retire", "brown_out"],
            &["worker"],
            &[
                "request",
                "journal",
                "publisher",
                "outlook",
                "precondition",
                "schema",
            ],
            &["status"],
            &["ports"],
        ],
    ),
    (
        "banyan",
        &[
            &["cli"],
            &["serve", "client"],
            &["control", "exit", "lines"],
        ],
    ),
    (
        "web-console",
        &[
            &["live"],
            &["pages"],
            &["assets", "state"],
            &["history", "session", "view"],
            &["api", "role", "secret", "security"],
        ],
    ),
    (
        "kit",
        &[
            &["program"],
            &["server"],
            &["saga", "retention"],
            &["outbox", "registry", "reports"],
            &["service", "acl"],
            &["client", "idempotency", "ledger"],
            &["auth", "database", "extract", "openapi", "outside", "spans"],
            &["problem", "batches", "health"],
            &["settings", "metrics", "context", "backoff"],
        ],
    ),
    (
        "testbed",
        &[
            &["story", "drill", "migration"],
            &["auditor", "scene", "set"],
            &[
                "workload",
                "people",
                "mail",
                "monolith",
                "schemathesis",
                "service_bed",
            ],
            &[
                "banyan",
                "cluster",
                "document_service",
                "identity",
                "node",
                "pooler",
                "python",
                "service",
            ],
            &[
                "faulty_proxy",
                "browser",
                "http_client",
                "made_once",
                "raw_http",
                "ports",
                "process",
                "random_schema",
                "silent_network",
                "small_disk",
            ],
            &[
                "binaries",
                "catalogue",
                "certificates",
                "deadline",
                "directory",
                "document",
            ],
        ],
    ),
    (
        "plan",
        &[
            &["plan"],
            &["gateway"],
            &["kong"],
            &["extraction", "access", "gateway_route", "checklists"],
            &["upstream", "policy", "route", "flags"],
            &["base"],
        ],
    ),
];

/// The area of a file; none for the crate's root.
fn area(file: &str) -> Option<&str> {
    match file.split_once('/') {
        Some((area, _)) => Some(area),
        None if matches!(file, "lib.rs" | "main.rs") => None,
        None => file.strip_suffix(".rs"),
    }
}

/// How high an area is; none where the table does not have it.
fn floor(floors: &[&[&str]], area: &str) -> Option<usize> {
    let below = floors
        .iter()
        .rev()
        .position(|areas| areas.contains(&area))?;
    Some(below + 1)
}

/// Everything that is wrong with the imports of a crate by its floors.
fn faults(floors: &[&[&str]], imports: &Imports) -> Vec<String> {
    let areas: BTreeSet<&str> = imports.keys().filter_map(|file| area(file)).collect();
    let mut faults = Vec::new();
    for area in &areas {
        if floor(floors, area).is_none() {
            faults.push(format!("`{area}` has no floor: add it to `FLOORS`"));
        }
    }
    for area in floors.iter().copied().flatten() {
        if !areas.contains(area) {
            faults.push(format!("`{area}` has a floor but is not there"));
        }
    }
    let mut beside = Imports::new();
    for (file, used) in imports {
        let Some(of) = area(file) else { continue };
        for (other, names) in used {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let edge = format!("{file} -> {other}: {}", names.join(", "));
            let Some(other) = area(other) else {
                faults.push(format!("{edge}: the crate's root is above its areas"));
                continue;
            };
            let (Some(from), Some(to)) = (floor(floors, of), floor(floors, other)) else {
                continue;
            };
            if from < to {
                faults.push(format!("{edge}: from floor {from} up to {to}"));
            } else if from == to && of != other {
                let edges = beside.entry(of.to_owned()).or_default();
                edges.entry(other.to_owned()).or_default().insert(edge);
            }
        }
    }
    faults.extend(circles::describe(&beside, "areas of one floor"));
    faults
}

#[test]
fn areas_use_only_what_is_below_them() {
    let mut found = Vec::new();
    let crates = workspace::crates();
    for (name, floors) in FLOORS {
        let of = crates.iter().find(|of| of.name == *name);
        let of = of.unwrap_or_else(|| panic!("there is no crate `{name}`"));
        let faults = faults(floors, &imports::of(&of.roots));
        found.extend(faults.iter().map(|fault| format!("`{name}`: {fault}")));
    }
    assert!(
        found.is_empty(),
        "{}\nMove what an import upward names to the lower floor, or do the work above and hand \
         its result down.",
        found.join("\n")
    );
}

/// The areas of a crate by floor, the topmost first.
type Picture = Vec<BTreeSet<String>>;

/// The floors as a page has them, in two columns: a crate's name, then a line for each
/// floor, which may go on below.
fn drawn(page: &str) -> BTreeMap<String, Picture> {
    const RIGHT: usize = 43;
    let lines = page.lines();
    let left = lines.clone().map(|line| line.get(..RIGHT).unwrap_or(line));
    let right = lines.map(|line| line.get(RIGHT..).unwrap_or(""));
    let mut crates: BTreeMap<String, Picture> = BTreeMap::new();
    let mut last = String::new();
    for line in left.chain(right) {
        let (number, areas) = line.split_at(line.find(' ').unwrap_or(line.len()));
        if number.parse::<usize>().is_ok() {
            crates
                .entry(last.clone())
                .or_default()
                .push(BTreeSet::new());
        } else if !number.is_empty() {
            number.clone_into(&mut last);
        }
        let of = crates.get_mut(&last).and_then(|floors| floors.last_mut());
        if let Some(floor) = of {
            floor.extend(areas.split_whitespace().map(str::to_owned));
        }
    }
    crates
}

#[test]
fn the_architecture_shows_these_floors() {
    let page = include_str!("../../../ARCHITECTURE.md");
    let picture = page.split("holds these nine:\n\n```text\n").nth(1);
    let picture = picture.and_then(|rest| rest.split("```").next());
    let drawn = drawn(picture.expect("ARCHITECTURE.md has the floors"));
    let held = FLOORS.iter().map(|(name, floors)| {
        let areas = |floor: &&[&str]| floor.iter().map(|&area| area.to_owned()).collect();
        ((*name).to_owned(), floors.iter().map(areas).collect())
    });
    let held: BTreeMap<String, Picture> = held.collect();
    for (name, floors) in &held {
        assert_eq!(drawn.get(name), Some(floors), "`{name}` in ARCHITECTURE.md");
    }
    assert_eq!(drawn.len(), held.len(), "{:?}", drawn.keys());
}

#[test]
fn an_import_upward_is_found() {
    const FLOORS: &[&[&str]] = &[&["server"], &["cache", "pool", "retry"], &["base", "gone"]];
    let roots = [planted(&[
        (
            "lib.rs",
            "mod server; mod cache; mod pool; mod retry; mod base; mod new; pub struct Plan;",
        ),
        (
            "server.rs",
            "mod run; pub use run::Run; pub use crate::cache::Cache;",
        ),
        (
            "server/run.rs",
            "pub struct Run; use crate::{base, Plan}; fn f() { base::low() }",
        ),
        (
            "cache.rs",
            "pub struct Cache(crate::pool::Pool, crate::base::Low);",
        ),
        ("pool.rs", "pub struct Pool; use crate::retry::Retry;"),
        (
            "retry.rs",
            "pub struct Retry; impl Retry { fn f() -> super::cache::Cache { g() } }",
        ),
        (
            "base.rs",
            "pub fn low() {} fn g() -> crate::server::Run { h() }",
        ),
        ("new.rs", ""),
    ])];
    let expected = [
        "`new` has no floor: add it to `FLOORS`",
        "`gone` has a floor but is not there",
        "base.rs -> server/run.rs: Run: from floor 1 up to 3",
        "server/run.rs -> lib.rs: Plan: the crate's root is above its areas",
        "3 areas of one floor use each other in a circle:\
         \n    cache -> pool: `cache.rs -> pool.rs: Pool`\
         \n    pool -> retry: `pool.rs -> retry.rs: Retry`\
         \n    retry -> cache: `retry.rs -> cache.rs: Cache`",
    ];
    assert_eq!(faults(FLOORS, &imports::of(&roots)), expected);
}
