//! A contract's `terms`: any JSON object that PostgreSQL's jsonb can hold.
//!
//! The text is passed on token by token instead of being parsed into values,
//! because integers must keep all their digits. Fractions are written anew:
//! they count as doubles, and jsonb would take `1e-20000` for an error.

use serde_json::value::RawValue;

use crate::json::{is_float, shown_float};

/// Deep enough for any sane document, shallow enough for every JSON parser.
const MAX_DEPTH: usize = 100;
/// Python reads no longer ones; jsonb ends much later.
const MAX_INTEGER_DIGITS: usize = 4300;

#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub enum TermsError {
    /// Too deep, a number too large, or half a surrogate pair.
    Invalid,
    NullCharacter,
}

/// Checks an object whose syntax is known to be right.
pub fn read(object: &RawValue) -> Result<Box<RawValue>, TermsError> {
    let text = object.get();
    let mut checked = String::with_capacity(text.len());
    let mut open = 0_usize;
    let mut position = 0;
    while let Some(byte) = text.as_bytes().get(position) {
        let token_length = match byte {
            b'{' | b'[' => {
                open += 1;
                1
            }
            b'}' | b']' => {
                open = open.saturating_sub(1);
                1
            }
            b'"' => string_length(&text[position..]),
            b'-' | b'0'..=b'9' => number_length(&text[position..]),
            b't' | b'n' => 4,
            b'f' => 5,
            _ => 1,
        };
        let token = text
            .get(position..position + token_length)
            .ok_or(TermsError::Invalid)?;
        let is_leaf = !matches!(
            byte,
            b'{' | b'[' | b'}' | b']' | b',' | b':' | b' ' | b'\t' | b'\n' | b'\r'
        );
        if open + usize::from(is_leaf) > MAX_DEPTH {
            return Err(TermsError::Invalid);
        }
        match byte {
            b'"' => checked.push_str(checked_string(token)?),
            b'-' | b'0'..=b'9' => checked.push_str(&checked_number(token)?),
            _ => checked.push_str(token),
        }
        position += token_length;
    }
    RawValue::from_string(checked).map_err(|_| TermsError::Invalid)
}

/// The length of the string that `text` starts with, both quotes included.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (position, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return position + 1,
            _ => {}
        }
    }
    text.len()
}

fn number_length(text: &str) -> usize {
    let part_of_number = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
    text.bytes().take_while(part_of_number).count()
}

fn checked_string(token: &str) -> Result<&str, TermsError> {
    // Only an escape can say what raw text cannot hold.
    if token.contains("\\u") {
        let text: String = serde_json::from_str(token).map_err(|_| TermsError::Invalid)?;
        if text.contains('\0') {
            return Err(TermsError::NullCharacter);
        }
    }
    Ok(token)
}

fn checked_number(token: &str) -> Result<String, TermsError> {
    if is_float(token) {
        let number: f64 = token.parse().map_err(|_| TermsError::Invalid)?;
        return if number.is_finite() {
            Ok(shown_float(number))
        } else {
            Err(TermsError::Invalid)
        };
    }
    if token.len() > MAX_INTEGER_DIGITS {
        return Err(TermsError::Invalid);
    }
    Ok(token.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(json: &str) -> Result<String, TermsError> {
        let raw = RawValue::from_string(json.to_owned()).unwrap();
        read(&raw).map(|terms| terms.get().to_owned())
    }

    #[test]
    fn tokens_are_kept_and_fractions_become_doubles() {
        let table = [
            ("{}", "{}"),
            (
                "{ \"a\" : [ true, false, null ] }",
                "{ \"a\" : [ true, false, null ] }",
            ),
            (
                "{\"big\":-123456789012345678901234567890}",
                "{\"big\":-123456789012345678901234567890}",
            ),
            (
                "{\"a\":1.50,\"b\":1E5,\"c\":1e-20000}",
                "{\"a\":1.5,\"b\":100000.0,\"c\":0.0}",
            ),
            (
                "{\"a\\\"}\\\\\":\"é\\ud83d\\ude00\"}",
                "{\"a\\\"}\\\\\":\"é\\ud83d\\ude00\"}",
            ),
            ("{\"a\":\"\\\\u0000\"}", "{\"a\":\"\\\\u0000\"}"),
        ];
        for (given, expected) in table {
            assert_eq!(read_text(given).as_deref(), Ok(expected), "{given}");
        }
    }

    #[test]
    fn what_jsonb_cannot_hold_is_refused() {
        let long = format!("{{\"a\":{}}}", "9".repeat(MAX_INTEGER_DIGITS + 1));
        let table = [
            ("{\"a\":\"\\u0000\"}", TermsError::NullCharacter),
            ("{\"a\\u0000\":1}", TermsError::NullCharacter),
            ("{\"a\":\"\\ud83d\"}", TermsError::Invalid),
            ("{\"a\":1e999}", TermsError::Invalid),
            (&long, TermsError::Invalid),
        ];
        for (given, expected) in table {
            assert_eq!(read_text(given), Err(expected), "{given}");
        }
    }

    #[test]
    fn depth_counts_the_innermost_value() {
        let nested = |lists: usize, leaf: &str| {
            format!("{{\"a\":{}{leaf}{}}}", "[".repeat(lists), "]".repeat(lists))
        };
        assert!(read_text(&nested(MAX_DEPTH - 1, "")).is_ok());
        assert_eq!(read_text(&nested(MAX_DEPTH, "")), Err(TermsError::Invalid));
        assert!(read_text(&nested(MAX_DEPTH - 2, "1")).is_ok());
        assert_eq!(
            read_text(&nested(MAX_DEPTH - 1, "1")),
            Err(TermsError::Invalid)
        );
        assert_eq!(read_text(&nested(100_000, "")), Err(TermsError::Invalid));
    }
}
