//! The operators by which values of a table's keys are compared.
//!
//! Sessions of ours look for names in `pg_catalog` only, so that nobody's
//! operator stands in for PostgreSQL's. Those of an extension's type (`ltree`,
//! `hstore`, `citext`) are in the schema of the extension: without it `=` is
//! either not found, or found for another type, which the key's index does not
//! serve.

use crate::{
    database::{session::Session, sql},
    error::MoverError,
};
use plan::TableName;
use std::collections::BTreeMap;

/// Where PostgreSQL's own are.
const BUILT_IN: &str = "pg_catalog";

/// Of each column in a unique index, where the index's operator for equality
/// is: the others of its class are beside it. The primary key's comes last, and is
/// the one that counts.
const SCHEMAS: &str = "select a.attname::text, n.nspname::text \
    from pg_index i join pg_class c on c.oid = i.indrelid \
    join pg_namespace s on s.oid = c.relnamespace \
    cross join lateral unnest(i.indkey::int2[], i.indclass::oid[]) k(attnum, class) \
    join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum \
    join pg_opclass p on p.oid = k.class \
    join pg_amop e on e.amopfamily = p.opcfamily and e.amoplefttype = p.opcintype \
        and e.amoprighttype = p.opcintype and e.amopstrategy = 3 \
    join pg_operator o on o.oid = e.amopopr join pg_namespace n on n.oid = o.oprnamespace \
    where s.nspname = $1 and c.relname = $2 and i.indisunique \
    order by i.indisprimary";

/// The operators of one table on one side.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyOperators {
    /// Of columns whose operators are not PostgreSQL's own: their schema.
    schemas: BTreeMap<String, String>,
}

impl KeyOperators {
    /// Reads them.
    pub async fn of(session: &Session, table: &TableName) -> Result<Self, MoverError> {
        let rows = session
            .query(SCHEMAS, &[&table.schema, &table.table])
            .await
            .map_err(MoverError::sql(
                session.side(),
                "reading the operators of a table's keys",
            ))?;
        let schemas = rows
            .iter()
            .map(|row| (row.get(0), row.get(1)))
            .filter(|(_, schema): &(String, String)| schema != BUILT_IN)
            .collect();
        Ok(Self { schemas })
    }

    /// `=`, `<`, `<=`, `>=` or `>` between a column and a value of its type.
    pub fn between(&self, column: &str, operator: &str) -> String {
        match self.schemas.get(column) {
            Some(schema) => format!("operator({}.{operator})", sql::identifier(schema)),
            None => operator.to_owned(),
        }
    }

    /// Whether a column is compared by PostgreSQL's own.
    pub fn are_built_in(&self, column: &str) -> bool {
        !self.schemas.contains_key(column)
    }
}
