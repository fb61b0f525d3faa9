//! The scripts for runbooks: each calls what docs/runbooks.md says, and the page's links lead
//! somewhere. They call a `banyan` that only tells what it was asked.

use crate::deploy;
use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use tempfile::TempDir;
use testbed::binaries;

/// In the place of each program that they call.
const FAKE: &str = r#"#!/bin/sh
echo "$(basename "$PWD"): $(basename "$0") $*" >>"$CALLS"
case "$*" in
'status contracts --json') printf '{\n  "extractions": [\n    {\n      "name": "contracts",\n      "owner": "%s",\n      "epoch": 3\n    }\n  ]\n}\n' "$OWNER" ;;
esac
exit "$CODE"
"#;

/// How a script is run.
#[derive(Clone, Copy)]
struct Run<'a> {
    script: &'a str,
    arguments: &'a [&'a str],
    owner: &'a str,
    /// What the fakes end with.
    code: &'a str,
    answer: &'a str,
}

impl<'a> Run<'a> {
    fn of(script: &'a str, arguments: &'a [&'a str]) -> Self {
        Self {
            script,
            arguments,
            owner: "monolith",
            code: "0",
            answer: "",
        }
    }

    /// What was called, each with its directory, and the script's exit code.
    fn calls(&self) -> (Vec<String>, Option<i32>) {
        let home = TempDir::new().unwrap();
        let programs = home.path().join("programs");
        let work = home.path().join("work");
        fs::create_dir_all(work.join("environments/staging")).unwrap();
        fs::create_dir_all(&programs).unwrap();
        for program in ["banyan", "promtool", "curl"] {
            let file = programs.join(program);
            fs::write(&file, FAKE).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let calls = home.path().join("calls");
        let path = std::env::var("PATH").unwrap();
        let mut child = Command::new(scripts().join(self.script))
            .args(self.arguments)
            .current_dir(&work)
            .env("PATH", format!("{}:{path}", programs.display()))
            .env("CALLS", &calls)
            .env("OWNER", self.owner)
            .env("CODE", self.code)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        // One that asks nothing has ended by now.
        let _ = input.write_all(self.answer.as_bytes());
        drop(input);
        let code = child.wait().unwrap().code();
        let text = fs::read_to_string(&calls).unwrap_or_default();
        (text.lines().map(str::to_owned).collect(), code)
    }
}

fn scripts() -> PathBuf {
    deploy("runbook/scripts")
}

/// All scripts there are, as paths below their directory.
fn all_scripts(below: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(below).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(all_scripts(&path));
        } else {
            let path = path.strip_prefix(scripts()).unwrap();
            found.insert(path.display().to_string());
        }
    }
    found
}

#[test]
fn each_script_calls_what_the_page_says() {
    let mut seen = BTreeSet::new();
    for (script, arguments, wanted) in [
        (
            "health_check_all_services.sh",
            &[][..],
            &["work: banyan status --check"][..],
        ),
        ("monitor_deployment.sh", &[], &["work: banyan watch"]),
        (
            "migrate_data.sh",
            &["contracts"],
            &["work: banyan start contracts"],
        ),
        (
            "validate_data_integrity.sh",
            &["contracts", "users"],
            &["work: banyan verify contracts", "work: banyan verify users"],
        ),
        (
            "validation/compare-table-counts.sh",
            &["contracts", "staging"],
            &["staging: banyan verify contracts"],
        ),
        (
            "validation/pre-migration-checklist.sh",
            &["contracts", "staging"],
            &[
                "staging: banyan check",
                "staging: banyan checklist contracts pre-migration --run",
            ],
        ),
        (
            "validation/validate-service.sh",
            &["contracts", "default", "staging"],
            &["staging: banyan status --check contracts"],
        ),
        (
            "roll_back.sh",
            &["contracts"],
            &[
                "work: banyan status contracts --json",
                "work: banyan withdraw contracts",
            ],
        ),
    ] {
        let run = Run::of(script, arguments);
        let (calls, code) = run.calls();
        assert_eq!(calls, wanted, "{script}");
        assert_eq!(code, Some(0), "{script}");
        // What fails is not passed over.
        let (_, code) = Run { code: "1", ..run }.calls();
        assert_eq!(code, Some(1), "{script}");
        if !arguments.is_empty() {
            let (calls, code) = Run::of(script, &[]).calls();
            assert!(calls.is_empty() && code != Some(0), "{script}: {calls:?}");
        }
        seen.insert(script.to_owned());
    }
    // They have cases of their own.
    seen.extend(["configure_alerts.sh", "migration/shift-traffic.sh"].map(str::to_owned));
    assert_eq!(seen, all_scripts(&scripts()));
}

