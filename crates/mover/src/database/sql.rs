//! The one place where a name or a literal becomes SQL.
//!
//! Everything else is a parameter. PostgreSQL takes no parameters in DDL, in
//! COPY and in identifiers: those texts are made here and nowhere else.

use plan::TableName;

/// A quoted identifier. Names come from a catalogue or a checked plan, which
/// hold no NUL.
pub fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A quoted, schema-qualified table.
pub fn table(name: &TableName) -> String {
    format!("{}.{}", identifier(&name.schema), identifier(&name.table))
}

/// Quoted, schema-qualified tables, joined by commas.
pub fn tables<'a>(names: impl IntoIterator<Item = &'a TableName>) -> String {
    names.into_iter().map(table).collect::<Vec<_>>().join(", ")
}

/// A quoted literal, safe with either setting of
/// `standard_conforming_strings`.
pub fn literal(text: &str) -> String {
    if text.contains('\\') {
        format!(" E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
    } else {
        format!("'{}'", text.replace('\'', "''"))
    }
}

/// Quoted identifiers, joined by commas.
pub fn identifiers<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names
        .into_iter()
        .map(identifier)
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_its_quotes() {
        assert_eq!(identifier("a\"; drop table b"), "\"a\"\"; drop table b\"");
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal(r"\'; drop"), r" E'\\''; drop'");
    }
}
