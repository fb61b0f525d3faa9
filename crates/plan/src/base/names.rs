//! Names, checked once, so that the rest can rely on their shape.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, fmt};

/// PostgreSQL cuts identifiers off after this many bytes, silently.
const IDENTIFIER_BYTES: usize = 63;

/// Room for the prefix and suffix of a slot's name around an extraction's. Other names
/// are kept as long, for ever.
const NAME_BYTES: usize = 40;

macro_rules! name {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
        )]
        #[serde(transparent)]
        pub struct $type(String);

        impl $type {
            /// The text of the name.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// An extraction: `a` to `z`, digits and `-`, at most 40. It becomes part
    /// of the names of slots, publications and origins.
    ExtractionName
}
name! {
    /// A service, of the same shape as an extraction's name.
    ServiceName
}
name! {
    /// A column, as PostgreSQL stores it.
    ColumnName
}

impl ExtractionName {
    /// Checks and takes a name.
    pub fn new(text: &str) -> Result<Self, String> {
        plain_name(text).map(Self)
    }

    /// The name where only `a-z0-9_` are allowed: slots, origins.
    pub fn slug(&self) -> String {
        self.0.replace('-', "_")
    }
}

impl ServiceName {
    /// Checks and takes a name.
    pub fn new(text: &str) -> Result<Self, String> {
        plain_name(text).map(Self)
    }
}

impl ColumnName {
    /// Checks and takes a name.
    pub fn new(text: &str) -> Result<Self, String> {
        identifier(text).map(Self)
    }
}

/// A name of the plan's own: `a` to `z`, digits and `-`.
pub(crate) fn plain_name(text: &str) -> Result<String, String> {
    let shape = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let starts = text.starts_with(|c: char| c.is_ascii_lowercase());
    if starts && text.len() <= NAME_BYTES && text.chars().all(shape) {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "`{text}` is no name: use a-z, 0-9 and -, a letter first, at most {NAME_BYTES}"
        ))
    }
}

fn identifier(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > IDENTIFIER_BYTES || text.contains('\0') {
        Err(format!(
            "`{text}` is no identifier: 1 to {IDENTIFIER_BYTES} bytes, without NUL"
        ))
    } else {
        Ok(text.to_owned())
    }
}

/// A table with its schema, as PostgreSQL stores the names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TableName {
    /// The schema.
    pub schema: String,
    /// The table.
    pub table: String,
}

impl TableName {
    /// Checks and takes both parts.
    pub fn new(schema: &str, table: &str) -> Result<Self, String> {
        Ok(Self {
            schema: identifier(schema)?,
            table: identifier(table)?,
        })
    }

    /// Parses `schema.table`; a part with a dot in it is written in double
    /// quotes, as in SQL.
    pub fn parse(text: &str) -> Result<Self, String> {
        match parts(text).as_deref() {
            Some([schema, table]) => Self::new(schema, table),
            _ => Err(format!(
                "`{text}` is no table: write schema.table, such as public.{text}; a name with a \
                 dot in it stands in double quotes"
            )),
        }
    }
}

/// As it is parsed.
impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", part(&self.schema), part(&self.table))
    }
}

/// The parts of a name between its dots. One that begins with a double quote
/// goes to the next that is not doubled, and may have dots in it; all others are
/// as they stand, capitals too. `None` where a quote does not end a part.
pub(crate) fn parts(text: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        let (part, after) = if let Some(quoted) = rest.strip_prefix('"') {
            quoted_part(quoted)?
        } else {
            let end = rest.find('.').unwrap_or(rest.len());
            (rest[..end].to_owned(), &rest[end..])
        };
        parts.push(part);
        match after.strip_prefix('.') {
            Some(next) => rest = next,
            None if after.is_empty() => return Some(parts),
            None => return None,
        }
    }
}

/// Up to the closing quote, and what comes after it.
fn quoted_part(text: &str) -> Option<(String, &str)> {
    let mut part = String::new();
    let mut rest = text;
    loop {
        let (before, after) = rest.split_once('"')?;
        part.push_str(before);
        let Some(next) = after.strip_prefix('"') else {
            return Some((part, after));
        };
        part.push('"');
        rest = next;
    }
}

/// One part of a name as it is parsed: quoted where it has to be.
pub(crate) fn part(name: &str) -> Cow<'_, str> {
    if name.contains('.') || name.starts_with('"') {
        Cow::Owned(format!("\"{}\"", name.replace('"', "\"\"")))
    } else {
        Cow::Borrowed(name)
    }
}

/// A token of RFC 9110: the name of a header or a cookie, or a method.
pub(crate) fn http_token(text: &str) -> Result<String, String> {
    let tchar = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if !text.is_empty() && text.bytes().all(tchar) {
        Ok(text.to_owned())
    } else {
        Err(format!("`{text}` is no name of a header, cookie or method"))
    }
}

/// A header's name, lower case.
pub(crate) fn header_name(text: &str) -> Result<String, String> {
    http_token(text).map(|name| name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_table_is_called_it_can_be_written() {
        let cases = [
            ("public.orders", Some(("public", "orders"))),
            ("Sales.Order Items", Some(("Sales", "Order Items"))),
            ("public.\"v1.orders\"", Some(("public", "v1.orders"))),
            ("\"a.b\".\"c\"\"d.\"", Some(("a.b", "c\"d."))),
            ("public.a\"b", Some(("public", "a\"b"))),
            ("public.\"\"\"x\"", Some(("public", "\"x"))),
            ("orders", None),
            ("a.b.c", None),
            ("public.", None),
            ("public.\"a", None),
            ("public.\"a\"b", None),
            ("public.\"\"", None),
        ];
        for (text, expected) in cases {
            let found = TableName::parse(text).ok();
            let names = found
                .as_ref()
                .map(|one| (one.schema.as_str(), one.table.as_str()));
            assert_eq!(names, expected, "{text}");
            if let Some(found) = found {
                assert_eq!(TableName::parse(&found.to_string()), Ok(found), "{text}");
            }
        }
    }
}
