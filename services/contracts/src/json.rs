//! JSON as clients give it, without losing anything.
//!
//! The API promises that numbers of any size come back as they were sent, that
//! `price` may be a number, and that half a surrogate pair in one field is an
//! error of that field only. A parsed `serde_json::Value` has lost all three,
//! so fields stay raw text until a rule looks at them.
//!
//! The API's messages show values and types as Python writes them (`True`,
//! `1e+22`, `dict`); clients know these texts, so they are written here.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::value::RawValue;

/// The fields of a request's body.
#[derive(Debug, Default)]
pub struct Fields<'a>(BTreeMap<String, &'a RawValue>);

/// Why a body has no fields.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub enum BodyError {
    NotJson,
    NotAnObject,
}

impl<'a> Fields<'a> {
    /// Reads a body. An empty one counts as an object without fields.
    pub fn read(body: &'a [u8]) -> Result<Self, BodyError> {
        if body.is_empty() {
            return Ok(Self::default());
        }
        let text = std::str::from_utf8(body).map_err(|_| BodyError::NotJson)?;
        let whole: &RawValue = serde_json::from_str(text).map_err(|_| BodyError::NotJson)?;
        if !whole.get().starts_with('{') {
            return Err(BodyError::NotAnObject);
        }
        serde_json::from_str(text)
            .map(Self)
            .map_err(|_| BodyError::NotJson)
    }

    pub fn get(&self, name: &str) -> Option<Given<'a>> {
        self.0.get(name).map(|raw| Given::of(raw))
    }
}

/// One value, as far as rules need to know it.
#[derive(Debug)]
pub enum Given<'a> {
    Null,
    Bool(bool),
    /// The digits, with a sign if negative; `-0` is `0`.
    Integer(&'a str),
    Float(f64),
    Text(String),
    /// A string that is no text: the first half of a surrogate pair without
    /// the second, or the other way round.
    LoneSurrogate(u16),
    List(Vec<&'a RawValue>),
    Object(&'a RawValue),
}

impl<'a> Given<'a> {
    pub fn of(raw: &'a RawValue) -> Self {
        let text = raw.get();
        match text.as_bytes().first() {
            Some(b'n') | None => Self::Null,
            Some(b't') => Self::Bool(true),
            Some(b'f') => Self::Bool(false),
            Some(b'"') => serde_json::from_str(text)
                .map_or_else(|_| Self::LoneSurrogate(lone_surrogate(text)), Self::Text),
            // The syntax was checked when the body was read.
            Some(b'[') => Self::List(serde_json::from_str(text).unwrap_or_default()),
            Some(b'{') => Self::Object(raw),
            Some(_) if is_float(text) => Self::Float(text.parse().unwrap_or(f64::INFINITY)),
            Some(_) if text == "-0" => Self::Integer("0"),
            Some(_) => Self::Integer(text),
        }
    }

    /// The type's name in messages.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "NoneType",
            Self::Bool(_) => "bool",
            Self::Integer(_) => "int",
            Self::Float(_) => "float",
            Self::Text(_) | Self::LoneSurrogate(_) => "str",
            Self::List(_) => "list",
            Self::Object(_) => "dict",
        }
    }

    /// The value as messages show it, and as text fields take it.
    pub fn shown(&self) -> String {
        match self {
            Self::Null => "None".to_owned(),
            Self::Bool(true) => "True".to_owned(),
            Self::Bool(false) => "False".to_owned(),
            Self::Integer(digits) => (*digits).to_owned(),
            Self::Float(number) => shown_float(*number),
            Self::Text(text) => text.clone(),
            Self::LoneSurrogate(_) => char::REPLACEMENT_CHARACTER.to_string(),
            Self::List(_) | Self::Object(_) => self.shown_inside(0),
        }
    }

    fn shown_inside(&self, depth: u32) -> String {
        /// Deeper values are only hinted at: messages are for people, and
        /// the stack has an end.
        const MAX_DEPTH: u32 = 8;
        match self {
            Self::Text(text) => quoted(text),
            Self::List(_) | Self::Object(_) if depth == MAX_DEPTH => "...".to_owned(),
            Self::List(items) => {
                let shown = items
                    .iter()
                    .map(|raw| Given::of(raw).shown_inside(depth + 1));
                format!("[{}]", shown.collect::<Vec<_>>().join(", "))
            }
            Self::Object(raw) => {
                let fields: BTreeMap<String, &RawValue> =
                    serde_json::from_str(raw.get()).unwrap_or_default();
                let shown = fields.iter().map(|(name, raw)| {
                    format!(
                        "{}: {}",
                        quoted(name),
                        Given::of(raw).shown_inside(depth + 1)
                    )
                });
                format!("{{{}}}", shown.collect::<Vec<_>>().join(", "))
            }
            _ => self.shown(),
        }
    }
}

/// Whether a JSON number is written with a fraction or an exponent.
pub fn is_float(number: &str) -> bool {
    number.contains(['.', 'e', 'E'])
}

/// The shortest text that reads back as the same number, with an exponent
/// where there would be many zeros.
pub fn shown_float(number: f64) -> String {
    if !number.is_finite() {
        let shown = if number > 0.0 { "inf" } else { "-inf" };
        return shown.to_owned();
    }
    let scientific = format!("{number:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if !(-4..16).contains(&exponent) {
        return format!("{mantissa}e{exponent:+03}");
    }
    let plain = number.to_string();
    if plain.contains('.') {
        plain
    } else {
        plain + ".0"
    }
}

