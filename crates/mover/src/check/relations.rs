//! The facts of the tables that move and of those they are tied to.

use super::large_objects;
use crate::{
    catalog::{
        self, Table,
        constraints::{self, Check, ForeignKey, UniqueIndex},
        exclusions::{Exclusion, exclusions},
    },
    database::{session::Session, sql},
    error::MoverError,
    extraction::ReplicatedExtraction,
    layout::{FENCE_TRIGGER, Layout},
};
use plan::TableName;

const PROPERTIES: &str = "select c.relpersistence = 'u', c.relispartition, \
        exists (select from pg_inherits i where c.oid in (i.inhrelid, i.inhparent)), \
        exists (select from pg_constraint p where p.conrelid = c.oid and p.contype = 'p' \
            and p.condeferrable), \
        pg_has_role(c.relowner, 'USAGE') and has_schema_privilege(c.relnamespace, 'USAGE'), \
        has_table_privilege(c.oid, 'SELECT') and has_schema_privilege(c.relnamespace, 'USAGE') \
            and not row_security_active(c.oid), \
        array(select r.rulename::text from pg_rewrite r \
            where r.ev_class = c.oid and r.rulename <> '_RETURN' order by 1), \
        array(select p.pubname::text from pg_publication_rel r \
            join pg_publication p on p.oid = r.prpubid \
            where r.prrelid = c.oid and p.pubname like 'banyan\\_%' and p.pubname <> $3 order by 1), \
        array(select s.subname::text from pg_subscription_rel r \
            join pg_subscription s on s.oid = r.srsubid where r.srrelid = c.oid order by 1), \
        quote_ident(pg_get_userbyid(c.relowner)), \
        case when not has_schema_privilege(c.relnamespace, 'USAGE') \
            then quote_ident(pg_get_userbyid(n.nspowner)) end, \
        pg_has_role(c.relowner, 'MEMBER') and not pg_has_role(c.relowner, 'USAGE'), \
        exists (select from pg_roles r where r.rolsuper and pg_has_role(c.relowner, r.oid, 'MEMBER')) \
    from pg_class c join pg_namespace n on n.oid = c.relnamespace \
    where n.nspname = $1 and c.relname = $2";

const TRIGGERS: &str = "select t.tgname::text, t.tgenabled::text from pg_trigger t \
    join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace \
    where n.nspname = $1 and c.relname = $2 and not t.tgisinternal and t.tgname <> $3 \
      and t.tgenabled <> 'D' order by 1";

/// Columns of tables that stay which draw from a moved column's sequence.
const SHARED_SEQUENCES: &str = "select d.refobjid::regclass::text, n.nspname::text, \
        c.relname::text, a.attname::text \
    from pg_depend d join pg_attrdef f on d.classid = 'pg_attrdef'::regclass and f.oid = d.objid \
    join pg_class c on c.oid = f.adrelid join pg_namespace n on n.oid = c.relnamespace \
    join pg_attribute a on a.attrelid = f.adrelid and a.attnum = f.adnum \
    where d.refclassid = 'pg_class'::regclass \
      and d.refobjid = any($2::text[]::regclass[]) \
      and f.adrelid <> all($1::text[]::regclass[]) order by 1, 2, 3, 4";

/// A moved table as one side has it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct TableFacts {
    pub(super) table: Table,
    pub(super) unlogged: bool,
    pub(super) partition: bool,
    /// Whether it inherits or is inherited from.
    pub(super) inherits: bool,
    pub(super) deferrable_key: bool,
    /// Whether our role may do as its owner.
    pub(super) owned: bool,
    /// Whether our role has been granted its owner's and does not inherit it.
    pub(super) not_inherited: bool,
    pub(super) empty: Emptiness,
    pub(super) rules: Vec<String>,
    pub(super) triggers: Vec<Trigger>,
    /// Unique indexes besides the primary key.
    pub(super) unique: Vec<UniqueIndex>,
    pub(super) checks: Vec<Check>,
    pub(super) exclusions: Vec<Exclusion>,
    /// Whose it is, quoted.
    pub(super) owner: String,
    /// Whether that one is a superuser, or may become one.
    pub(super) owner_is_superuser: bool,
    /// Its schema's owner, where our role may not use that schema, quoted.
    pub(super) closed_schema: Option<String>,
    /// Columns of type `oid` or `lo`, with the evidence that they hold large
    /// objects, if there is any.
    pub(super) oid_columns: Vec<(String, Option<String>)>,
    /// Publications of other extractions that it is in.
    pub(super) publications: Vec<String>,
    /// The user's own logical subscriptions that write it.
    pub(super) subscriptions: Vec<String>,
}

