//! What `check --sql` prints: what its findings say to run, for psql.
//!
//! Each statement whole, once, below a comment that says in which database and for
//! which finding. What a person has to decide is there as a comment with the
//! reason. Statements of one database are together, in the order in which they
//! were found: rights, types and columns, unique indexes, foreign keys.

use protocol::{
    Side,
    finding::{Finding, Statement},
};

/// A statement, in which database, and what for.
struct Line<'a> {
    /// `monolith`, or the name of a service.
    place: &'a str,
    finding: &'a Finding,
    statement: &'a Statement,
}

/// Findings, each with the service of its extraction, as a script for these
/// databases: `None` for all.
pub(super) fn script<'a>(
    found: impl IntoIterator<Item = (&'a str, &'a Finding)>,
    wanted: Option<&str>,
) -> String {
    let lines = found.into_iter().flat_map(|(service, finding)| {
        let statements = finding.remedy.statements.iter();
        statements.map(move |statement| Line {
            place: match statement.database {
                Side::Monolith => Side::Monolith.as_str(),
                Side::Service => service,
            },
            finding,
            statement,
        })
    });
    let mut lines: Vec<Line<'_>> = lines
        .filter(|line| wanted.is_none_or(|wanted| wanted == line.place))
        .collect();
    // What one finding leaves to a person another one may ask for without.
    lines.sort_by_key(|line| line.statement.caution.is_some());
    let mut told: Vec<(&str, &str)> = Vec::new();
    lines.retain(|line| {
        let key = (line.place, line.statement.sql.as_str());
        // A look, or a reload, is of what was run before it.
        let is_new = key.1.starts_with("select ") || !told.contains(&key);
        told.push(key);
        is_new
    });
    let first_place = |line: &Line<'_>| line.place != Side::Monolith.as_str();
    lines.sort_by(|one, other| {
        (first_place(one), one.place).cmp(&(first_place(other), other.place))
    });
    lines.iter().map(text).collect()
}

fn text(line: &Line<'_>) -> String {
    let Line {
        place,
        finding,
        statement,
    } = line;
    let by = statement.by.as_ref();
    let by = by.map_or_else(String::new, |who| format!(", as {who}"));
    let head = comment(&format!("{place} {}{by}: {}", finding.id, finding.object));
    let sql = &statement.sql;
    match &statement.caution {
        None => format!("{head}\n{sql};\n\n"),
        Some(why) => {
            let why = comment(&format!("left to you, since {why}:"));
            // A name may have a line break in it.
            let sql = sql.split(['\n', '\r']).map(comment);
            let sql: Vec<String> = sql.collect();
            format!("{head}\n{why}\n{};\n\n", sql.join("\n"))
        }
    }
}

/// A comment, whatever is in the names that it tells.
fn comment(text: &str) -> String {
    let text = text.replace(|one: char| one.is_control(), " ");
    format!("-- {text}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::finding::{FindingId, Remedy};

    fn finding(object: &str, statements: impl IntoIterator<Item = Statement>) -> Finding {
        let remedy = Remedy::run("Run", statements);
        Finding::warn(FindingId::NotOwner, object, "p", remedy)
    }

    #[test]
    fn each_statement_is_there_once_by_its_database() {
        let grant = || Statement::new(Side::Monolith, "grant a to b").by_superuser();
        let add = Statement::new(Side::Service, "alter table t add x text");
        let found = [
            finding("one", [add.clone(), grant()]),
            finding("two", [grant(), add.clone().caution("it is not known")]),
        ];
        let of = |wanted| script(found.iter().map(|one| ("orders", one)), wanted);
        let monolith = "-- monolith BN-030, as a superuser: one\ngrant a to b;\n\n";
        let service = "-- orders BN-030: one\nalter table t add x text;\n\n";
        let id = FindingId::NotOwner.to_string();
        let with_id = |text: &str| text.replace("BN-030", &id);
        assert_eq!(of(Some("monolith")), with_id(monolith));
        assert_eq!(of(Some("orders")), with_id(service));
        assert_eq!(of(None), with_id(&format!("{monolith}{service}")));
        assert_eq!(of(Some("other")), "");
    }

    /// Whatever tables are called: nothing but statements without a caution is run.
    #[test]
    fn what_a_person_decides_is_a_comment() {
        let found = [
            finding(
                "a\n; drop table x; --",
                [
                    Statement::new(Side::Service, "alter table \"a\rb\nc\" drop d")
                        .caution("it\nis gone then"),
                ],
            ),
            finding(
                "fine",
                [Statement::new(Side::Service, "alter table t add x")],
            ),
        ];
        let text = script(found.iter().map(|one| ("orders", one)), None);
        let run: Vec<&str> = text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with("-- "))
            .collect();
        assert_eq!(run, ["alter table t add x;"], "{text}");
        assert!(
            text.contains("-- left to you, since it is gone then:"),
            "{text}"
        );
    }
}
