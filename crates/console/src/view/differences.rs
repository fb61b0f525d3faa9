//! Where both sides differ: rows, as verify found them, and answers, as shadow did.

use super::{
    format,
    shadow::{Declaration, ShadowReport},
};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The most fields, examples and keys that are shown; the command line has all.
const SHOWN_MAX: usize = 50;

/// What the last verify of an extraction found, as the API has it.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Verification {
    rows: u64,
    differences: u64,
    #[serde(default)]
    report: VerifyReport,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct VerifyReport {
    tables: Vec<TableReport>,
    differences: Vec<RowReport>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct TableReport {
    table: TableName,
    rows: u64,
    differences: u64,
    kinds: BTreeMap<String, u64>,
    columns: BTreeMap<String, u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RowReport {
    table: TableName,
    key: Vec<(String, String)>,
    kind: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct TableName {
    schema: String,
    table: String,
}

impl TableName {
    fn text(&self) -> String {
        format!("{}.{}", self.schema, self.table)
    }
}

/// The differences of one extraction.
#[derive(Debug)]
pub(crate) struct DifferencesView {
    pub(crate) name: String,
    pub(crate) rows: String,
    pub(crate) tables: Vec<TableLine>,
    pub(crate) keys: Vec<[String; 3]>,
    pub(crate) answers: String,
    pub(crate) fields: Vec<FieldLine>,
    pub(crate) examples: Vec<[String; 5]>,
    /// Place, why, and who says so.
    pub(crate) declared: Vec<[String; 3]>,
    /// Why keys and examples are not shown, where they are not for this role.
    pub(crate) hidden: Option<&'static str>,
}

/// A table that was compared.
#[derive(Debug)]
pub(crate) struct TableLine {
    pub(crate) table: String,
    pub(crate) rows: String,
    pub(crate) differing: String,
    pub(crate) differs: bool,
    pub(crate) how: String,
}

/// A place in the answers of a route.
#[derive(Debug)]
pub(crate) struct FieldLine {
    pub(crate) route: String,
    pub(crate) field: String,
    pub(crate) differed: String,
    pub(crate) note: &'static str,
    pub(crate) class: &'static str,
    /// The lines of the plan that declare it volatile, where it counts and can be named.
    pub(crate) declaration: Option<String>,
}

/// What is known of an extraction. `sees_values`: whether the reader's role does; `person`:
/// who would declare something volatile.
pub(crate) fn differences(
    name: &str,
    verification: Option<&Verification>,
    shadow: &ShadowReport,
    sees_values: bool,
    person: &str,
) -> DifferencesView {
    let rows = match verification {
        None => "No verify is known: both sides' rows were not compared yet.".to_owned(),
        Some(found) => format!(
            "The last verify compared {} rows; {} differ.",
            format::count(found.rows),
            format::count(found.differences)
        ),
    };
    let report = verification.map(|found| &found.report);
    let tables = report.into_iter().flat_map(|report| &report.tables);
    let keys = report.into_iter().flat_map(|report| &report.differences);
    DifferencesView {
        name: name.to_owned(),
        rows,
        tables: tables.map(table).collect(),
        keys: keys.take(SHOWN_MAX).map(key).collect(),
        answers: answers(shadow),
        fields: fields(name, shadow, person),
        examples: examples(shadow),
        declared: shadow.declared.iter().map(declared).collect(),
        hidden: (!sees_values).then_some(
            "Keys of rows and examples of answers are shown to operators and approvers.",
        ),
    }
}

fn table(found: &TableReport) -> TableLine {
    let counts = |counts: &BTreeMap<String, u64>| {
        let named = counts.iter().map(|(name, count)| format!("{name} {count}"));
        named.collect::<Vec<_>>().join(", ")
    };
    let how = [counts(&found.kinds), counts(&found.columns)];
    let how = how.into_iter().filter(|text| !text.is_empty());
    TableLine {
        table: found.table.text(),
        rows: format::count(found.rows),
        differing: format::count(found.differences),
        differs: found.differences > 0,
        how: how.collect::<Vec<_>>().join("; columns: "),
    }
}

fn key(found: &RowReport) -> [String; 3] {
    let key = found
        .key
        .iter()
        .map(|(name, value)| format!("{name}={value}"));
    [
        found.table.text(),
        key.collect::<Vec<_>>().join(" "),
        found.kind.clone(),
    ]
}

fn answers(shadow: &ShadowReport) -> String {
    let Some(share) = &shadow.share else {
        return "The plan copies no requests of it: `shadow: { share: 1% }` would.".to_owned();
    };
    match shadow.differing {
        None => format!("{share} of its reads are compared; none was so far."),
        Some(differing) => format!(
            "{share} of its reads are compared: {} were since the start, and {} of them differ.",
            format::count(shadow.compared),
            format::percent(differing * 100.0)
        ),
    }
}

fn declared(one: &Declaration) -> [String; 3] {
    let word = |text: &Option<String>| text.clone().unwrap_or_else(|| "–".to_owned());
    [one.place.clone(), word(&one.because), word(&one.by)]
}

/// A double-quoted scalar of YAML is a string of JSON.
fn declaration(name: &str, field: &str, person: &str) -> Option<String> {
    if !field.starts_with('$') && !field.starts_with("header ") {
        // A status or a body that is no JSON has no place that could be named.
        return None;
    }
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    Some(format!(
        "extractions:\n  {name}:\n    shadow:\n      ignore:\n        - place: {}\n          \
         by: {}\n          because: \"...\"",
        quoted(field),
        quoted(person)
    ))
}

fn fields(name: &str, shadow: &ShadowReport, person: &str) -> Vec<FieldLine> {
    let fields = shadow.fields.iter().take(SHOWN_MAX);
    let line = |field: &super::shadow::ShadowField| {
        let (note, class) = match (field.volatile, field.changed) {
            (true, _) => ("volatile, does not count", ""),
            (false, 0) => ("differs", "fail"),
            (false, _) => ("the owner differs from itself, too", "wait"),
        };
        FieldLine {
            route: field.route.clone(),
            field: field.field.clone(),
            differed: format::count(field.differed),
            note,
            class,
            declaration: (!field.volatile)
                .then(|| declaration(name, &field.field, person))
                .flatten(),
        }
    };
    fields.map(line).collect()
}

/// Newest first.
fn examples(shadow: &ShadowReport) -> Vec<[String; 5]> {
    let examples = shadow.examples.iter().rev().take(SHOWN_MAX);
    let line = |one: &super::shadow::ShadowExample| {
        [
            format!("{} ({})", one.path, one.route),
            one.field.clone(),
            one.monolith.clone(),
            one.service.clone(),
            one.correlation.clone(),
        ]
    };
    examples.map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verify_is_shown_table_by_table_and_key_by_key() {
        let found = serde_json::json!({
            "rows": 1_234, "differences": 2,
            "report": {
                "tables": [{
                    "table": { "schema": "public", "table": "orders" }, "rows": 1_234,
                    "differences": 2, "kinds": { "changed": 1, "missing": 1 },
                    "columns": { "price": 1 }
                }],
                "differences": [{
                    "table": { "schema": "public", "table": "orders" },
                    "key": [["id", "7"]], "kind": "missing"
                }]
            }
        });
        let found: Verification = serde_json::from_value(found).unwrap();
        let view = differences(
            "orders",
            Some(&found),
            &ShadowReport::default(),
            true,
            "ada",
        );
        assert_eq!(view.rows, "The last verify compared 1,234 rows; 2 differ.");
        assert_eq!(view.tables[0].how, "changed 1, missing 1; columns: price 1");
        assert_eq!(view.keys[0], ["public.orders", "id=7", "missing"]);
        assert!(view.answers.starts_with("The plan copies no requests"));
        assert_eq!(view.hidden, None);
    }

    #[test]
    fn what_differs_can_be_declared_volatile_in_the_plan() {
        let field = |field: &str, volatile| {
            serde_json::json!({
                "route": "/api/orders/", "field": field, "differed": 4, "changed": 0,
                "volatile": volatile
            })
        };
        let shadow = serde_json::json!({
            "share": "1%", "compared": 9, "differing": 0.4,
            "fields": [
                field("$.items[*].seen \"x\"", false),
                field("$.etag", true),
                field("status", false)
            ],
            "declared": [
                { "place": "$.links", "by": "ada", "because": "each host names itself" },
                { "place": "header x-build", "by": null, "because": null }
            ]
        });
        let shadow: ShadowReport = serde_json::from_value(shadow).unwrap();
        let view = differences("orders", None, &shadow, true, "olaf");
        let lines: Vec<_> = view
            .fields
            .iter()
            .map(|one| one.declaration.as_deref())
            .collect();
        let wanted = "extractions:\n  orders:\n    shadow:\n      ignore:\n        - place: \
                      \"$.items[*].seen \\\"x\\\"\"\n          by: \"olaf\"\n          because: \"...\"";
        assert_eq!(lines, [Some(wanted), None, None]);
        assert_eq!(
            view.declared[0],
            ["$.links", "each host names itself", "ada"]
        );
        assert_eq!(view.declared[1], ["header x-build", "–", "–"]);
    }
}