/// Whether a table has rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Emptiness {
    Empty,
    HasRows,
    /// Our role may not read it, or it is no table.
    Unknown,
}

/// A user's trigger that is not disabled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trigger {
    pub(super) name: String,
    /// Whether it fires for what replication writes, too.
    pub(super) fires_for_replicas: bool,
}

/// What ties moved tables to those that stay.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct BoundaryFacts {
    pub(super) foreign_keys: Vec<ForeignKey>,
    pub(super) shared_sequences: Vec<SharedSequence>,
}

/// A sequence behind a moved column that a table which stays draws from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SharedSequence {
    pub(super) sequence: String,
    pub(super) table: TableName,
    pub(super) column: String,
}

/// The moved tables of a side, in the plan's order.
pub(super) async fn tables(
    session: &Session,
    extraction: &ReplicatedExtraction,
    layout: &Layout,
) -> Result<Vec<Option<TableFacts>>, MoverError> {
    let mut found = Vec::with_capacity(extraction.data.tables.len());
    for name in extraction.tables(session.side()) {
        found.push(table(session, name, &layout.publication()).await?);
    }
    Ok(found)
}

async fn table(
    session: &Session,
    name: &TableName,
    publication: &str,
) -> Result<Option<TableFacts>, MoverError> {
    let wrap = || MoverError::sql(session.side(), "looking at a table");
    let Some(table) = catalog::table(session, name).await? else {
        return Ok(None);
    };
    let (schema, relation) = (&name.schema, &name.table);
    let row = session
        .query_one(PROPERTIES, &[schema, relation, &publication])
        .await
        .map_err(wrap())?;
    let triggers = session
        .query(TRIGGERS, &[schema, relation, &FENCE_TRIGGER])
        .await
        .map_err(wrap())?;
    let unique = constraints::unique(session, name).await?;
    let checks = constraints::checks(session, name).await?;
    let exclusions = exclusions(session, name).await?;
    let oid_columns = large_objects::columns(session, &table, row.get(5)).await?;
    let empty = if row.get(5) && table.kind == 'r' {
        let exists = format!("select exists (select from {})", sql::table(name));
        let row = session.query_one(&exists, &[]).await.map_err(wrap())?;
        if row.get(0) {
            Emptiness::HasRows
        } else {
            Emptiness::Empty
        }
    } else {
        Emptiness::Unknown
    };
    Ok(Some(TableFacts {
        table,
        unlogged: row.get(0),
        partition: row.get(1),
        inherits: row.get(2),
        deferrable_key: row.get(3),
        owned: row.get(4),
        not_inherited: row.get(11),
        empty,
        rules: row.get(6),
        triggers: triggers
            .iter()
            .map(|row| Trigger {
                name: row.get(0),
                fires_for_replicas: row.get::<_, &str>(1) != "O",
            })
            .collect(),
        unique,
        checks,
        exclusions,
        owner: row.get(9),
        owner_is_superuser: row.get(12),
        closed_schema: row.get(10),
        oid_columns,
        publications: row.get(7),
        subscriptions: row.get(8),
    }))
}

/// What ties a side's moved tables to others.
pub(super) async fn boundary(
    session: &Session,
    extraction: &ReplicatedExtraction,
    tables: &[Option<TableFacts>],
) -> Result<BoundaryFacts, MoverError> {
    let wrap = || MoverError::sql(session.side(), "looking at the boundary");
    debug_assert_eq!(extraction.data.tables.len(), tables.len());
    // `regclass` would refuse a name in a schema that we may not use; such a
    // table is a finding already.
    let known: Vec<&TableFacts> = tables
        .iter()
        .flatten()
        .filter(|facts| facts.owned)
        .collect();
    let names: Vec<String> = known
        .iter()
        .map(|facts| sql::table(&facts.table.name))
        .collect();
    let sequences: Vec<&str> = known
        .iter()
        .flat_map(|facts| &facts.table.columns)
        .filter_map(|column| column.sequence.as_deref())
        .collect();
    let name = |row: &tokio_postgres::Row, at: usize| TableName {
        schema: row.get(at),
        table: row.get(at + 1),
    };
    let foreign_keys = constraints::foreign_keys(session, &names).await?;
    let shared = session
        .query(SHARED_SEQUENCES, &[&names, &sequences])
        .await
        .map_err(wrap())?;
    Ok(BoundaryFacts {
        foreign_keys,
        shared_sequences: shared
            .iter()
            .map(|row| SharedSequence {
                sequence: row.get(0),
                table: name(row, 1),
                column: row.get(3),
            })
            .collect(),
    })
}
