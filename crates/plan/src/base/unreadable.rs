//! What the parser refuses, in the plan's words: where it stands, what stands there, and
//! what is wanted.

use super::{
    error::{PlanError, document},
    key_path::{KeyPath, Place},
    located::Position,
    node::Node,
};
use serde_saphyr::Error;

/// Keys that plans of earlier versions have, and what has come in their place.
const RENAMED: &[(&str, &str)] = &[(
    "upgraded-idle",
    "`stream` under `timeouts` of the gateway, of an upstream or of a route",
)];

/// Where there is no better remedy.
const SCHEMA: &str = "`banyan schema` prints all that a plan may say";

/// What the parser says of `text`.
pub(crate) fn unreadable(error: &Error, text: &str) -> PlanError {
    let error = error.without_snippet();
    let at = error.location().map(|at| Position {
        line: at.line(),
        column: at.column(),
    });
    let at = at.unwrap_or_default();
    let document = document(text);
    let what = match error {
        Error::SerdeUnknownField { .. } | Error::DuplicateMappingKey { .. } => Place::Key,
        // The parser names the place of the last key that is there.
        Error::SerdeMissingField { .. } => Place::MappingOfKey,
        _ => Place::Value,
    };
    let there = document
        .as_ref()
        .filter(|_| at.known().is_some())
        .map(|document| KeyPath::at(at, what, document));
    let (message, remedy) = words(error, there.as_ref().map(|found| &found.node.value));
    let begins = there.as_ref().map_or(at, |found| match what {
        Place::MappingOfKey => found.node.at,
        _ => at,
    });
    // In `{ path: /x/{id} }` a brace opens a map of its own.
    let remedy = if has_bare_braces(text, at.line) {
        "Put a path with braces in quotes: `path: \"/x/{id}\"`".to_owned()
    } else {
        remedy
    };
    PlanError::at(begins, message)
        .of_key(there.map(|found| found.path))
        .remedy(remedy)
}

/// What is wrong, and what to do.
fn words(error: &Error, there: Option<&Node>) -> (String, String) {
    let schema = || SCHEMA.to_owned();
    match error {
        Error::SerdeUnknownField {
            field, expected, ..
        } => {
            let renamed = RENAMED.iter().find(|(before, _)| before == field);
            let remedy = renamed.map_or_else(
                || format!("There may be {}", listed(expected)),
                |(_, now)| format!("It has another name now: {now}"),
            );
            (format!("there is no key `{field}` here"), remedy)
        }
        Error::SerdeMissingField { field, .. } => (
            format!("`{field}` is missing here"),
            format!("Add `{field}`"),
        ),
        Error::SerdeUnknownVariant {
            variant, expected, ..
        } => {
            let remedy = format!("Write {}", one_of(expected));
            (format!("`{variant}` is not known here"), remedy)
        }
        Error::DuplicateMappingKey { key: Some(key), .. } => (
            format!("`{key}` is written twice in one place"),
            "Keep one of them: a table, for one, moves to one place".to_owned(),
        ),
        Error::Unexpected { expected, .. } => misplaced(there, expected),
        Error::SerdeInvalidType { expected, .. } | Error::SerdeInvalidValue { expected, .. } => {
            misplaced(there, expected)
        }
        Error::InvalidScalar { ty, .. } => misplaced(there, ty),
        Error::NullIntoString { .. } => misplaced(Some(&Node::Null), "string"),
        Error::ExternallyTaggedEnumExpectedScalarOrMapping { .. } => {
            misplaced(there, "a word or a mapping")
        }
        Error::ExpectedStringKeyForExternallyTaggedEnum { .. } => {
            misplaced(there, "a word or a mapping of one key")
        }
        Error::UnexpectedSequenceEnd { .. } | Error::UnexpectedMappingEnd { .. } => {
            misplaced(there, "value")
        }
        _ => (first_line(&error.to_string()), schema()),
    }
}

/// What stands there, and what is wanted.
fn misplaced(there: Option<&Node>, expected: &str) -> (String, String) {
    let (wanted, is_scalar) = wanted(expected);
    let found = match there {
        None => "something else".to_owned(),
        Some(Node::Null) => "nothing".to_owned(),
        Some(Node::List(_)) => "a list".to_owned(),
        Some(Node::Map(_)) => "a mapping".to_owned(),
        // In place of a mapping there may be a secret.
        Some(scalar) => match scalar.text().filter(|_| is_scalar) {
            Some(text) => format!("`{text}`"),
            None => "a single value".to_owned(),
        },
    };
    let remedy = match wanted.as_str() {
        "a list" => "Write its items in brackets, `[one, other]`, or each in a line after `- `",
        "a mapping" => "Write its keys in braces, `{ key: value }`, or in lines below it, indented",
        _ => SCHEMA,
    };
    (
        format!("{found} stands where {wanted} is wanted"),
        remedy.to_owned(),
    )
}

/// What the parser expects, in the plan's words; and whether it is a number or a word of
/// a few, of which what stands there may be repeated.
fn wanted(expected: &str) -> (String, bool) {
    let words = match expected {
        "sequence start" | "a sequence" | "seq" => "a list",
        "mapping start" | "a map" | "map" => "a mapping",
        _ if expected.starts_with("struct ") => "a mapping",
        "string scalar" | "a string" | "string" | "scalar" | "value" => "a text or a number",
        "boolean" | "a boolean" => return ("`true` or `false`".to_owned(), true),
        "u8" | "u16" | "u32" | "u64" | "usize" | "i64" => {
            return ("a whole number".to_owned(), true);
        }
        "floating point" | "f64" => return ("a number".to_owned(), true),
        other => return (other.to_owned(), false),
    };
    (words.to_owned(), false)
}

fn listed(all: &[&str]) -> String {
    let quoted: Vec<_> = all.iter().map(|one| format!("`{one}`")).collect();
    quoted.join(", ")
}

fn one_of(all: &[&str]) -> String {
    match all {
        [others @ .., last] if !others.is_empty() => format!("{} or `{last}`", listed(others)),
        _ => listed(all),
    }
}

/// Whether a line, counted from 1, has a path with braces that is in no quotes.
fn has_bare_braces(text: &str, line: u64) -> bool {
    let line = usize::try_from(line.saturating_sub(1)).ok();
    let line = line.and_then(|line| text.lines().nth(line));
    let mut values = line.unwrap_or_default().split("path:").skip(1);
    values.any(|value| {
        let value = value.split([',', ' ', '\t']).find(|part| !part.is_empty());
        value.is_some_and(|value| !value.starts_with(['"', '\'']) && value.contains('{'))
    })
}

/// The parser repeats the place in its message; we say it once, in front.
fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.split(" at line ")
        .next()
        .unwrap_or(line)
        .trim_start_matches("error: ")
        .to_owned()
}
