//! Two answers, field by field. Pure.
//!
//! A place in a JSON document is written as in JSONPath, with `[*]` for every
//! item of an array: `$.items[*].updated_at`. So there are as many places as a
//! document has kinds of fields, not as many as it has values. Names that are
//! no identifiers (ids, addresses: data in the place of names) are all `*`.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde_json::Value;
use std::{collections::BTreeSet, fmt};

/// The most differing places that are told of one pair of answers. One with
/// more is another document, whatever else differs.
const DIFFERENCES_MAX: usize = 1000;

/// How deep two documents are compared; what lies deeper counts as one value.
const DEPTH_MAX: usize = 32;

/// The longest name of a field that is shown.
const NAME_BYTES_MAX: usize = 64;

/// How much of a value is shown, where values are.
const VALUE_CHARS_MAX: usize = 200;

/// Headers that belong to one connection, one server or one moment.
const HEADERS_IGNORED: [&str; 18] = [
    "age",
    "alt-svc",
    "connection",
    "content-encoding",
    "content-length",
    "date",
    "etag",
    "keep-alive",
    "last-modified",
    "server",
    "set-cookie",
    "transfer-encoding",
    "vary",
    "via",
    "x-correlation-id",
    "x-powered-by",
    "x-request-id",
    "x-runtime",
];

/// An answer as it came.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Where two answers differ.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Spot {
    Status,
    Header(String),
    /// A place in a JSON document.
    Field(String),
    /// A body that is no JSON on at least one side.
    Body,
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status => f.write_str("status"),
            Self::Header(name) => write!(f, "header {name}"),
            Self::Field(path) => f.write_str(path),
            Self::Body => f.write_str("body"),
        }
    }
}

/// How two answers differ at one spot: what is there, or of what kind it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) spot: Spot,
    pub(crate) monolith: String,
    pub(crate) service: String,
}

/// Whether examples show values, or only their kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Values {
    Redacted,
    Visible,
}

/// What may differ, as the plan says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ignored(Vec<plan::Ignored>);

impl Ignored {
    pub(crate) fn new(planned: &[plan::DeclaredVolatile]) -> Self {
        Self(planned.iter().map(|one| one.place.clone()).collect())
    }

    fn covers(&self, spot: &Spot) -> bool {
        self.0.iter().any(|own| match (own, spot) {
            (plan::Ignored::Header(own), Spot::Header(name)) => own == name,
            (plan::Ignored::Field(own), Spot::Field(path)) => path
                .strip_prefix(own.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '['])),
            // What is no JSON has no places but the whole.
            (plan::Ignored::Field(own), Spot::Body) => own == "$",
            _ => false,
        })
    }
}

/// Where two answers differ, each spot once, at most [`DIFFERENCES_MAX`].
pub(crate) fn compare(
    monolith: &Answer,
    service: &Answer,
    ignored: &Ignored,
    values: Values,
) -> Vec<Difference> {
    let mut found = Comparison {
        ignored,
        values,
        seen: BTreeSet::new(),
        differences: Vec::new(),
    };
    if monolith.status != service.status {
        // A status is no secret.
        found.tell(
            Spot::Status,
            monolith.status.as_str().to_owned(),
            service.status.as_str().to_owned(),
        );
    }
    headers(&monolith.headers, &service.headers, &mut found);
    if monolith.body != service.body {
        let read = |answer: &Answer| serde_json::from_slice(&answer.body).ok();
        if let (Some(one), Some(other)) = (read(monolith), read(service)) {
            json(&one, &other, "$", DEPTH_MAX, &mut found);
        } else {
            let size = |answer: &Answer| format!("{} bytes", answer.body.len());
            found.tell(Spot::Body, size(monolith), size(service));
        }
    }
    found.differences
}

struct Comparison<'a> {
    ignored: &'a Ignored,
    values: Values,
    seen: BTreeSet<Spot>,
    differences: Vec<Difference>,
}

