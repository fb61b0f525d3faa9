//! What to do about a finding: in words, and what is to be run for it.

use crate::Side;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One statement that mends what was found, or a part of what does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Statement {
    /// In which side's database.
    pub database: Side,
    /// Without a semicolon at its end.
    pub sql: String,
    /// Who may run it, where a role of that database is not enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why a person has to decide first. `None`: it can be run as it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caution: Option<String>,
    /// Whether it does no harm only where the tables have no rows. A person decides
    /// where they have, and is told by the caution.
    #[serde(skip)]
    pub for_empty_tables: bool,
}

/// Who may give what only a superuser may.
const SUPERUSER: &str = "a superuser";

impl Statement {
    /// One that can be run as it stands.
    pub fn new(database: Side, sql: impl Into<String>) -> Self {
        let sql = sql.into();
        Self {
            database,
            sql,
            by: None,
            caution: None,
            for_empty_tables: false,
        }
    }

    /// One for this role, or a superuser.
    #[must_use]
    pub fn by(mut self, who: impl Into<String>) -> Self {
        self.by = Some(who.into());
        self
    }

    /// One for a superuser.
    #[must_use]
    pub fn by_superuser(self) -> Self {
        self.by(SUPERUSER)
    }

    /// One that rewrites, cuts or begins anew what has rows.
    #[must_use]
    pub fn for_empty_tables(mut self) -> Self {
        self.for_empty_tables = true;
        self
    }

    /// One that takes something away, or is one way of several.
    #[must_use]
    pub fn caution(mut self, why: impl Into<String>) -> Self {
        self.caution = Some(why.into());
        self
    }
}

/// What to do: words, and the statements that they speak of, in the order in
/// which they are run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Remedy {
    /// Without what is to be run.
    #[serde(rename = "remedy")]
    pub words: String,
    /// May be none.
    #[serde(rename = "statement", default)]
    pub statements: Vec<Statement>,
}

impl Remedy {
    /// Words, and what is to be run.
    pub fn run(words: impl Into<String>, statements: impl IntoIterator<Item = Statement>) -> Self {
        Self {
            words: words.into(),
            statements: statements.into_iter().collect(),
        }
    }
}

impl From<&str> for Remedy {
    fn from(words: &str) -> Self {
        Self::run(words, [])
    }
}

impl From<String> for Remedy {
    fn from(words: String) -> Self {
        Self::run(words, [])
    }
}

/// In one line.
impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)?;
        for (at, statement) in self.statements.iter().enumerate() {
            let before = if at == 0 { ": " } else { "; " };
            write!(f, "{before}{}", statement.sql)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_one_line_has_the_statements_at_its_end() {
        let remedy = Remedy::run(
            "Run as a superuser",
            ["grant a to b", "grant c to d"].map(|sql| Statement::new(Side::Monolith, sql)),
        );
        assert_eq!(
            remedy.to_string(),
            "Run as a superuser: grant a to b; grant c to d"
        );
        assert_eq!(Remedy::from("Nothing").to_string(), "Nothing");
    }
}
