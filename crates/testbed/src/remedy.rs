//! What the remedy of a finding says to run.

use anyhow::{Context, Result};

/// The SQL of a remedy: what follows `Run:`, `Run as ROLE:`, `Run at the service:` or
/// `Run in the SIDE's database:`, without who runs the next statement and what is said of
/// older versions.
pub fn statements(remedy: &str) -> Result<String> {
    let all = after_run(remedy).with_context(|| format!("nothing to run in: {remedy}"))?;
    let (all, _) = all.split_once(" (before").unwrap_or((all, ""));
    let mut parts = all.split("; and as ");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (_, statement) = part.split_once(": ").context(all.to_owned())?;
        text.push_str("; ");
        text.push_str(statement);
    }
    Ok(text)
}

fn after_run(remedy: &str) -> Option<&str> {
    remedy.match_indices(['R', 'r']).find_map(|(at, _)| {
        let rest = remedy[at + 1..].strip_prefix("un")?;
        let (whom, statements) = rest.split_once(": ")?;
        let names = [" as ", " at the ", " in the "];
        let is_named = names.iter().any(|name| whom.starts_with(name));
        (whom.is_empty() || is_named).then_some(statements)
    })
}

#[cfg(test)]
mod tests {
    use super::statements;

    #[test]
    fn who_runs_it_is_left_out() {
        for (remedy, expected) in [
            ("Run: alter role a replication", "alter role a replication"),
            (
                "Run: grant set on parameter p to a (before version 15: make it a superuser)",
                "grant set on parameter p to a",
            ),
            (
                "Run as \"Ow ner\": grant select on t to a; grant usage on schema s to a",
                "grant select on t to a; grant usage on schema s to a",
            ),
            (
                "Run as a superuser: grant a to b; and as app: grant c to d",
                "grant a to b; grant c to d",
            ),
            (
                "Give it another name, or run as app: drop publication p",
                "drop publication p",
            ),
            ("Run at the service: alter table t", "alter table t"),
            (
                "Run in the monolith's database: alter type a",
                "alter type a",
            ),
        ] {
            assert_eq!(statements(remedy).unwrap(), expected);
        }
    }

    #[test]
    fn a_remedy_without_a_statement_is_none() {
        for remedy in [
            "Give the plan the role that made it",
            "Run `banyan status`: it says more",
        ] {
            assert!(statements(remedy).is_err(), "{remedy}");
        }
    }
}
