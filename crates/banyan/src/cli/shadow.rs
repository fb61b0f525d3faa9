//! The verb that asks what the gateway's comparisons found.

use super::render;
use crate::{client::Client, exit::Failure};
use gateway::{ReadCounts, ShadowReport};
use std::path::Path;

/// The most fields and examples that are shown; `--json` has all.
const SHOWN_MAX: usize = 12;

/// The most characters of a path or a value in a cell.
const CELL_CHARS_MAX: usize = 60;

pub(super) async fn shadow(state: &Path, extraction: &str, json: bool) -> Result<(), Failure> {
    let report = Client::find(state)?.shadow(extraction).await?;
    if json {
        return render::json(&report);
    }
    for line in summary(extraction, &report) {
        say!("{line}");
    }
    if !report.fields.is_empty() {
        say!("{}", fields(&report));
    }
    if !report.examples.is_empty() {
        say!("{}", examples(&report));
    }
    Ok(())
}

fn summary(extraction: &str, report: &ShadowReport) -> Vec<String> {
    let Some(share) = &report.share else {
        return vec![
            format!("The plan copies no requests of `{extraction}`."),
            "Add `shadow: { share: 1% }` to it, then `banyan reload`.".to_owned(),
        ];
    };
    let ReadCounts {
        equal,
        different,
        unanswered,
        volatile,
        lagged,
        unknown,
        skipped,
        dropped,
    } = report.reads;
    let differing = match report.differing {
        Some(share) => format!("{:.2}% of them differ", share * 100.0),
        None => "so far none could be".to_owned(),
    };
    let mut lines = vec![
        format!("{share} of the reads of `{extraction}` are compared."),
        format!("{} were since the start; {differing}.", report.compared),
        format!("  equal {equal}, different {different}, unanswered {unanswered}"),
        format!("  equal but for volatile fields {volatile}, equal a moment later {lagged}"),
        format!("  not compared: unknown {unknown}, skipped {skipped}, dropped {dropped}"),
    ];
    let writes = report.writes;
    if writes != gateway::WriteCounts::default() {
        lines.push(format!(
            "  writes copied: same status {}, another {}, unanswered {}, dropped {}",
            writes.equal, writes.different, writes.unanswered, writes.dropped
        ));
    }
    for (route, answers) in &report.read_writes {
        lines.push(format!(
            "  reads that write: {} ({answers}); give the route `as: writes`",
            cut(route)
        ));
    }
    lines
}

fn fields(report: &ShadowReport) -> String {
    let mut rows = render::table(&["route", "field", "differed", "volatile"]);
    for field in report.fields.iter().take(SHOWN_MAX) {
        let volatile = match (field.volatile, field.changed) {
            (true, _) => "yes".to_owned(),
            (false, 0) => "no".to_owned(),
            (false, times) => format!("{times} times"),
        };
        rows.add_row([
            cut(&field.route),
            cut(&field.field),
            field.differed.to_string(),
            volatile,
        ]);
    }
    more(rows.to_string(), report.fields.len(), "fields")
}

fn examples(report: &ShadowReport) -> String {
    let mut rows = render::table(&["path", "field", "monolith", "service"]);
    for example in report.examples.iter().rev().take(SHOWN_MAX) {
        rows.add_row([
            cut(&example.path),
            cut(&example.field),
            cut(&example.monolith),
            cut(&example.service),
        ]);
    }
    more(rows.to_string(), report.examples.len(), "examples")
}

fn more(rows: String, all: usize, what: &str) -> String {
    match all.checked_sub(SHOWN_MAX) {
        None | Some(0) => rows,
        Some(rest) => format!("{rows}\n  and {rest} more {what}: see --json"),
    }
}

/// Upstreams have a say in what stands there: nothing that a terminal obeys.
fn cut(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_control() { '?' } else { c });
    let mut cut: String = plain.take(CELL_CHARS_MAX).collect();
    if text.chars().nth(CELL_CHARS_MAX).is_some() {
        cut.push_str("...");
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway::{ShadowExample, ShadowField};

    fn report() -> ShadowReport {
        let field = |at: usize| ShadowField {
            route: "/api/contracts/{id}/signatures/*".to_owned(),
            field: format!("$.items[*].a_rather_long_name_of_a_field_{at}"),
            differed: 1_234_567,
            changed: 3,
            volatile: at == 0,
        };
        let example = ShadowExample {
            route: "/x/*".to_owned(),
            path: "/x/".repeat(60),
            correlation: "id".to_owned(),
            field: "$.name".to_owned(),
            monolith: "text\u{1b}[31m ".repeat(30),
            service: "missing".to_owned(),
        };
        ShadowReport {
            share: Some("0.25%".to_owned()),
            compared: 12_345_678,
            differing: Some(0.012_345),
            reads: ReadCounts {
                equal: 12_345_678,
                different: 12_345_678,
                unanswered: 12_345_678,
                volatile: 12_345_678,
                lagged: 1_234_567,
                unknown: 12_345_678,
                skipped: 12_345_678,
                dropped: 12_345_678,
            },
            fields: (0..20).map(field).collect(),
            examples: vec![example; 20],
            ..ShadowReport::default()
        }
    }

    #[test]
    fn it_fits_eighty_columns_and_commands_no_terminal() {
        let report = report();
        let text = [
            summary("contracts", &report).join("\n"),
            fields(&report),
            examples(&report),
        ]
        .join("\n");
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{line}");
            assert!(!line.contains('\u{1b}'), "{line:?}");
        }
        assert!(text.contains("1.23% of them differ"), "{text}");
        assert!(text.contains("and 8 more fields"), "{text}");
        let unplanned = summary("contracts", &ShadowReport::default());
        assert!(unplanned[0].contains("copies no requests"));
    }
}