impl Comparison<'_> {
    fn tell(&mut self, spot: Spot, monolith: String, service: String) {
        if self.differences.len() < DIFFERENCES_MAX
            && !self.ignored.covers(&spot)
            && self.seen.insert(spot.clone())
        {
            self.differences.push(Difference {
                spot,
                monolith,
                service,
            });
        }
    }

    fn show(&self, value: Option<&Value>) -> String {
        match (value, self.values) {
            (None, _) => "missing".to_owned(),
            (Some(value), Values::Visible) => cut(&value.to_string()),
            (Some(value), Values::Redacted) => kind(value),
        }
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(VALUE_CHARS_MAX) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// The kind of a value and its size, which tell most mistakes apart.
fn kind(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "boolean".to_owned(),
        Value::Number(number) if number.is_f64() => "fraction".to_owned(),
        Value::Number(_) => "integer".to_owned(),
        Value::String(text) => format!("text of {}", text.chars().count()),
        Value::Array(items) => format!("array of {}", items.len()),
        Value::Object(fields) => format!("object of {}", fields.len()),
    }
}

fn headers(monolith: &HeaderMap, service: &HeaderMap, found: &mut Comparison<'_>) {
    let names: BTreeSet<&str> = monolith
        .keys()
        .chain(service.keys())
        .map(HeaderName::as_str)
        .filter(|name| !HEADERS_IGNORED.contains(name))
        .collect();
    for name in names {
        let (one, other) = (monolith.get_all(name), service.get_all(name));
        if one != other {
            let (one, other) = (show(&one, found.values), show(&other, found.values));
            found.tell(Spot::Header(name.to_owned()), one, other);
        }
    }
}

fn show(all: &header::GetAll<'_, HeaderValue>, values: Values) -> String {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let all: Vec<String> = all.iter().map(text).collect();
    match (&all[..], values) {
        ([], _) => "missing".to_owned(),
        (all, Values::Visible) => cut(&all.join(", ")),
        (all, Values::Redacted) => format!("text of {}", all.join(", ").chars().count()),
    }
}

fn json(monolith: &Value, service: &Value, path: &str, depth: usize, found: &mut Comparison<'_>) {
    match (monolith, service) {
        _ if monolith == service => {}
        (Value::Object(one), Value::Object(other)) if depth > 0 => {
            let names: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
            for name in names {
                let below = format!("{path}.{}", place(name));
                match (one.get(name), other.get(name)) {
                    (Some(one), Some(other)) => json(one, other, &below, depth - 1, found),
                    (one, other) => {
                        let (one, other) = (found.show(one), found.show(other));
                        found.tell(Spot::Field(below), one, other);
                    }
                }
            }
        }
        (Value::Array(one), Value::Array(other)) if depth > 0 => {
            if one.len() != other.len() {
                found.tell(
                    Spot::Field(path.to_owned()),
                    format!("array of {}", one.len()),
                    format!("array of {}", other.len()),
                );
            }
            let below = format!("{path}[*]");
            for (one, other) in one.iter().zip(other) {
                json(one, other, &below, depth - 1, found);
            }
        }
        (one, other) => {
            let (one, other) = (found.show(Some(one)), found.show(Some(other)));
            found.tell(Spot::Field(path.to_owned()), one, other);
        }
    }
}

