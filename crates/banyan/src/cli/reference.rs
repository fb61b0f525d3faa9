//! The plan's keys as a page to read, made from its JSON Schema.
//!
//! Breadth first: a section for each group of settings, named by the path of the
//! keys that lead there. A group that several keys share is described once.

use serde_json::Value;
use std::{
    collections::{BTreeMap, VecDeque},
    fmt::Write as _,
};

const HEAD: &str = "# The plan, key by key\n\n\
    Made from the JSON Schema by `banyan schema --reference`; `banyan schema` prints the schema \
    itself, for an editor. A key in **bold** is required. Durations are written `250ms`, `2s`, \
    `5m`; sizes `64KiB`, `16MiB`; shares `10%`, in steps of 0.01 %. `${NAME}` stands for a \
    variable of the environment. Unknown keys are refused, by line and column.\n";

/// Renders the page. The schema is our own: what it does not say is left out.
pub(super) fn page(schema: &Value) -> String {
    let mut page = Page {
        schema,
        text: HEAD.to_owned(),
        described: BTreeMap::new(),
        waiting: VecDeque::new(),
    };
    page.section("", schema);
    while let Some((path, group)) = page.waiting.pop_front() {
        page.section(&path, group);
    }
    page.text
}

struct Page<'a> {
    schema: &'a Value,
    text: String,
    /// Groups that have a name in the schema, and the path of their section.
    described: BTreeMap<&'a str, String>,
    waiting: VecDeque<(String, &'a Value)>,
}

impl<'a> Page<'a> {
    fn section(&mut self, path: &str, group: &'a Value) {
        if !path.is_empty() {
            let about = line(&group["description"]);
            // A `String` takes whatever is written.
            let _ = write!(self.text, "\n## `{path}`\n\n{about}\n");
        }
        self.text.push_str("\n| Key | Value | |\n|---|---|---|\n");
        let required: Vec<&str> = group["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        for (key, value) in group["properties"].as_object().into_iter().flatten() {
            let inner = if path.is_empty() {
                key.clone()
            } else {
                format!("{path}.{key}")
            };
            let kind = self.kind(&inner, value);
            let name = if required.contains(&key.as_str()) {
                format!("**`{key}`**")
            } else {
                format!("`{key}`")
            };
            let about = line(&value["description"]);
            let _ = writeln!(self.text, "| {name} | {kind} | {about} |");
        }
    }

    /// What a value may be. A group of settings gets a section of its own.
    fn kind(&mut self, path: &str, value: &'a Value) -> String {
        if let Some(name) = value["$ref"].as_str().and_then(|at| at.rsplit('/').next()) {
            let group = &self.schema["$defs"][name];
            if !group["properties"].is_object() {
                return self.kind(path, group);
            }
            if let Some(described) = self.described.get(name) {
                return link(described);
            }
            self.described.insert(name, path.to_owned());
            self.waiting.push_back((path.to_owned(), group));
            return link(path);
        }
        for several in ["anyOf", "oneOf"] {
            if let Some(all) = value[several].as_array() {
                let mut kinds: Vec<String> = Vec::new();
                for one in all.iter().filter(|one| one["type"] != "null") {
                    let kind = self.kind(path, one);
                    if !kinds.contains(&kind) {
                        kinds.push(kind);
                    }
                }
                return kinds.join(" or ");
            }
        }
        if let Some(word) = value["const"].as_str() {
            return format!("`{word}`");
        }
        if value["properties"].is_object() {
            self.waiting.push_back((path.to_owned(), value));
            return link(path);
        }
        if value["items"].is_object() {
            return format!("list of {}", self.kind(path, &value["items"]));
        }
        if value["additionalProperties"].is_object() {
            let inner = format!("{path}.NAME");
            let kind = self.kind(&inner, &value["additionalProperties"]);
            return format!("by name: {kind}");
        }
        let name = match &value["type"] {
            Value::Array(all) => all.iter().find_map(|one| match one.as_str() {
                Some("null") | None => None,
                name => name,
            }),
            one => one.as_str(),
        };
        match name {
            Some("string") => "text".to_owned(),
            Some("boolean") => "`true`, `false`".to_owned(),
            Some("integer") => "whole number".to_owned(),
            Some(other) => other.to_owned(),
            None => "any".to_owned(),
        }
    }
}

/// A link to a section, by the anchor that GitHub makes of its heading.
fn link(path: &str) -> String {
    let anchor: String = path
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '-')
        .map(|c| c.to_ascii_lowercase())
        .collect();
    format!("[{path}](#{anchor})")
}

/// A description as one line of a table.
fn line(description: &Value) -> String {
    let text = description.as_str().unwrap_or_default();
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::path::Path;

    #[test]
    fn groups_are_described_once_and_linked() {
        let group = json!({
            "description": "How long.",
            "properties": { "first-byte": { "type": ["string", "null"], "description": "a | b" } },
        });
        let schema = json!({
            "$defs": { "Times": group },
            "required": ["monolith"],
            "properties": {
                "monolith": { "$ref": "#/$defs/Times", "description": "Old." },
                "services": {
                    "additionalProperties": {
                        "properties": { "times": { "anyOf": [
                            { "oneOf": [{ "const": "none" }, { "const": "usual" }] },
                            { "$ref": "#/$defs/Times" },
                            { "type": "null" },
                        ] } },
                    },
                },
            },
        });
        let page = page(&schema);
        for expected in [
            "| **`monolith`** | [monolith](#monolith) | Old. |",
            "| `services` | by name: [services.NAME](#servicesname) |  |",
            "## `monolith`\n\nHow long.\n",
            "| `first-byte` | text | a \\| b |",
            "| `times` | `none` or `usual` or [monolith](#monolith) |  |",
        ] {
            assert!(page.contains(expected), "{expected}\n--\n{page}");
        }
        assert_eq!(page.matches("\n## ").count(), 2, "{page}");
    }

    /// `UPDATE_REFERENCE=1` writes it.
    #[test]
    fn the_page_in_docs_is_this_versions() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/plan.md");
        let made = page(&plan::json_schema());
        if std::env::var_os("UPDATE_REFERENCE").is_some() {
            std::fs::write(&path, &made).unwrap();
        }
        let there = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            there == made,
            "docs/reference/plan.md is not what `banyan schema --reference` prints: \
             write it anew with UPDATE_REFERENCE=1"
        );
        for (key, _) in plan::json_schema()["properties"].as_object().unwrap() {
            assert!(made.contains(&format!("`{key}`")), "{key}");
        }
    }
}
