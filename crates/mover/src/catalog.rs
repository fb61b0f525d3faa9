//! The catalogue's description of the tables that move, joined across the sides.
//!
//! [`MovedTable`] is what the rest of the mover works with: columns in one
//! order for both sides, names by side, the key as positions in that order.

use crate::{database::session::Session, error::MoverError};
use plan::{TableMapping, TableName};
use protocol::Side;
use std::collections::BTreeSet;
use tokio_postgres::GenericClient;

/// One table that moves, on both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovedTable {
    /// Names as the plan maps them.
    pub mapping: TableMapping,
    /// The columns that move: all that are stored (not generated) on the
    /// monolith's side, in its order.
    pub columns: Vec<MovedColumn>,
    /// The primary key, as positions in `columns`, in the key's order.
    pub key: Vec<usize>,
}

/// One column that moves, on both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovedColumn {
    /// Its name in the monolith's table.
    pub monolith: String,
    /// Its name in the service's table.
    pub service: String,
    /// Its type as SQL writes it on each side, `numeric(14,2)`; they may
    /// differ only as [`Column::fits`] allows.
    pub monolith_type: String,
    /// The same in the service's table.
    pub service_type: String,
}

impl MovedTable {
    /// The table's name on a side.
    pub fn name(&self, side: Side) -> &TableName {
        match side {
            Side::Monolith => &self.mapping.monolith,
            Side::Service => &self.mapping.service,
        }
    }

    /// Column names on a side, in the common order.
    pub fn column_names(&self, side: Side) -> Vec<&str> {
        self.columns
            .iter()
            .map(|column| column.name(side))
            .collect()
    }

    /// Key column names on a side, in the key's order.
    pub fn key_names(&self, side: Side) -> Vec<&str> {
        self.key
            .iter()
            .map(|&at| self.columns[at].name(side))
            .collect()
    }
}

impl MovedColumn {
    /// Its name on a side.
    pub fn name(&self, side: Side) -> &str {
        match side {
            Side::Monolith => &self.monolith,
            Side::Service => &self.service,
        }
    }

    /// Its type on a side, as SQL writes it.
    pub fn type_name(&self, side: Side) -> &str {
        match side {
            Side::Monolith => &self.monolith_type,
            Side::Service => &self.service_type,
        }
    }
}

/// A table as one database describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: TableName,
    /// `pg_class.relkind`: `r` plain, `p` partitioned, `v` view ...
    pub kind: char,
    /// `pg_class.relreplident`: `d` default, `f` full, `n` nothing, `i` index.
    pub replica_identity: char,
    /// Whether row security is on.
    pub row_security: bool,
    /// Columns in their order, dropped ones left out.
    pub columns: Vec<Column>,
    /// Primary key columns in the key's order; empty without one.
    pub key: Vec<String>,
}

/// A column as one database describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// `format_type`.
    pub type_name: String,
    /// Whether it is `not null`.
    pub not_null: bool,
    /// Whether the database computes it (`generated always as ... stored`).
    pub generated: bool,
    /// Whether it has a default or is an identity.
    pub has_default: bool,
    /// The sequence behind it, by identity, serial or `nextval` default:
    /// qualified and quoted as `regclass` writes it.
    pub sequence: Option<String>,
    /// The labels of an enum in their order; empty for other types.
    pub labels: Vec<String>,
}

impl Column {
    /// Whether values of one are values of the other, in binary and as text:
    /// equal types; of enums, those with the same labels, whatever they are
    /// called and however they are ordered.
    pub fn fits(&self, other: &Self) -> bool {
        if self.labels.is_empty() && other.labels.is_empty() {
            return binary_compatible(&self.type_name, &other.type_name);
        }
        let set = |column: &Self| column.labels.iter().cloned().collect::<BTreeSet<_>>();
        set(self) == set(other)
    }
}

/// Types whose binary and text forms are the same, so that a column may be
/// one here and the other there.
pub fn binary_compatible(one: &str, other: &str) -> bool {
    let text =
        |name: &str| name == "text" || name.starts_with("character varying") || name == "citext";
    one == other || (text(one) && text(other))
}

const TABLE: &str = "select c.oid, c.relkind::text, c.relreplident::text, c.relrowsecurity \
    from pg_class c join pg_namespace n on n.oid = c.relnamespace \
    where n.nspname = $1 and c.relname = $2";

const COLUMNS: &str = "select a.attname::text, format_type(a.atttypid, a.atttypmod), \
        a.attnotnull, a.attgenerated <> '', a.atthasdef or a.attidentity <> '', \
        coalesce( \
            (select s.refseq::regclass::text from (select d.objid as refseq from pg_depend d \
                join pg_class q on q.oid = d.objid and q.relkind = 'S' \
                where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass \
                  and d.refobjid = a.attrelid and d.refobjsubid = a.attnum \
                  and d.deptype in ('a', 'i') limit 1) s), \
            (select d.refobjid::regclass::text from pg_attrdef f \
                join pg_depend d on d.classid = 'pg_attrdef'::regclass and d.objid = f.oid \
                join pg_class q on q.oid = d.refobjid and q.relkind = 'S' \
                where f.adrelid = a.attrelid and f.adnum = a.attnum limit 1)), \
        array(select e.enumlabel::text from pg_enum e where e.enumtypid = a.atttypid \
            order by e.enumsortorder) \
    from pg_attribute a where a.attrelid = $1 and a.attnum > 0 and not a.attisdropped \
    order by a.attnum";