/// A name as a part of a place.
fn place(name: &str) -> &str {
    let is_identifier = name.len() <= NAME_BYTES_MAX
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if is_identifier { name } else { "*" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn answer(status: u16, body: &Value) -> Answer {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers,
            body: body.to_string().into(),
        }
    }

    fn ignoring(places: &[&str]) -> Ignored {
        let ignored = |text: &&str| match text.strip_prefix("header ") {
            Some(name) => plan::Ignored::Header(name.to_owned()),
            None => plan::Ignored::Field((*text).to_owned()),
        };
        Ignored(places.iter().map(ignored).collect())
    }

    fn spots(one: &Answer, other: &Answer, ignored: &[&str]) -> Vec<String> {
        compare(one, other, &ignoring(ignored), Values::Redacted)
            .iter()
            .map(|difference| difference.spot.to_string())
            .collect()
    }

    #[test]
    fn differing_fields_are_told_by_their_place() {
        let one = json!({"id": 7, "items": [{"a": 1, "b": 1}, {"a": 2}], "gone": 1});
        let other = json!({"id": "7", "items": [{"a": 1, "b": 2}, {"a": 3}]});
        let (one, other) = (answer(200, &one), answer(200, &other));
        assert_eq!(
            spots(&one, &other, &[]),
            ["$.gone", "$.id", "$.items[*].b", "$.items[*].a"]
        );
        assert_eq!(spots(&one, &other, &["$.items", "$.gone"]), ["$.id"]);
        assert_eq!(spots(&one, &one, &[]), [""; 0]);
        let more = answer(404, &json!({"id": 7, "items": []}));
        assert_eq!(spots(&one, &more, &["$.gone"]), ["status", "$.items"]);
    }

    #[test]
    fn the_order_of_names_and_white_space_are_no_difference() {
        let text = |text: &'static str| Answer {
            body: text.into(),
            ..answer(200, &Value::Null)
        };
        let one = text(r#"{"a": 1, "b": [1, 2]}"#);
        assert_eq!(spots(&one, &text(r#"{"b":[1,2],"a":1}"#), &[]), [""; 0]);
        assert_eq!(spots(&one, &text(r#"{"b":[2,1],"a":1}"#), &[]), ["$.b[*]"]);
    }

    #[test]
    fn names_that_are_data_are_not_shown() {
        let one = answer(200, &json!({"bob@example.org": 1, "17": {"x": 1}, "ok": 1}));
        let other = answer(200, &json!({"ada@example.org": 1, "17": {"x": 2}, "ok": 2}));
        assert_eq!(spots(&one, &other, &[]), ["$.*.x", "$.*", "$.ok"]);
    }

    #[test]
    fn headers_are_compared_but_for_those_of_the_server() {
        let mut one = answer(200, &json!(1));
        let mut other = one.clone();
        let set = |answer: &mut Answer, name: &'static str, value: &'static str| {
            let value = HeaderValue::from_static(value);
            answer.headers.append(name, value);
        };
        set(&mut one, "server", "a");
        set(&mut one, "date", "today");
        set(&mut one, "link", "a");
        set(&mut one, "link", "b");
        set(&mut other, "link", "a");
        set(&mut other, "x-total", "5");
        let both = ["header link", "header x-total"];
        assert_eq!(spots(&one, &other, &[]), both);
        assert_eq!(spots(&one, &other, &["header link"]), both[1..]);
        assert_eq!(spots(&one, &other, &["$"]), both);
    }

    #[test]
    fn an_ignored_path_ends_at_a_name() {
        let ignored = ignoring(&["$.a"]);
        let covers = |path: &str| ignored.covers(&Spot::Field(path.to_owned()));
        assert!(covers("$.a") && covers("$.a.b") && covers("$.a[*].c"));
        assert!(!covers("$.ab") && !covers("$"));
        assert!(!ignored.covers(&Spot::Body) && ignoring(&["$"]).covers(&Spot::Body));
    }

    #[test]
    fn examples_hold_no_values_unless_asked() {
        let one = answer(200, &json!({"name": "Ada"}));
        let other = answer(200, &json!({"name": "Bob Secret"}));
        let differences = |values| compare(&one, &other, &Ignored::default(), values);
        let redacted = differences(Values::Redacted);
        assert_eq!(redacted[0].monolith, "text of 3");
        assert_eq!(redacted[0].service, "text of 10");
        let shown = differences(Values::Visible);
        assert_eq!(shown[0].service, "\"Bob Secret\"");
        assert_eq!(cut(&"é".repeat(500)).chars().count(), VALUE_CHARS_MAX + 3);
    }

    #[test]
    fn bodies_that_are_no_json_are_compared_whole() {
        let html = |text: &'static str| Answer {
            body: text.into(),
            ..answer(200, &Value::Null)
        };
        assert_eq!(spots(&html("<a>"), &html("<b>"), &[]), ["body"]);
        assert_eq!(spots(&html("<a>"), &html("<a>"), &[]), [""; 0]);
        assert_eq!(spots(&html("<a>"), &answer(200, &json!(1)), &[]), ["body"]);
        // Too deep to be read, and no reason to fail.
        let deep = "[".repeat(100_000);
        assert_eq!(spots(&html("1"), &answer(200, &json!(deep)), &[]), ["$"]);
    }

    fn document() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i8>().prop_map(Value::from),
            "[a-c]{0,2}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 20, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[a-c@]", inner, 0..3)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn equal_and_only_equal_documents_have_no_difference(one in document(), other in document()) {
            let same = one == other;
            let found = spots(&answer(200, &one), &answer(200, &other), &[]);
            prop_assert_eq!(found.is_empty(), same);
        }

        #[test]
        fn any_two_bodies_can_be_compared(one: Vec<u8>, other: Vec<u8>) {
            let raw = |bytes: Vec<u8>| Answer { body: bytes.into(), ..answer(200, &Value::Null) };
            let (one, other) = (raw(one), raw(other));
            let found = compare(&one, &other, &Ignored::default(), Values::Visible);
            prop_assert!(found.is_empty() || one.body != other.body);
        }
    }
}
