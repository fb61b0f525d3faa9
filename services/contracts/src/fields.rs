//! Rules for single fields, and the messages when they are broken.
//!
//! The words are those of the API's first implementation; clients match on
//! them.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::json::{Given, trimmed};

pub const REQUIRED: &str = "This field is required.";
pub const NULL: &str = "This field may not be null.";
pub const NOT_AN_INTEGER: &str = "A valid integer is required.";
const BLANK: &str = "This field may not be blank.";
const NOT_A_STRING: &str = "Not a valid string.";
const NULL_CHARACTERS: &str = "Null characters are not allowed.";

/// Every wrong field of a request with its messages.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct FieldErrors(BTreeMap<&'static str, Messages>);

/// What is wrong with a field.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Messages {
    Field(Vec<String>),
    /// By the position of the wrong item in a list.
    Items(BTreeMap<usize, Vec<String>>),
}

impl From<&str> for Messages {
    fn from(message: &str) -> Self {
        Self::Field(vec![message.to_owned()])
    }
}

impl From<String> for Messages {
    fn from(message: String) -> Self {
        Self::Field(vec![message])
    }
}

impl FieldErrors {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn add(&mut self, field: &'static str, messages: impl Into<Messages>) {
        self.0.insert(field, messages.into());
    }

    /// The value of a field, or nothing and its messages noted.
    pub fn note<T>(&mut self, field: &'static str, outcome: Result<T, Messages>) -> Option<T> {
        outcome.map_err(|messages| self.add(field, messages)).ok()
    }
}

/// How long a text may be, in characters, once blanks around it are gone.
#[derive(Debug, Clone, Copy)]
pub struct TextRule {
    pub min_chars: usize,
    pub max_chars: usize,
}

impl TextRule {
    pub const fn up_to(max_chars: usize) -> Self {
        Self {
            min_chars: 1,
            max_chars,
        }
    }

    pub const fn exactly(chars: usize) -> Self {
        Self {
            min_chars: chars,
            max_chars: chars,
        }
    }

    /// Reads a text; numbers count as the text that shows them.
    pub fn read(self, given: &Given<'_>) -> Result<String, Vec<String>> {
        let shown = match given {
            Given::Text(_) | Given::Integer(_) | Given::Float(_) => given.shown(),
            Given::LoneSurrogate(code) => {
                return Err(vec![format!(
                    "Surrogate characters are not allowed: U+{code:X}."
                )]);
            }
            Given::Null => return Err(vec![NULL.to_owned()]),
            Given::Bool(_) | Given::List(_) | Given::Object(_) => {
                return Err(vec![NOT_A_STRING.to_owned()]);
            }
        };
        let text = trimmed(&shown);
        if text.is_empty() {
            return Err(vec![BLANK.to_owned()]);
        }
        let messages = self.broken_by(text);
        if messages.is_empty() {
            Ok(text.to_owned())
        } else {
            Err(messages)
        }
    }

    fn broken_by(self, text: &str) -> Vec<String> {
        let chars = text.chars().count();
        let mut messages = Vec::new();
        if chars > self.max_chars {
            let max = self.max_chars;
            messages.push(format!(
                "Ensure this field has no more than {max} characters."
            ));
        }
        if chars < self.min_chars {
            let min = self.min_chars;
            messages.push(format!("Ensure this field has at least {min} characters."));
        }
        if text.contains('\0') {
            messages.push(NULL_CHARACTERS.to_owned());
        }
        messages
    }
}

/// Whether a text is an integer as ids and filters may be written. Its number
/// may still be too large for any id.
pub fn is_integer(text: &str) -> bool {
    const MAX_DIGITS: usize = 1000;
    let digits = text.strip_prefix('-').unwrap_or(text);
    (1..=MAX_DIGITS).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// The id of something that must exist, as a client gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mention {
    /// Nothing when no id can be that number.
    pub id: Option<i64>,
    given: String,
}

impl Mention {
    pub fn read(given: &Given<'_>) -> Result<Self, Messages> {
        let text = match given {
            Given::Null => return Err(NULL.into()),
            Given::Integer(digits) => (*digits).to_owned(),
            Given::Text(text) if is_integer(text) => text.clone(),
            _ => return Err(NOT_AN_INTEGER.into()),
        };
        Ok(Self {
            id: text.parse().ok().filter(|id| *id > 0),
            given: text,
        })
    }

    pub fn does_not_exist(&self) -> Messages {
        format!("Invalid pk \"{}\" - object does not exist.", self.given).into()
    }
}

/// The number that a plain row of digits says; anything else is nothing.
pub fn positive_integer(text: &str) -> Option<i64> {
    /// These fit; nothing here has a meaning beyond.
    const MAX_DIGITS: usize = 18;
    let plain = text.len() <= MAX_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| plain && *number > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_plain() {
        let table = [
            ("7", Some(7)),
            ("007", Some(7)),
            ("0", None),
            ("", None),
            ("+7", None),
            ("-7", None),
            (" 7", None),
            ("٧", None),
            ("999999999999999999", Some(999_999_999_999_999_999)),
            ("1000000000000000000", None),
        ];
        for (text, number) in table {
            assert_eq!(positive_integer(text), number, "{text}");
        }
        let long = "1".repeat(1000);
        for text in ["0", "-7", "007", long.as_str()] {
            assert!(is_integer(text), "{text}");
        }
        for text in [
            "",
            "-",
            "+7",
            "7.0",
            " 7",
            "1_0",
            "--7",
            &format!("{long}1"),
        ] {
            assert!(!is_integer(text), "{text}");
        }
    }
}
