//! What is in `deploy/` holds together: with the schemas of those who read it,
//! with the list of services, and with what the services say that they read.
//! No container engine takes part: nothing here was run in one.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows test functions, not what they call"
)]

mod compose;
mod kubernetes;
mod prometheus;
mod runbook;
mod settings;

use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;
use testbed::binaries;
use testbed::process::{self, Spec};
use testbed::python::Environment;

const LIMIT: Duration = Duration::from_mins(2);

fn deploy(path: &str) -> PathBuf {
    binaries::repository().join("deploy").join(path)
}

fn read(path: &str) -> String {
    fs::read_to_string(deploy(path)).unwrap()
}

fn yaml(path: &str) -> Value {
    serde_saphyr::from_str(&read(path)).unwrap()
}

/// A program of the Python environment with the checkers.
async fn checker(program: &str) -> Spec {
    let requirements = binaries::repository().join("xtask/tests/deploy/requirements.txt");
    let python = Environment::ensure(&requirements).await.unwrap();
    Spec::new(program, python.program(program))
}

async fn succeeds(spec: Spec) {
    process::run(&spec, LIMIT)
        .await
        .unwrap()
        .successful()
        .unwrap();
}

async fn fails(spec: Spec) {
    assert_ne!(process::run(&spec, LIMIT).await.unwrap().code, 0);
}

/// The names in a file of `NAME=value` lines; none may have a secret's value.
fn example(path: &str) -> Vec<String> {
    let text = read(path);
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, value) = line.split_once('=').unwrap();
            assert!(
                !settings::is_secret(name) || value.is_empty(),
                "{path}: {name} has a value"
            );
            name.to_owned()
        })
        .collect()
}