const KEY: &str = "select a.attname::text from pg_index i \
    cross join lateral unnest(i.indkey) with ordinality k(attnum, position) \
    join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum \
    where i.indrelid = $1 and i.indisprimary order by k.position";

/// Reads one table's description; `None` when there is no such relation.
pub async fn table(session: &Session, name: &TableName) -> Result<Option<Table>, MoverError> {
    table_of(&**session, session.side(), name).await
}

/// The same inside a transaction.
pub(crate) async fn table_of(
    session: &impl GenericClient,
    side: Side,
    name: &TableName,
) -> Result<Option<Table>, MoverError> {
    let wrap = || MoverError::sql(side, "reading the catalogue");
    let Some(row) = session
        .query_opt(TABLE, &[&name.schema, &name.table])
        .await
        .map_err(wrap())?
    else {
        return Ok(None);
    };
    let oid: u32 = row.get(0);
    let letter = |at: usize| row.get::<_, String>(at).chars().next().unwrap_or(' ');
    let columns = session.query(COLUMNS, &[&oid]).await.map_err(wrap())?;
    let key = session.query(KEY, &[&oid]).await.map_err(wrap())?;
    Ok(Some(Table {
        name: name.clone(),
        kind: letter(1),
        replica_identity: letter(2),
        row_security: row.get(3),
        columns: columns
            .iter()
            .map(|column| Column {
                name: column.get(0),
                type_name: column.get(1),
                not_null: column.get(2),
                generated: column.get(3),
                has_default: column.get(4),
                sequence: column.get(5),
                labels: column.get(6),
            })
            .collect(),
        key: key.iter().map(|row| row.get(0)).collect(),
    }))
}

/// Joins both sides' descriptions. What does not fit is an error that names
/// the object; `check` finds the same and more, in words, before.
pub fn join(
    mapping: &TableMapping,
    monolith: &Table,
    service: &Table,
) -> Result<MovedTable, MoverError> {
    let problem = |object: String, problem: &str, remedy: &str| MoverError::Data {
        object,
        problem: problem.to_owned(),
        remedy: remedy.to_owned(),
    };
    let mut columns = Vec::new();
    for column in monolith.columns.iter().filter(|column| !column.generated) {
        let name = mapping.service_column(&column.name);
        let Some(twin) = service
            .columns
            .iter()
            .find(|twin| twin.name == name && !twin.generated)
        else {
            return Err(problem(
                format!("{}.{}", mapping.monolith, column.name),
                &format!(
                    "the service's table {} has no column `{name}`",
                    mapping.service
                ),
                "Add it there, or map it under `columns:` in the plan",
            ));
        };
        if !column.fits(twin) {
            return Err(problem(
                format!("{}.{}", mapping.monolith, column.name),
                &format!(
                    "it is {}, but {name} in {} is {}",
                    column.type_name, mapping.service, twin.type_name
                ),
                "Give both the same type",
            ));
        }
        columns.push(MovedColumn {
            monolith: column.name.clone(),
            service: twin.name.clone(),
            monolith_type: column.type_name.clone(),
            service_type: twin.type_name.clone(),
        });
    }
    let key: Vec<usize> = monolith
        .key
        .iter()
        .filter_map(|name| columns.iter().position(|column| column.monolith == *name))
        .collect();
    if key.is_empty() || key.len() != monolith.key.len() {
        return Err(problem(
            mapping.monolith.to_string(),
            "it has no primary key",
            "Add one",
        ));
    }
    Ok(MovedTable {
        mapping: mapping.clone(),
        columns,
        key,
    })
}

/// Reads and joins all tables of an extraction.
pub async fn moved_tables(
    mappings: &[TableMapping],
    monolith: &Session,
    service: &Session,
) -> Result<Vec<MovedTable>, MoverError> {
    let missing = |name: &TableName, side: Side| MoverError::Data {
        object: name.to_string(),
        problem: format!("the {side}'s database has no such table"),
        remedy: "Create it, or correct its name in the plan".to_owned(),
    };
    let mut tables = Vec::with_capacity(mappings.len());
    for mapping in mappings {
        let old = table(monolith, &mapping.monolith).await?;
        let old = old.ok_or_else(|| missing(&mapping.monolith, Side::Monolith))?;
        let new = table(service, &mapping.service).await?;
        let new = new.ok_or_else(|| missing(&mapping.service, Side::Service))?;
        tables.push(join(mapping, &old, &new)?);
    }
    Ok(tables)
}
