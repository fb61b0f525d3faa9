//! The facts of the tables that move and of those they are tied to.

use crate::{
    catalog::{self, Table},
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
            join pg_subscription s on s.oid = r.srsubid where r.srrelid = c.oid order by 1) \
    from pg_class c join pg_namespace n on n.oid = c.relnamespace \
    where n.nspname = $1 and c.relname = $2";

const TRIGGERS: &str = "select t.tgname::text, t.tgenabled::text from pg_trigger t \
    join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace \
    where n.nspname = $1 and c.relname = $2 and not t.tgisinternal and t.tgname <> $3 \
      and t.tgenabled <> 'D' order by 1";

const UNIQUE: &str = "select x.relname::text, \
        array(select coalesce(a.attname::text, '') \
            from unnest(i.indkey[:i.indnkeyatts - 1]) with ordinality k(attnum, position) \
            left join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum \
                and k.attnum <> 0 order by k.position), \
        coalesce(pg_get_expr(i.indpred, i.indrelid), ''), \
        coalesce(pg_get_expr(i.indexprs, i.indrelid), '') \
    from pg_index i join pg_class x on x.oid = i.indexrelid join pg_class c on c.oid = i.indrelid \
    join pg_namespace n on n.oid = c.relnamespace \
    where n.nspname = $1 and c.relname = $2 and i.indisunique and not i.indisprimary order by 1";

/// Foreign keys that begin or end at a moved table.
const FOREIGN_KEYS: &str = "select k.conname::text, fn.nspname::text, f.relname::text, \
        tn.nspname::text, t.relname::text, \
        array(select a.attname::text from unnest(k.conkey) with ordinality u(attnum, position) \
            join pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.attnum \
            order by u.position), \
        k.confdeltype::text, k.confupdtype::text, row_security_active(k.conrelid) \
    from pg_constraint k join pg_class f on f.oid = k.conrelid \
    join pg_namespace fn on fn.oid = f.relnamespace \
    join pg_class t on t.oid = k.confrelid join pg_namespace tn on tn.oid = t.relnamespace \
    where k.contype = 'f' and k.conparentid = 0 \
      and (k.conrelid = any($1::text[]::regclass[]) or k.confrelid = any($1::text[]::regclass[])) \
    order by 2, 3, 1";

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
    pub(super) empty: Emptiness,
    pub(super) rules: Vec<String>,
    pub(super) triggers: Vec<Trigger>,
    /// Unique indexes besides the primary key.
    pub(super) unique: Vec<UniqueIndex>,
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

/// A unique index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UniqueIndex {
    pub(super) name: String,
    /// Empty names stand for expressions.
    pub(super) columns: Vec<String>,
    pub(super) predicate: String,
    pub(super) expressions: String,
}

/// What ties moved tables to those that stay.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct BoundaryFacts {
    pub(super) foreign_keys: Vec<ForeignKey>,
    pub(super) shared_sequences: Vec<SharedSequence>,
}

/// A foreign key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ForeignKey {
    pub(super) name: String,
    pub(super) from: TableName,
    pub(super) columns: Vec<String>,
    pub(super) to: TableName,
    /// `pg_constraint.confdeltype`: `a` no action, `r` restrict, `c` cascade,
    /// `n` set null, `d` set default.
    pub(super) on_delete: char,
    /// The same for updates.
    pub(super) on_update: char,
    /// Whether policies of the table that it begins at hide rows from us.
    pub(super) from_hides_rows: bool,
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
    let unique = session
        .query(UNIQUE, &[schema, relation])
        .await
        .map_err(wrap())?;
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
        empty,
        rules: row.get(6),
        triggers: triggers
            .iter()
            .map(|row| Trigger {
                name: row.get(0),
                fires_for_replicas: row.get::<_, &str>(1) != "O",
            })
            .collect(),
        unique: unique
            .iter()
            .map(|row| UniqueIndex {
                name: row.get(0),
                columns: row.get(1),
                predicate: row.get(2),
                expressions: row.get(3),
            })
            .collect(),
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
    let letter = |text: String| text.chars().next().unwrap_or('a');
    let keys = session
        .query(FOREIGN_KEYS, &[&names])
        .await
        .map_err(wrap())?;
    let shared = session
        .query(SHARED_SEQUENCES, &[&names, &sequences])
        .await
        .map_err(wrap())?;
    Ok(BoundaryFacts {
        foreign_keys: keys
            .iter()
            .map(|row| ForeignKey {
                name: row.get(0),
                from: name(row, 1),
                to: name(row, 3),
                columns: row.get(5),
                on_delete: letter(row.get(6)),
                on_update: letter(row.get(7)),
                from_hides_rows: row.get(8),
            })
            .collect(),
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
