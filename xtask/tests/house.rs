//! Holds the table of who may know whom (ARCHITECTURE.md) over the real
//! dependencies, so that a border is crossed by decision and not by accident.

use serde_json::Value;
use std::{collections::BTreeMap, process::Command};

/// Our crates, and which of ours each may depend on when it is built for use.
const MAY_KNOW: &[(&str, &[&str])] = &[
    ("plan", &[]),
    ("protocol", &["plan"]),
    ("gateway", &["plan", "protocol"]),
    ("mover", &["plan", "protocol"]),
    ("conductor", &["plan", "protocol"]),
    (
        "banyan",
        &["plan", "protocol", "gateway", "mover", "conductor"],
    ),
    ("kit", &[]),
    ("testbed", &[]),
    ("contracts", &["kit"]),
    ("notification", &["kit"]),
    ("analytics", &["kit"]),
    ("identity", &["kit"]),
    ("cases", &[]),
    ("xtask", &["testbed"]),
];

/// Pure crates: no runtime, no clock, no randomness, no I/O among what they
/// depend on.
const PURE: &[&str] = &["plan", "protocol"];
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

fn packages() -> BTreeMap<String, Value> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--format-version",
            "1",
            "--offline",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo answers in JSON");
    let packages = metadata["packages"].as_array().expect("there are packages");
    packages
        .iter()
        .map(|package| {
            (
                package["name"].as_str().unwrap_or_default().to_owned(),
                package.clone(),
            )
        })
        .collect()
}

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

#[test]
fn everybody_knows_only_whom_they_may() {
    let packages = packages();
    let names: Vec<&str> = MAY_KNOW.iter().map(|(name, _)| *name).collect();
    for name in packages.keys() {
        assert!(
            names.contains(&name.as_str()),
            "`{name}` is not in the table: add it, with a reason"
        );
    }
    for (name, may) in MAY_KNOW {
        let package = packages
            .get(*name)
            .unwrap_or_else(|| panic!("there is no crate `{name}`"));
        for used in uses(package) {
            let ours = names.contains(&used.as_str());
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
