//! The constraints of moved tables, as one database has them.

use super::{
    collation::{Collation, described, of_index},
    text::{renamed, unqualified},
};
use crate::{
    database::{session::Session, sql},
    error::MoverError,
};
use plan::{ColumnPair, TableMapping, TableName};
use protocol::Side;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

static UNIQUE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "select x.relname::text, \
        array(select coalesce(a.attname::text, '') \
            from unnest(i.indkey[:i.indnkeyatts - 1]) with ordinality k(attnum, position) \
            left join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum \
                and k.attnum <> 0 order by k.position), \
        coalesce(pg_get_expr(i.indpred, i.indrelid), ''), \
        coalesce(pg_get_expr(i.indexprs, i.indrelid), ''), \
        {}, \
        coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false), not i.indimmediate, \
        exists (select from pg_constraint k where k.conindid = i.indexrelid and k.contype = 'u'), \
        i.indisexclusion \
    from pg_index i join pg_class x on x.oid = i.indexrelid join pg_class c on c.oid = i.indrelid \
    join pg_namespace n on n.oid = c.relnamespace \
    where n.nspname = $1 and c.relname = $2 and i.indisunique and i.indisvalid \
      and not i.indisprimary order by 1",
        of_index(&described("k.sorted_by"))
    )
});

const CHECKS: &str = "select k.conname::text, pg_get_constraintdef(k.oid) \
    from pg_constraint k join pg_class c on c.oid = k.conrelid \
    join pg_namespace n on n.oid = c.relnamespace \
    where n.nspname = $1 and c.relname = $2 and k.contype = 'c' order by 1";

/// Foreign keys that begin or end at these tables.
const FOREIGN_KEYS: &str = "select k.conname::text, fn.nspname::text, f.relname::text, \
        tn.nspname::text, t.relname::text, \
        array(select a.attname::text from unnest(k.conkey) with ordinality u(attnum, position) \
            join pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.attnum \
            order by u.position), \
        k.confdeltype::text, k.confupdtype::text, \
        array(select a.attname::text from unnest(k.confkey) with ordinality u(attnum, position) \
            join pg_attribute a on a.attrelid = k.confrelid and a.attnum = u.attnum \
            order by u.position), \
        k.condeferrable, k.condeferred, \
        k.convalidated and coalesce((to_jsonb(k) ->> 'conenforced')::boolean, true), \
        has_schema_privilege(f.relnamespace, 'USAGE') and has_table_privilege(f.oid, 'SELECT'), \
        quote_ident(pg_get_userbyid(f.relowner)), \
        row_security_active(k.conrelid), \
        k.confmatchtype = 'f' and cardinality(k.conkey) > 1 \
    from pg_constraint k join pg_class f on f.oid = k.conrelid \
    join pg_namespace fn on fn.oid = f.relnamespace \
    join pg_class t on t.oid = k.confrelid join pg_namespace tn on tn.oid = t.relnamespace \
    where k.contype = 'f' and k.conparentid = 0 \
      and (k.conrelid = any($1::text[]::regclass[]) or k.confrelid = any($1::text[]::regclass[])) \
    order by 2, 3, 1";

/// A unique index, and whether it is a constraint.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(crate) struct UniqueIndex {
    pub(crate) name: String,
    /// Empty names stand for expressions.
    pub(crate) columns: Vec<String>,
    /// As SQL, with no schema in front of what is in the table's own.
    pub(crate) predicate: String,
    /// The same.
    pub(crate) expressions: String,
    /// By column, where it is not the column's own.
    pub(crate) collations: Vec<String>,
    pub(crate) nulls_not_distinct: bool,
    /// `without overlaps`: of rows that are alike but for the last column, the
    /// ranges in that must not overlap.
    pub(crate) without_overlaps: bool,
    /// Whether it may be violated within a transaction, and then is looked at
    /// by a trigger: not while rows are applied.
    pub(crate) deferrable: bool,
    pub(crate) is_constraint: bool,
}

/// A check of rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Check {
    pub(crate) name: String,
    /// As SQL of a session of ours: what is not in `pg_catalog` has its schema.
    pub(crate) definition: String,
}

/// A foreign key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(crate) struct ForeignKey {
    pub(crate) name: String,
    pub(crate) from: TableName,
    pub(crate) columns: Vec<String>,
    pub(crate) to: TableName,
    pub(crate) to_columns: Vec<String>,
    /// `pg_constraint.confdeltype`: `a` no action, `r` restrict, `c` cascade,
    /// `n` set null, `d` set default.
    pub(crate) on_delete: char,
    /// The same for updates.
    pub(crate) on_update: char,
    pub(crate) deferrable: bool,
    pub(crate) deferred: bool,
    /// Whether all rows have been proven: it is valid and enforced.
    pub(crate) proven: bool,
    /// Whether our role may read the referring table.
    pub(crate) readable: bool,
    /// Whose the referring table is, quoted.
    pub(crate) owner: String,
    /// Whether policies of the table that it begins at hide rows from us.
    pub(crate) from_hides_rows: bool,
    /// `match full`, over several columns: of them none is null, or all are.
    pub(crate) match_full: bool,
}

/// The unique indexes of a table besides its primary key's.
pub(crate) async fn unique(
    session: &Session,
    table: &TableName,
) -> Result<Vec<UniqueIndex>, MoverError> {
    let rows = session
        .query(&*UNIQUE, &[&table.schema, &table.table])
        .await
        .map_err(MoverError::sql(session.side(), "reading unique indexes"))?;
    let index = |row: &tokio_postgres::Row| UniqueIndex {
        name: row.get(0),
        columns: row.get(1),
        predicate: row.get(2),
        expressions: row.get(3),
        collations: row
            .get::<_, Vec<String>>(4)
            .iter()
            .map(|collation| Collation::parse(collation).key())
            .collect(),
        nulls_not_distinct: row.get(5),
        deferrable: row.get(6),
        is_constraint: row.get(7),
        without_overlaps: row.get(8),
    };
    Ok(rows.iter().map(index).collect())
}

