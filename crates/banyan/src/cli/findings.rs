//! Findings on the terminal: the words wrapped, what is to be run as it is to be
//! copied.

use super::render::paragraph;
use protocol::finding::{Finding, Severity, Statement};
use std::io::IsTerminal;

/// Where a text begins beside `refused` and `warning`.
const INDENT: &str = "         ";

/// So often a reason is told for each object; beyond that once, for all of them.
const TOLD_EACH_MAX: usize = 3;

/// Findings, refusals first.
pub(super) fn print<'a>(found: impl IntoIterator<Item = &'a Finding>) {
    let colour = std::io::stdout().is_terminal();
    let mut sorted: Vec<_> = found.into_iter().collect();
    sorted.sort_by_key(|finding| finding.severity);
    for group in by_reason(&sorted) {
        let Some(first) = group.first() else { continue };
        let (word, colour_code) = match first.severity {
            Severity::Refuse => ("refused", 31),
            Severity::Warn => ("warning", 33),
        };
        let text = text(word, &group);
        if let Some(rest) = text.strip_prefix(word).filter(|_| colour) {
            say!("\u{1b}[{colour_code}m{word}\u{1b}[0m{rest}");
        } else {
            say!("{text}");
        }
    }
}

/// Those that say the same of many objects together, in the order of the first.
fn by_reason<'a>(found: &[&'a Finding]) -> Vec<Vec<&'a Finding>> {
    let alike = |one: &Finding, other: &Finding| {
        one.severity == other.severity
            && one.id == other.id
            && one.problem == other.problem
            && one.remedy.words == other.remedy.words
    };
    let mut groups: Vec<Vec<&Finding>> = Vec::new();
    for one in found {
        let group = groups.iter_mut().find(|group| alike(group[0], one));
        match group {
            Some(group) => group.push(one),
            None => groups.push(vec![one]),
        }
    }
    let told = groups.into_iter().flat_map(|group| {
        if group.len() > TOLD_EACH_MAX {
            vec![group]
        } else {
            group.into_iter().map(|one| vec![one]).collect()
        }
    });
    told.collect()
}

/// What is said of one object, or once of many.
fn text(word: &str, group: &[&Finding]) -> String {
    let [first, others @ ..] = group else {
        return String::new();
    };
    let object = if others.is_empty() {
        first.object.clone()
    } else {
        format!("{} times", group.len())
    };
    let statements = statements(group);
    let end = if statements.is_empty() { "" } else { ":" };
    let problem = format!("{} {object}: {}", first.id, first.problem);
    let mut lines = vec![paragraph(&format!("{word}  "), INDENT, &problem)];
    if !others.is_empty() {
        let objects = group.iter().map(|one| one.object.as_str());
        let (first, rest) = (format!("{INDENT}- "), format!("{INDENT}  "));
        lines.extend(objects.map(|object| paragraph(&first, &rest, object)));
    }
    let remedy = format!("{}{end}", first.remedy.words);
    lines.push(paragraph(INDENT, INDENT, &remedy));
    lines.extend(statements);
    lines.join("\n")
}

/// What is to be run, each statement whole and once, below a comment that says
/// where: it may be copied with it.
fn statements(group: &[&Finding]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut told: Vec<&Statement> = Vec::new();
    for statement in group.iter().flat_map(|one| &one.remedy.statements) {
        if told.contains(&statement) {
            continue;
        }
        let place = place(statement);
        if told.last().map(|last| self::place(last)) != Some(place.clone()) {
            lines.push(paragraph(
                &format!("{INDENT}-- "),
                &format!("{INDENT}-- "),
                &place,
            ));
        }
        lines.push(format!("{INDENT}{};", statement.sql));
        told.push(statement);
    }
    lines
}

fn place(statement: &Statement) -> String {
    let by = statement.by.as_ref();
    let by = by.map_or_else(String::new, |who| format!(", as {who}"));
    let caution = statement.caution.as_ref();
    let caution = caution.map_or_else(String::new, |why| format!("; look first: {why}"));
    format!("in the {}'s database{by}{caution}", statement.database)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::render::COLUMNS;
    use protocol::{
        Side,
        finding::{FindingId, Remedy},
    };

    #[test]
    fn words_fit_the_screen() {
        let finding = Finding::refuse(
            FindingId::TriggerDoesNotFire,
            "public.contracts_contract",
            "a trigger of the monolith writes to public.audit, which stays, whenever a row changes",
            "declare it in `writers`, or drop it before the extraction starts: https://example.org/a-very-long-address-of-a-page-that-must-stay-one-word-for-whoever-copies-it",
        );
        let text = text("refused", &[&finding]);
        let words: Vec<_> = text.split_whitespace().collect();
        let expected = format!(
            "refused BN-050 {}: {} {}",
            finding.object, finding.problem, finding.remedy
        );
        assert_eq!(words.join(" "), expected, "nothing is cut or added");
        let columns = usize::from(COLUMNS);
        let fits = |line: &str| line.len() <= columns || !line.trim_start().contains(' ');
        assert!(text.lines().all(fits), "{text}");
        let begins = |line: &str| line.starts_with(INDENT);
        assert!(text.lines().skip(1).all(begins), "{text}");
    }

    #[test]
    fn statements_are_whole_and_on_lines_of_their_own() {
        let (long, drop) = (
            format!(
                "grant execute on function {} to banyan",
                "f(text), ".repeat(30)
            ),
            "alter table t drop constraint c",
        );
        let finding = Finding::warn(
            FindingId::FunctionsForbidden,
            "role banyan",
            "it may not call them",
            Remedy::run(
                "Run",
                [
                    Statement::new(Side::Monolith, long.as_str()).by_superuser(),
                    Statement::new(Side::Service, drop).caution("it is gone then"),
                ],
            ),
        );
        let text = text("warning", &[&finding]);
        let lines: Vec<&str> = text.lines().skip(1).map(str::trim_start).collect();
        assert_eq!(
            lines,
            [
                "Run:",
                "-- in the monolith's database, as a superuser",
                &format!("{long};"),
                "-- in the service's database; look first: it is gone then",
                &format!("{drop};"),
            ]
        );
    }

    #[test]
    fn a_reason_that_many_objects_have_is_told_once() {
        let of = |object: &str| {
            Finding::warn(
                FindingId::NotOwner,
                object,
                "it may not do as its owner",
                Remedy::run("Run", [Statement::new(Side::Monolith, "grant a to b")]),
            )
        };
        let other = Finding::warn(FindingId::ColumnAtService, "x", "p", "r");
        let mut found = vec![of("t0"), other, of("t1"), of("t2")];
        let groups = |found: &[Finding]| {
            let all: Vec<&Finding> = found.iter().collect();
            let groups = by_reason(&all);
            groups.iter().map(Vec::len).collect::<Vec<_>>()
        };
        assert_eq!(groups(&found), [1, 1, 1, 1]);
        found.push(of("t3"));
        assert_eq!(groups(&found), [4, 1]);
        let all: Vec<&Finding> = found.iter().collect();
        let text = text("warning", &by_reason(&all)[0]);
        assert!(text.contains("4 times: it may not"), "{text}");
        for object in ["- t0", "- t1", "- t2", "- t3"] {
            assert!(text.contains(object), "{text}");
        }
        assert_eq!(text.matches("grant a to b;").count(), 1, "{text}");
    }
}
