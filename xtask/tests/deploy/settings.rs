//! What a service says that it reads, against what it is given.

use std::collections::{BTreeMap, BTreeSet};
use testbed::binaries;
use testbed::process::{self, Spec};
use testbed::set::members::Member;

use crate::LIMIT;

/// What `--settings` lists.
pub struct Declared {
    all: BTreeSet<String>,
    required: BTreeSet<String>,
}

impl Declared {
    /// Nothing is known of a service that is not in this workspace.
    pub async fn of(member: &Member) -> Option<Self> {
        if !member.is_present() {
            println!("{} is not in this workspace: not checked", member.name);
            return None;
        }
        let program = binaries::find(member.package).unwrap();
        let spec = Spec::new(member.package, program).arg("--settings");
        let finished = process::run(&spec, LIMIT)
            .await
            .unwrap()
            .successful()
            .unwrap();
        Some(Self::parse(&finished.stdout))
    }

    fn parse(table: &str) -> Self {
        let (mut all, mut required) = (BTreeSet::new(), BTreeSet::new());
        for line in table.lines().filter(|line| line.starts_with("| `")) {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let name = cells[1].trim_matches('`').to_owned();
            if cells[2] == "required" {
                required.insert(name.clone());
            }
            all.insert(name);
        }
        assert!(all.len() > 10, "{table}");
        Self { all, required }
    }

    /// What is wrong with what a service is given.
    pub fn problems(&self, given: &BTreeMap<String, String>) -> Vec<String> {
        let unknown = given.keys().filter(|name| !self.all.contains(*name));
        let unknown = unknown.map(|name| format!("{name} is read by nobody"));
        let missing = self
            .required
            .iter()
            .filter(|name| !given.contains_key(*name));
        let missing = missing.map(|name| format!("{name} is missing"));
        unknown.chain(missing).collect()
    }
}

/// Whether a variable's value must not stand in a file.
pub fn is_secret(name: &str) -> bool {
    let name = name.to_uppercase().replace('-', "_");
    [
        "KEY",
        "KEYS",
        "SECRET",
        "PASSWORD",
        "DATABASE_URL",
        "OWNER_URL",
    ]
    .iter()
    .any(|end| name.ends_with(end))
}

#[test]
fn what_is_unknown_or_missing_is_told() {
    let rows = (0..12).map(|n| format!("| `B{n}` | `1` | x |"));
    let rows: Vec<String> = rows.chain(["| `A` | required | x |".to_owned()]).collect();
    let declared = Declared::parse(&rows.join("\n"));
    let given = |names: &[&str]| {
        let pairs = names.iter().map(|name| ((*name).to_owned(), String::new()));
        declared.problems(&pairs.collect())
    };
    assert!(given(&["A", "B1"]).is_empty());
    assert_eq!(
        given(&["B1", "B13"]),
        ["B13 is read by nobody", "A is missing"]
    );
    assert!(is_secret("jwt-secret-key") && is_secret("ALLOWED_API_KEYS"));
    assert!(!is_secret("SMTP_USER"));
}
