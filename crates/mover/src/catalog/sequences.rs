//! The sequences behind moved columns: where they stand, whether our role may
//! read and set them, and how far the new owner's must go.
//!
//! However many tables move, a side's sequences are read by two statements.

mod advance;
mod sequence;

pub(crate) use advance::{Advance, Obstacle, ObstacleKind, advances, differences, rights};
pub(crate) use sequence::Sequence;

use crate::{database::session::Session, error::MoverError};
use plan::{TableMapping, TableName, TableWrites};
use protocol::Side;
pub(crate) use sequence::Position;
use sequence::Range;

/// Moved columns with the sequence that they draw from: the default's, which need
/// not be the one that belongs to them, an identity's, their own. What
/// the column's type cannot hold is out of the sequence's bounds, also where that
/// type is a domain's.
const SEQUENCES: &str = "select n.nspname::text, c.relname::text, a.attname::text, \
        q.oid::regclass::text, s.seqincrement, \
        greatest(s.seqmin, -held.most - held.more), least(s.seqmax, held.most), \
        s.seqcycle, quote_ident(pg_get_userbyid(q.relowner)), quote_ident(current_user), \
        has_schema_privilege(q.relnamespace, 'USAGE') and has_sequence_privilege(q.oid, 'SELECT'), \
        has_schema_privilege(q.relnamespace, 'USAGE') and has_sequence_privilege(q.oid, 'UPDATE') \
    from unnest($1::text[], $2::text[]) with ordinality t(schema, name, at) \
    join pg_namespace n on n.nspname = t.schema \
    join pg_class c on c.relnamespace = n.oid and c.relname = t.name \
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped \
    cross join lateral (select coalesce( \
        (select d.refobjid from pg_attrdef f \
            join pg_depend d on d.classid = 'pg_attrdef'::regclass and d.objid = f.oid \
            join pg_class o on o.oid = d.refobjid and o.relkind = 'S' \
            where f.adrelid = a.attrelid and f.adnum = a.attnum order by 1 limit 1), \
        (select d.objid from pg_depend d join pg_class o on o.oid = d.objid and o.relkind = 'S' \
            where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass \
              and d.refobjid = a.attrelid and d.refobjsubid = a.attnum \
              and d.deptype in ('a', 'i') order by d.deptype desc, 1 limit 1))) found(oid) \
    join pg_class q on q.oid = found.oid join pg_sequence s on s.seqrelid = q.oid \
    join pg_type y on y.oid = a.atttypid \
    cross join lateral (select case when y.typtype = 'd' then ( \
        with recursive base(oid, typmod, depth) as ( \
            select y.typbasetype, y.typtypmod, 0 \
            union all select d.typbasetype, d.typtypmod, b.depth + 1 \
            from base b join pg_type d on d.oid = b.oid where d.typtype = 'd') \
        select array[oid::bigint, typmod] from base order by depth desc limit 1) \
        else array[a.atttypid::bigint, a.atttypmod] end) own(base) \
    cross join lateral (select own.base[1]::oid, own.base[2]::integer) plain(oid, typmod) \
    cross join lateral (select plain.oid, case when plain.oid = 'numeric'::regtype \
            and plain.typmod >= 4 \
        then ((plain.typmod - 4) >> 16 & 65535) - ((plain.typmod - 4 & 2047 # 1024) - 1024) end \
        ) basic(oid, digits) \
    cross join lateral (select case \
            when basic.oid = 'smallint'::regtype then 32767 \
            when basic.oid = 'integer'::regtype then 2147483647 \
            when basic.digits < 19 then (10::numeric ^ greatest(basic.digits, 0) - 1)::bigint \
            else 9223372036854775807 end, \
        case when basic.digits < 19 then 0 else 1 end) held(most, more) \
    order by t.at, a.attnum";

/// The tables whose sequences a hand-over to this side brings past the other
/// side's. Where both sides give out keys, each keeps to its own range. A table
/// that is split is each side's own, with its sequences, from the first switch
/// on: `split` says whether that has been.
pub(crate) fn carried(tables: &[TableMapping], to: Side, split: bool) -> Vec<&TableMapping> {
    let is_carried = |mapping: &&TableMapping| match mapping.writes {
        TableWrites::Owner => true,
        TableWrites::Append => false,
        TableWrites::Split => to == Side::Service && !split,
    };
    tables.iter().filter(is_carried).collect()
}

/// Reads the sequences of these tables on the session's side.
pub(crate) async fn of(
    session: &Session,
    mappings: &[&TableMapping],
) -> Result<Vec<Sequence>, MoverError> {
    let names = mappings.iter().map(|mapping| match session.side() {
        Side::Monolith => &mapping.monolith,
        Side::Service => &mapping.service,
    });
    read(session, names).await
}

/// Reads the sequences of these tables of a side.
pub(crate) async fn read<'a>(
    session: &Session,
    tables: impl Iterator<Item = &'a TableName>,
) -> Result<Vec<Sequence>, MoverError> {
    let wrap = || MoverError::sql(session.side(), "reading the sequences");
    let (schemas, names): (Vec<&str>, Vec<&str>) = tables
        .map(|table| (table.schema.as_str(), table.table.as_str()))
        .unzip();
    let rows = session
        .query(SEQUENCES, &[&schemas, &names])
        .await
        .map_err(wrap())?;
    let readable: Vec<bool> = rows.iter().map(|row| row.get(10)).collect();
    let mut found: Vec<Sequence> = rows
        .iter()
        .map(|row| Sequence {
            table: TableName {
                schema: row.get(0),
                table: row.get(1),
            },
            column: row.get(2),
            name: row.get(3),
            range: Range {
                increment: row.get(4),
                least: row.get(5),
                greatest: row.get(6),
                cycles: row.get(7),
            },
            position: None,
            owner: row.get(8),
            role: row.get(9),
            may_set: row.get(11),
        })
        .collect();
    let (places, selects): (Vec<usize>, Vec<String>) = found
        .iter()
        .enumerate()
        .filter(|(at, _)| readable[*at])
        // `pg_sequence_last_value` does not tell of one that was set
        // (`setval(s, n, false)`, `restart with n`) and not used since.
        .map(|(at, sequence)| {
            (
                at,
                format!("select {at}, last_value, is_called from {}", sequence.name),
            )
        })
        .unzip();
    if selects.is_empty() {
        return Ok(found);
    }
    let rows = session
        .query(&selects.join(" union all "), &[])
        .await
        .map_err(wrap())?;
    debug_assert_eq!(rows.len(), places.len());
    for row in rows {
        let (at, value, is_called): (i32, i64, bool) = (row.get(0), row.get(1), row.get(2));
        let Some(sequence) = usize::try_from(at).ok().and_then(|at| found.get_mut(at)) else {
            continue;
        };
        let last = if is_called {
            value
        } else {
            value.saturating_sub(sequence.range.increment)
        };
        sequence.position = Some(Position { last, is_called });
    }
    Ok(found)
}