/// Before the switch there is nothing to hand back.
#[test]
fn rolling_back_withdraws_where_the_service_does_not_own() {
    for (owner, verb, wanted) in [
        ("monolith", Some("withdraw"), 0),
        ("both", Some("withdraw"), 0),
        ("service", Some("rollback"), 0),
        ("nobody", None, 1),
        ("", None, 1),
    ] {
        let run = Run::of("roll_back.sh", &["contracts"]);
        let (calls, code) = Run { owner, ..run }.calls();
        let verbs = verb.map(|verb| format!("work: banyan {verb} contracts"));
        let verbs: Vec<_> = verbs.into_iter().collect();
        assert_eq!(calls[1..], verbs, "{owner}");
        assert_eq!(code, Some(wanted), "{owner}");
    }
}

#[test]
fn a_share_is_shifted_once_that_is_confirmed() {
    let arguments = ["contracts", "5", "staging"];
    let run = Run::of("migration/shift-traffic.sh", &arguments);
    let why = "staging: banyan why contracts";
    let (calls, code) = Run {
        answer: "n\n",
        ..run
    }
    .calls();
    assert_eq!((calls, code), (vec![why.to_owned()], Some(2)));
    let (calls, code) = Run {
        answer: "y\n",
        ..run
    }
    .calls();
    assert_eq!(calls, [why, "staging: banyan shift contracts --reads 5%"]);
    assert_eq!(code, Some(0));
}

#[test]
fn rules_are_put_where_they_are_read_once_they_are_sound() {
    let directory = TempDir::new().unwrap();
    let to = directory.path().display().to_string();
    let copied = || fs::read_dir(directory.path()).unwrap().count();
    let arguments = [to.as_str()];
    let run = Run::of("configure_alerts.sh", &arguments);
    let (calls, code) = Run { code: "1", ..run }.calls();
    assert_eq!((calls.len(), code, copied()), (1, Some(1), 0));
    assert!(calls[0].contains("promtool check rules"), "{calls:?}");
    let (_, code) = run.calls();
    assert_eq!((code, copied()), (Some(0), 2));
}

/// Of both columns: what a guide calls so and is a file here, and what is called here.
#[test]
fn the_page_names_every_script_and_none_that_is_not_there() {
    let page = fs::read_to_string(binaries::repository().join("docs/runbooks.md")).unwrap();
    let all = all_scripts(&scripts());
    let names: BTreeSet<_> = all
        .iter()
        .map(|path| path.rsplit('/').next().unwrap())
        .collect();
    for name in &names {
        assert!(page.contains(name), "{name}");
    }
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let ours = rows.filter_map(|row| row.split('|').nth(2));
    let quoted = ours.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    let called: BTreeSet<_> = quoted
        .filter_map(|text| text.split(' ').next())
        .filter(|program| {
            Path::new(program)
                .extension()
                .is_some_and(|end| end == "sh")
        })
        .collect();
    assert!(called.contains("roll_back.sh"), "{called:?}");
    for name in called {
        assert!(names.contains(name), "{name}");
    }
    for link in page.split("](").skip(1) {
        let link = link.split([')', '#']).next().unwrap();
        assert!(deploy("../docs").join(link).exists(), "{link}");
    }
}
