//! What a message says to run.

use crate::scene::{CONTRACTS_DATABASE, MONOLITH_DATABASE};

/// A command or statement between back-quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Printed {
    /// `banyan VERB ARGUMENTS`.
    Banyan(Vec<String>),
    /// SQL, and in which database.
    Sql {
        database: &'static str,
        text: String,
    },
}

/// The verbs that ask first.
const ASKING: [&str; 5] = ["recopy", "cancel", "finish", "switch", "rollback"];

/// What SQL that mends something begins with.
const STATEMENTS: [&str; 6] = ["alter ", "grant ", "create ", "drop ", "select ", "update "];

/// The first command or statement of a message. Of several ways the first is the
/// one that is meant.
pub(super) fn first(message: &str) -> Option<Printed> {
    let mut before = String::new();
    for (at, part) in message.split('`').enumerate() {
        if at % 2 == 1 {
            // After an edit of the plan, which is another way out.
            if part == "banyan reload" {
                continue;
            }
            if let Some(words) = part.strip_prefix("banyan ") {
                return Some(Printed::Banyan(arguments(words)));
            }
            let small = part.to_lowercase();
            if STATEMENTS.iter().any(|start| small.starts_with(start)) {
                let database = database(&before)?;
                return Some(Printed::Sql {
                    database,
                    text: part.to_owned(),
                });
            }
        }
        before.push_str(part);
    }
    None
}

/// The side that was named last.
fn database(before: &str) -> Option<&'static str> {
    let named = |side: &str| before.rfind(&format!("{side}'s database"));
    match (named("monolith"), named("service")) {
        (None, None) => None,
        (monolith, service) if monolith > service => Some(MONOLITH_DATABASE),
        _ => Some(CONTRACTS_DATABASE),
    }
}

/// As a shell splits them.
fn arguments(words: &str) -> Vec<String> {
    let mut all: Vec<String> = words
        .split_whitespace()
        .map(|word| word.trim_matches('\'').to_owned())
        .collect();
    let asks = all
        .first()
        .is_some_and(|verb| ASKING.contains(&verb.as_str()));
    if asks && !all.iter().any(|word| word == "--yes") {
        all.push("--yes".to_owned());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_one_counts_and_says_where() {
        let sql = |database, text: &str| {
            Some(Printed::Sql {
                database,
                text: text.to_owned(),
            })
        };
        assert_eq!(
            first(
                "column x: missing. In the service's database run `alter table a add b text`, or in \
                   the monolith's run `alter table c drop b`. At once by `banyan resume n`"
            ),
            sql(CONTRACTS_DATABASE, "alter table a add b text")
        );
        assert_eq!(
            first("the `max_slot_wal_keep_size` of it: run `banyan recopy contracts` (it deletes)"),
            Some(Printed::Banyan(vec![
                "recopy".to_owned(),
                "contracts".to_owned(),
                "--yes".to_owned()
            ]))
        );
        assert_eq!(
            first(
                "add it and `banyan reload`; if it does not come back: `banyan writers contracts --forget 'nightly'`"
            ),
            Some(Printed::Banyan(
                ["writers", "contracts", "--forget", "nightly"]
                    .map(str::to_owned)
                    .to_vec()
            ))
        );
        assert_eq!(first("a transaction of `psql` has been writing it"), None);
        assert_eq!(first("nothing at all"), None);
    }
}
