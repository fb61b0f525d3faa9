//! Holds the table of who may know whom (ARCHITECTURE.md) over the real
//! dependencies, so that a border is crossed by decision and not by accident.

use crate::workspace::{directory, packages};
use serde_json::Value;

/// Our crates, and which of ours each may depend on when it is built for use.
/// Beside them are the services, each of which may know [`FOR_SERVICES`].
const MAY_KNOW: &[(&str, &[&str])] = &[
    ("plan", &[]),
    ("protocol", &["plan"]),
    ("gateway", &["plan", "protocol", "resilience", "jwks"]),
    ("mover", &["plan", "protocol"]),
    ("conductor", &["plan", "protocol", "judge", "failpoint"]),
    // Pages over the API: its types, and nothing of what stands behind it.
    ("web-console", &["conductor", "report"]),
    ("report", &["plan", "protocol", "conductor"]),
    (
        "banyan",
        &[
            "plan",
            "protocol",
            "gateway",
            "mover",
            "conductor",
            "web-console",
            "report",
        ],
    ),
    ("judge", &[]),
    ("failpoint", &[]),
    ("resilience", &[]),
    ("jwks", &[]),
    ("kit", &["resilience", "jwks"]),
    ("testbed", &[]),
    ("cases", &[]),
    ("fuzz", &["gateway"]),
    ("xtask", &["testbed"]),
];

/// What is in `services/` knows only this.
const FOR_SERVICES: &[&str] = &["kit"];

/// Pure crates: no runtime, no clock, no randomness, no I/O among what they
/// depend on.
const PURE: &[&str] = &["plan", "protocol", "judge", "resilience", "jwks"];
const IMPURE: &[&str] = &[
    "tokio",
    "hyper",
    "axum",
    "sqlx",
    "tokio-postgres",
    "rand",
    "getrandom",
    "reqwest",
    "mio",
];

/// What a package depends on when it is built for use (not for its tests).
fn uses(package: &Value) -> Vec<String> {
    let all = package["dependencies"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    all.iter()
        .filter(|dependency| dependency["kind"].is_null())
        .filter_map(|dependency| dependency["name"].as_str().map(str::to_owned))
        .collect()
}

fn is_service(package: &Value) -> bool {
    let services = testbed::binaries::repository().join("services");
    directory(package).parent() == Some(&services)
}

#[test]
fn everybody_knows_only_whom_they_may() {
    let packages = packages();
    for (name, _) in MAY_KNOW {
        assert!(packages.contains_key(*name), "there is no crate `{name}`");
    }
    for (name, package) in &packages {
        let told = MAY_KNOW.iter().find(|(known, _)| known == name);
        let may = match told {
            Some((_, may)) => may,
            None if is_service(package) => FOR_SERVICES,
            None => panic!("`{name}` is not in the table: add it, with a reason"),
        };
        for used in uses(package) {
            let ours = packages.contains_key(&used);
            assert!(
                !ours || may.contains(&used.as_str()),
                "`{name}` may not know `{used}`"
            );
        }
    }
}

#[test]
fn pure_crates_stay_pure() {
    let packages = packages();
    for name in PURE {
        for used in uses(&packages[*name]) {
            assert!(
                !IMPURE.contains(&used.as_str()),
                "`{name}` is pure and may not use `{used}`"
            );
        }
    }
}
