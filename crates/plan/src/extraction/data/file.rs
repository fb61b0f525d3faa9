//! The data of an extraction as they are written.

use crate::base::{Located, Text};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Where the data are, and how they move.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend(
    "if" = { "properties": { "mode": { "const": "shared" } } },
    "then" = { "maxProperties": 1 },
    "else" = { "required": ["schema", "tables"] }
))]
pub struct DataFile {
    /// How the data move, if they do.
    pub(crate) mode: Located<ModeFile>,
    /// Schema of the tables in the service's database.
    #[serde(default)]
    pub(crate) schema: Option<Text>,
    /// Tables by their name in the monolith, `schema.table`; a name with a dot in it
    /// stands in double quotes, `public."v1.orders"`.
    #[serde(default)]
    pub(crate) tables: Option<Located<BTreeMap<String, Located<TableFile>>>>,
    /// `application_name`s of the sessions that may write these tables; `*` in one is
    /// any text (`"puma: *"`).
    #[serde(default)]
    pub(crate) writers: Option<Located<Vec<Text>>>,
    /// Columns of tables that stay, `schema.table.column`, whose foreign keys
    /// point at tables that move, and what a deletion there does.
    #[serde(default)]
    pub(crate) references: Option<Located<BTreeMap<String, Located<ForeignKeyRuleFile>>>>,
}

/// How the data move.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ModeFile {
    /// Copy, then follow the change stream; writers move in one step.
    Replicate,
    /// Not at all: monolith and service work on the same tables of one
    /// database, and both may write. Writes are split as reads are.
    Shared,
}

/// A table in the service's database.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TableFile {
    /// Its name there; the same when left out.
    #[serde(default)]
    pub(crate) to: Option<Text>,
    /// Columns with another name there: monolith's name to service's name.
    #[serde(default)]
    pub(crate) columns: BTreeMap<String, Text>,
    /// Who writes it: `owner` when left out.
    #[serde(default)]
    pub(crate) writes: WritesFile,
}

/// Who writes a table, and which way its rows flow.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WritesFile {
    /// The owner alone: the monolith until the switch, then the service.
    #[default]
    Owner,
    /// Both sides insert at any time, such as into an audit log, and rows flow
    /// both ways; the owner alone updates and deletes.
    Append,
    /// The owner alone until the first switch; from then on each side keeps its
    /// own, such as sessions, and nothing of it flows any more.
    Split,
}

/// What a deletion in a moved table does to a row that stays and refers to it.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ForeignKeyRuleFile {
    /// It must not happen while such a row is there; if it does, following
    /// stops with an error rather than leave an orphan.
    Restrict,
}
