//! The JSON Schemas of what is printed with `--json`: the conductor's, and those of the
//! verbs that put something together themselves.

use super::{
    add_table::Report as Joining, check::Report as Checked, console::Report as SignIn,
    finish::Report as Finished, freeze::Report as Frozen, hold_rehearsal::Report as Holds,
    journal::Checked as Chain, retire::Signed, retire::Written, routes::ReloadReport,
};
use conductor::{schema::Document, status::RetireStatus};
use schemars::schema_for;
use serde_json::Value;

/// Made here, with the verb of its name, `chain` with `journal --check`, `holds` with
/// `rehearse --hold`, `retired` with a `retire` that has written its files, `signed` with
/// `retire --check`.
const OWN: [&str; 12] = [
    "add-table",
    "chain",
    "check",
    "console",
    "finish",
    "freeze",
    "holds",
    "reload",
    "report",
    "retire",
    "retired",
    "signed",
];

/// All there are.
pub(super) fn names() -> Vec<&'static str> {
    let of_conductor = Document::ALL.iter().map(|one| one.name());
    of_conductor.chain(OWN).collect()
}

/// The schema of this name.
pub(super) fn named(name: &str) -> Option<Value> {
    let own = match name {
        "add-table" => schema_for!(Joining),
        "chain" => schema_for!(Chain),
        "check" => schema_for!(Checked<'_>),
        "console" => schema_for!(SignIn),
        "finish" => schema_for!(Finished),
        "freeze" => schema_for!(Frozen),
        "holds" => schema_for!(Holds<'_>),
        "reload" => schema_for!(ReloadReport),
        "report" => schema_for!(report::Report),
        "retire" => schema_for!(RetireStatus),
        "retired" => schema_for!(Written),
        "signed" => schema_for!(Signed),
        _ => return Document::named(name).map(Document::json_schema),
    };
    Some(own.to_value())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{check::example as checked, hold_rehearsal::example as holds};
    use plan::Plan;
    use protocol::rollout::{UnixMillis, rehearse};
    use serde_json::json;
    use std::path::Path;

    /// `UPDATE_REFERENCE=1` writes them.
    #[test]
    fn the_schemas_in_docs_are_this_versions() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/schemas");
        for name in OWN {
            let schema = named(name).unwrap();
            let made = serde_json::to_string_pretty(&schema).unwrap() + "\n";
            let path = directory.join(format!("{name}.json"));
            if std::env::var_os("UPDATE_REFERENCE").is_some() {
                std::fs::write(&path, &made).unwrap();
            }
            let there = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(
                there == made,
                "write {name}.json anew with UPDATE_REFERENCE=1"
            );
        }
    }

    /// What of a value does not fit a schema, as far as ours say anything.
    fn misfits(schema: &Value, value: &Value, root: &Value, at: &str) -> Vec<String> {
        if let Some(name) = schema["$ref"].as_str() {
            let name = name.trim_start_matches("#/$defs/");
            return misfits(&root["$defs"][name], value, root, at);
        }
        let mut found = Vec::new();
        let kinds = match &schema["type"] {
            Value::String(kind) => vec![kind.as_str()],
            Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let is = |kind: &&str| match *kind {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            "null" => value.is_null(),
            _ => false,
        };
        if !kinds.is_empty() && !kinds.iter().any(is) {
            found.push(format!("{at} is no {kinds:?}: {value}"));
        }
        if let Some(one) = schema.get("const").filter(|one| *one != value) {
            found.push(format!("{at} is not {one}"));
        }
        if schema["enum"]
            .as_array()
            .is_some_and(|all| !all.contains(value))
        {
            found.push(format!("{at} is none of {}", schema["enum"]));
        }
        for key in ["anyOf", "oneOf"] {
            let Some(all) = schema[key].as_array() else {
                continue;
            };
            if !all
                .iter()
                .any(|one| misfits(one, value, root, at).is_empty())
            {
                found.push(format!("{at} fits none of {key}: {value}"));
            }
        }
        for one in schema["allOf"].as_array().into_iter().flatten() {
            found.extend(misfits(one, value, root, at));
        }
        for name in schema["required"].as_array().into_iter().flatten() {
            if value.get(name.as_str().unwrap()).is_none() {
                found.push(format!("{at} has no {name}"));
            }
        }
        for (name, value) in value.as_object().into_iter().flatten() {
            match schema["properties"].get(name) {
                Some(schema) => found.extend(misfits(schema, value, root, &format!("{at}.{name}"))),
                None if schema["properties"].is_object() => {
                    found.push(format!("{at} has {name}, which the schema has not"));
                }
                None => {}
            }
        }
        for value in value.as_array().into_iter().flatten() {
            found.extend(misfits(&schema["items"], value, root, at));
        }
        found
    }

    fn fits(name: &str, printed: &Value) {
        let schema = named(name).unwrap();
        let misfits = misfits(&schema, printed, &schema, name);
        assert!(misfits.is_empty(), "{}", misfits.join("\n"));
    }

    #[test]
    fn what_is_printed_fits_its_schema() {
        let text = r#"
monolith: { url: "http://127.0.0.1:1", database: "postgres://u:p@127.0.0.1:2/m" }
services: { s: { url: "http://127.0.0.1:3", database: "postgres://u:p@127.0.0.1:4/s" } }
gateway: { listen: "127.0.0.1:5" }
extractions:
  contracts:
    service: s
    routes: [{ path: /contracts }]
    data: { mode: replicate, schema: s, tables: { public.contracts: {} } }
    rollout:
      key: { header: x-user }
      gates: { p95: { max: 1s } }
      steps: [{ reads: 5%, for: 1d, checklist: [pre-migration] }, switch, { watch: 1d }, retire]
"#;
        let plan = Plan::parse(text, |_| None).unwrap();
        let timeline = rehearse(&plan, UnixMillis(0)).unwrap();
        fits("timeline", &json!(timeline));
        fits("check", &checked());
        fits("holds", &holds());
        let status = conductor::status::Status {
            extractions: vec![conductor::status::ExtractionStatus::default()],
            ..conductor::status::Status::default()
        };
        fits("status", &json!(status));
        fits("report", &json!(report::Report::new(&status, &[], &[], 0)));
        fits("add-table", &json!(Joining::default()));
        fits("chain", &json!(Chain::default()));
        fits("finish", &json!(Finished::default()));
        fits("retire", &json!(RetireStatus::default()));
        fits("retired", &json!(Written::default()));
        let ended = Frozen {
            frozen_until: None,
            ended: Some(true),
        };
        fits("freeze", &json!(ended));
        // It can fail.
        let schema = named("timeline").unwrap();
        assert!(!misfits(&schema, &json!([{ "at": "now" }]), &schema, "").is_empty());
    }
}