/// The checks of a table's rows.
pub(crate) async fn checks(session: &Session, table: &TableName) -> Result<Vec<Check>, MoverError> {
    let rows = session
        .query(CHECKS, &[&table.schema, &table.table])
        .await
        .map_err(MoverError::sql(session.side(), "reading checks"))?;
    let check = |row: &tokio_postgres::Row| Check {
        name: row.get(0),
        definition: row.get(1),
    };
    Ok(rows.iter().map(check).collect())
}

/// The foreign keys that begin or end at these tables, as `regclass` reads
/// their names.
pub(crate) async fn foreign_keys(
    session: &Session,
    tables: &[String],
) -> Result<Vec<ForeignKey>, MoverError> {
    let rows = session
        .query(FOREIGN_KEYS, &[&tables])
        .await
        .map_err(MoverError::sql(session.side(), "reading foreign keys"))?;
    let name = |row: &tokio_postgres::Row, at: usize| TableName {
        schema: row.get(at),
        table: row.get(at + 1),
    };
    let letter = |text: String| text.chars().next().unwrap_or('a');
    let key = |row: &tokio_postgres::Row| ForeignKey {
        name: row.get(0),
        from: name(row, 1),
        to: name(row, 3),
        columns: row.get(5),
        on_delete: letter(row.get(6)),
        on_update: letter(row.get(7)),
        to_columns: row.get(8),
        deferrable: row.get(9),
        deferred: row.get(10),
        proven: row.get(11),
        readable: row.get(12),
        owner: row.get(13),
        from_hides_rows: row.get(14),
        match_full: row.get(15),
    };
    Ok(rows.iter().map(key).collect())
}

/// SQL of a table of this side, as it is compared: with the service's names of
/// columns, renamed ones in quotes on both sides, and with no schema in front of
/// what is in the table's own.
pub(crate) fn common_names(mapping: &TableMapping, side: Side, text: &str) -> String {
    let own = match side {
        Side::Monolith => &mapping.monolith.schema,
        Side::Service => &mapping.service.schema,
    };
    let text = unqualified(&unqualified(text, own), &sql::identifier(own));
    with_names(mapping, side, Side::Service, &text)
}

/// SQL of a table of the other side, with the names of columns that they have on
/// this one.
pub(crate) fn names_of(mapping: &TableMapping, side: Side, text: &str) -> String {
    with_names(mapping, side.other(), side, text)
}

fn with_names(mapping: &TableMapping, from: Side, to: Side, text: &str) -> String {
    fn of(pair: &ColumnPair, side: Side) -> &str {
        match side {
            Side::Monolith => pair.monolith.as_str(),
            Side::Service => pair.service.as_str(),
        }
    }
    renamed(text, |name| {
        let bare = name.trim_matches('"');
        let mut pairs = mapping.renames.iter();
        let pair = pairs.find(|pair| of(pair, from) == bare)?;
        Some(sql::identifier(of(pair, to)))
    })
}

impl UniqueIndex {
    /// Whether another one of the other side forbids the same, but for when.
    pub(crate) fn is_like(&self, service: &Self, mapping: &TableMapping) -> bool {
        self.parts(mapping, Side::Monolith) == service.parts(mapping, Side::Service)
    }

    fn parts(
        &self,
        mapping: &TableMapping,
        side: Side,
    ) -> (
        BTreeMap<String, BTreeSet<String>>,
        String,
        String,
        (bool, bool),
    ) {
        let mut columns: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (at, name) in self.columns.iter().enumerate() {
            let name = match side {
                Side::Monolith => mapping.service_column(name),
                Side::Service => name,
            };
            let collation = self.collations.get(at).cloned().unwrap_or_default();
            columns
                .entry(name.to_owned())
                .or_default()
                .insert(collation);
        }
        (
            columns,
            common_names(mapping, side, &self.predicate),
            common_names(mapping, side, &self.expressions),
            (self.nulls_not_distinct, self.without_overlaps),
        )
    }
}

impl ForeignKey {
    /// Whether rows that this one allows are allowed by another over the same
    /// columns, too.
    pub(crate) fn proves_as_much(&self, other: &Self) -> bool {
        self.match_full || !other.match_full
    }

    /// Whether this one of the monolith's proves what one of the service's
    /// would: the same columns refer to the same.
    pub(crate) fn is_like(&self, service: &Self, mappings: &[TableMapping]) -> bool {
        let of = |name: &TableName| mappings.iter().find(|mapping| mapping.monolith == *name);
        let (Some(from), Some(to)) = (of(&self.from), of(&self.to)) else {
            return false;
        };
        let pairs = |from: &TableMapping, to: &TableMapping| -> BTreeSet<(String, String)> {
            let columns = self
                .columns
                .iter()
                .map(|name| from.service_column(name).to_owned());
            let others = self
                .to_columns
                .iter()
                .map(|name| to.service_column(name).to_owned());
            columns.zip(others).collect()
        };
        let twins: BTreeSet<(String, String)> = service
            .columns
            .iter()
            .cloned()
            .zip(service.to_columns.iter().cloned())
            .collect();
        from.service == service.from
            && to.service == service.to
            && self.proven
            && pairs(from, to) == twins
    }
}