/// Blanks as Python's `str.strip` knows them: Unicode's, and four separators.
pub fn trimmed(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c))
}

fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    let mut shown = String::from(quote);
    for c in text.chars() {
        match c {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            '\\' => shown.push_str("\\\\"),
            c if c == quote => shown.extend(['\\', c]),
            c if c.is_control() => {
                // Writing to a String cannot fail.
                let _ = write!(shown, "\\x{:02x}", u32::from(c));
            }
            c => shown.push(c),
        }
    }
    shown.push(quote);
    shown
}

/// The first \uXXXX escape of a JSON string that is half a surrogate pair.
fn lone_surrogate(json: &str) -> u16 {
    let mut rest = json;
    let mut high: Option<u16> = None;
    while let Some(position) = rest.find('\\') {
        if position > 0
            && let Some(code) = high
        {
            return code;
        }
        let escape = &rest[position + 1..];
        let code = escape.strip_prefix('u').and_then(|digits| {
            digits
                .get(..4)
                .and_then(|digits| u16::from_str_radix(digits, 16).ok())
        });
        rest = escape
            .get(if code.is_some() { 5.. } else { 1.. })
            .unwrap_or_default();
        high = match (high, code) {
            (Some(_), Some(0xDC00..=0xDFFF)) => None,
            (Some(code), _) | (None, Some(code @ 0xDC00..=0xDFFF)) => return code,
            (None, Some(code @ 0xD800..=0xDBFF)) => Some(code),
            (None, _) => None,
        };
    }
    high.unwrap_or(0xD800)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).unwrap()
    }

    #[test]
    fn bodies_are_read() {
        let read = |body: &[u8]| Fields::read(body).map(|fields| fields.0.len());
        assert_eq!(read(b""), Ok(0));
        assert_eq!(read(b" {\"a\": 1, \"b\": 2, \"a\": 3} "), Ok(2));
        for body in ["[]", "null", "1", "\"{}\""] {
            assert_eq!(read(body.as_bytes()), Err(BodyError::NotAnObject), "{body}");
        }
        for body in [
            " ",
            "{",
            "{}x",
            "nul",
            "{\"a\": NaN}",
            "{a: 1}",
            "{\"a\": 01}",
            "\u{feff}{}",
        ] {
            assert_eq!(read(body.as_bytes()), Err(BodyError::NotJson), "{body}");
        }
        assert_eq!(read(b"{\"a\": \"\xff\"}"), Err(BodyError::NotJson));
        // Far deeper than any stack: only the field that uses it may mind.
        let deep = format!("{{\"a\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(read(deep.as_bytes()), Ok(1));
        let deep = format!("{{\"a\": {}", "[".repeat(100_000));
        assert_eq!(read(deep.as_bytes()), Err(BodyError::NotJson));
    }

    #[test]
    fn the_last_of_two_equal_fields_wins() {
        let fields = Fields::read(b"{\"a\": 1, \"a\": 3}").unwrap();
        assert_eq!(fields.get("a").unwrap().shown(), "3");
    }

    #[test]
    fn values_are_shown_as_clients_know_them() {
        let table = [
            ("null", "None", "NoneType"),
            ("true", "True", "bool"),
            ("-0", "0", "int"),
            (
                "123456789012345678901234567890",
                "123456789012345678901234567890",
                "int",
            ),
            ("1.0", "1.0", "float"),
            ("1e22", "1e+22", "float"),
            ("1e15", "1000000000000000.0", "float"),
            ("1e16", "1e+16", "float"),
            ("0.0001", "0.0001", "float"),
            ("0.00001", "1e-05", "float"),
            ("1.5e-7", "1.5e-07", "float"),
            ("-0.0", "-0.0", "float"),
            ("1e999", "inf", "float"),
            ("\"x\\u00e9\\ud83d\\ude00\"", "xé😀", "str"),
            ("[1, \"a'b\", [null]]", "[1, \"a'b\", [None]]", "list"),
            (
                "{\"b\": \"\\n\", \"a\": 1.50}",
                "{'a': 1.5, 'b': '\\n'}",
                "dict",
            ),
        ];
        for (json, shown, type_name) in table {
            let raw = raw(json);
            let given = Given::of(&raw);
            assert_eq!(
                (given.shown().as_str(), given.type_name()),
                (shown, type_name),
                "{json}"
            );
        }
    }

    #[test]
    fn deep_values_are_shown_without_end_of_stack() {
        let raw = raw(&format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)));
        assert_eq!(Given::of(&raw).shown(), "[[[[[[[[...]]]]]]]]");
    }

    #[test]
    fn half_pairs_are_found() {
        let table = [
            ("\"\\ud83d\"", 0xD83D),
            ("\"a\\udc00b\"", 0xDC00),
            ("\"\\ud83d\\ude00\\ud801x\"", 0xD801),
            ("\"\\\\\\ud83d \\ude00\"", 0xD83D),
            ("\"\\ud83d\\n\"", 0xD83D),
        ];
        for (json, code) in table {
            let raw = raw(json);
            assert!(matches!(Given::of(&raw), Given::LoneSurrogate(found) if found == code));
        }
    }

    #[test]
    fn blanks_are_trimmed() {
        assert_eq!(trimmed(" \u{1c}\u{a0}\u{2003}a b\u{85}\n"), "a b");
        assert_eq!(trimmed("\u{200b}"), "\u{200b}");
    }
}
