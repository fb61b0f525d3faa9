//! The exclusion constraints of a table, as one database has them.
//!
//! Two forbid the same if they compare the same by the same operators in the
//! same rows. In which order, by which access method and with which fill factor
//! makes no difference to that.

use super::{
    collation::{Collation, described, of_index},
    constraints::common_names,
};
use crate::{database::session::Session, error::MoverError};
use plan::{TableMapping, TableName};
use protocol::Side;
use std::sync::LazyLock;

/// An operator of an extension is the extension's wherever that is.
static EXCLUSIONS: LazyLock<String> = LazyLock::new(|| {
    format!(
        "select k.conname::text, pg_get_constraintdef(k.oid), \
        array(select pg_get_indexdef(i.indexrelid, at, false) \
            from generate_series(1, i.indnkeyatts::integer) at order by at), \
        {named}, \
        array(select concat('operator(', quote_ident(n.nspname), '.', o.oprname, ')') \
            from unnest(k.conexclop) with ordinality u(oid, at) \
            join pg_operator o on o.oid = u.oid join pg_namespace n on n.oid = o.oprnamespace \
            order by u.at), \
        array(select coalesce( \
                (select concat(e.extname, '.') from pg_depend d \
                    join pg_extension e on e.oid = d.refobjid \
                    where d.classid = 'pg_operator'::regclass and d.objid = o.oid \
                      and d.deptype = 'e' and d.refclassid = 'pg_extension'::regclass), \
                case when n.nspname <> 'pg_catalog' then concat(quote_ident(n.nspname), '.') end, \
                '') || o.oprname \
            from unnest(k.conexclop) with ordinality u(oid, at) \
            join pg_operator o on o.oid = u.oid join pg_namespace n on n.oid = o.oprnamespace \
            order by u.at), \
        coalesce(pg_get_expr(i.indpred, i.indrelid), ''), k.condeferrable, \
        {described} \
    from pg_constraint k join pg_class c on c.oid = k.conrelid \
    join pg_namespace n on n.oid = c.relnamespace join pg_index i on i.indexrelid = k.conindid \
    where n.nspname = $1 and c.relname = $2 and k.contype = 'x' order by 1",
        named = of_index(
            "coalesce((select concat(' collate ', c.oid::regcollation) from pg_collation c \
                where c.oid = k.sorted_by), '')"
        ),
        described = of_index(&described("k.sorted_by"))
    )
});

/// An exclusion constraint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Exclusion {
    pub(crate) name: String,
    /// As SQL of a session of ours.
    pub(crate) definition: String,
    /// What is compared.
    pub(crate) elements: Vec<Element>,
    /// Of which rows, as SQL of a session of ours; empty: of all.
    pub(crate) predicate: String,
    /// Whether it may be violated within a transaction, and then is looked at
    /// by a trigger: not while rows are applied.
    pub(crate) deferrable: bool,
}

/// What an exclusion constraint compares, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Element {
    /// A column or an expression, as SQL of a session of ours.
    pub(crate) expression: String,
    /// With the word before it, where it is not the column's own.
    pub(crate) collation: String,
    /// The same on both sides.
    pub(crate) collation_key: String,
    /// As SQL of a session of ours.
    pub(crate) operator: String,
    /// The same on both sides.
    pub(crate) operator_name: String,
}

/// The exclusion constraints of a table.
pub(crate) async fn exclusions(
    session: &Session,
    table: &TableName,
) -> Result<Vec<Exclusion>, MoverError> {
    let rows = session
        .query(&*EXCLUSIONS, &[&table.schema, &table.table])
        .await
        .map_err(MoverError::sql(
            session.side(),
            "reading exclusion constraints",
        ))?;
    let exclusion = |row: &tokio_postgres::Row| {
        let texts = |at: usize| row.get::<_, Vec<String>>(at);
        let key = |described: String| Collation::parse(&described).key();
        let collations = texts(3).into_iter().zip(texts(8).into_iter().map(key));
        let parts = texts(2).into_iter().zip(collations);
        let operators = texts(4).into_iter().zip(texts(5));
        let element = |((expression, collations), (operator, operator_name))| {
            let (collation, collation_key) = collations;
            Element {
                expression,
                collation,
                collation_key,
                operator,
                operator_name,
            }
        };
        Exclusion {
            name: row.get(0),
            definition: row.get(1),
            elements: parts.zip(operators).map(element).collect(),
            predicate: row.get(6),
            deferrable: row.get(7),
        }
    };
    Ok(rows.iter().map(exclusion).collect())
}

impl Exclusion {
    /// What it forbids, but for when: the same text on both sides where that is
    /// the same, with the service's names.
    pub(crate) fn forbids(&self, mapping: &TableMapping, side: Side) -> String {
        let text = |text: &str| common_names(mapping, side, text);
        let mut elements: Vec<String> = self
            .elements
            .iter()
            .map(|one| {
                let (expression, name) = (text(&one.expression), &one.operator_name);
                format!("{expression} collate {} with {name}", one.collation_key)
            })
            .collect();
        elements.sort();
        format!("{} where {}", elements.join(", "), text(&self.predicate))
    }

    /// The condition that a row `r` of a table is one of two that exclude each
    /// other.
    pub(crate) fn broken(&self, table: &str) -> String {
        let values: Vec<String> = self
            .elements
            .iter()
            .enumerate()
            .map(|(at, one)| format!("({}){} as \"{at}\"", one.expression, one.collation))
            .collect();
        let predicate = if self.predicate.is_empty() {
            "true"
        } else {
            &self.predicate
        };
        let rows = format!(
            "select ctid as place, {} from {table} where {predicate}",
            values.join(", ")
        );
        let same: Vec<String> = self
            .elements
            .iter()
            .enumerate()
            .map(|(at, one)| format!("one.\"{at}\" {} other.\"{at}\"", one.operator))
            .collect();
        format!(
            "r.ctid in (select one.place from ({rows}) one join ({rows}) other \
             on one.place <> other.place and {})",
            same.join(" and ")
        )
    }
}
