//! The old tables: how often the server has seen them used, what depends on them, and
//! the script that removes them, which nobody here runs.

use crate::{
    database::{session::Session, sql},
    error::MoverError,
    extraction::Mover,
};
use plan::{TableName, TableWrites};
use protocol::{
    Side,
    retire::{TableUse, UseCounts},
    rollout::UnixMillis,
};
use std::collections::BTreeMap;

/// Counters of each table, and of what is below it where it is partitioned.
const USE: &str = "
    with recursive member(root, oid) as (
        select c.oid, c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = $1 and c.relname = $2 and c.relkind in ('r', 'p')
        union all
        select m.root, i.inhrelid from member m join pg_inherits i on i.inhparent = m.oid
    )
    select sum(coalesce(s.seq_scan, 0) + coalesce(s.idx_scan, 0))::bigint,
        sum(coalesce(s.n_tup_ins, 0) + coalesce(s.n_tup_upd, 0) + coalesce(s.n_tup_del, 0))::bigint
    from member m left join pg_stat_all_tables s on s.relid = m.oid
    having count(*) > 0";

/// Whose statistics they are. A server that has crashed counts anew from its start, and
/// says so by the moment of the reset only from version 15 on.
const STATISTICS: &str = "
    select concat_ws(' ', (select system_identifier from pg_control_system()),
            current_database(),
            (select stats_reset from pg_stat_database where datname = current_database()),
            case when current_setting('server_version_num')::int < 150000
                then pg_postmaster_start_time() end),
        (extract(epoch from clock_timestamp()) * 1000)::bigint,
        current_setting('track_counts')::bool";

/// What depends on a table (or its row type) from outside of a set of tables: views, keys,
/// functions. What goes with its table does not count.
const DEPENDENTS: &str = "
    with recursive gone(oid) as (
        select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
        join unnest($1::text[], $2::text[]) t(s, r) on n.nspname = t.s and c.relname = t.r
        union
        select i.inhrelid from gone g join pg_inherits i on i.inhparent = g.oid
    ), part(classid, oid) as (
        select 'pg_class'::regclass::oid, oid from gone
        union all select 'pg_type'::regclass::oid, t.oid from pg_type t
            where t.typrelid in (select oid from gone)
        union all select 'pg_type'::regclass::oid, t.typarray from pg_type t
            where t.typrelid in (select oid from gone) and t.typarray <> 0
    ), found as (
        select distinct d.classid, d.objid from pg_depend d
        join part p on p.classid = d.refclassid and p.oid = d.refobjid
        where d.deptype = 'n' and not exists (
            select from part q where q.classid = d.classid and q.oid = d.objid)
    )
    select coalesce(
            'view ' || (select r.ev_class::regclass::text from pg_rewrite r
                where f.classid = 'pg_rewrite'::regclass and r.oid = f.objid),
            pg_describe_object(f.classid, f.objid, 0)),
        coalesce(
            (select format('drop %s %s;', case v.relkind when 'm' then 'materialized view'
                    else 'view' end, v.oid::regclass)
                from pg_rewrite r join pg_class v on v.oid = r.ev_class
                where f.classid = 'pg_rewrite'::regclass and r.oid = f.objid),
            (select format('alter table %s drop constraint %I;', c.conrelid::regclass, c.conname)
                from pg_constraint c where f.classid = 'pg_constraint'::regclass
                and c.oid = f.objid and c.conrelid <> 0))
    from found f
    where not (f.classid = 'pg_constraint'::regclass and exists (
            select from pg_constraint c where c.oid = f.objid
            and (c.conparentid <> 0 or c.conrelid in (select oid from gone))))
        and not (f.classid = 'pg_rewrite'::regclass and exists (
            select from pg_rewrite r where r.oid = f.objid and r.ev_class in (select oid from gone)))
        and not (f.classid = 'pg_trigger'::regclass and exists (
            select from pg_trigger t where t.oid = f.objid and t.tgrelid in (select oid from gone)))
        and not (f.classid = 'pg_policy'::regclass and exists (
            select from pg_policy p where p.oid = f.objid and p.polrelid in (select oid from gone)))
        and not (f.classid = 'pg_attrdef'::regclass and exists (
            select from pg_attrdef a where a.oid = f.objid and a.adrelid in (select oid from gone)))
    order by 1";

/// Something that keeps old tables from being dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependent {
    /// What it is, as the server describes it.
    pub what: String,
    /// What would take it away, where that is one statement.
    pub remedy: Option<String>,
}

impl Mover {
    /// The tables of the monolith that the service alone has: those that go.
    pub fn old_tables(&self) -> Vec<TableName> {
        self.tables_written(Side::Monolith, TableWrites::Owner)
            .cloned()
            .collect()
    }

    /// How often the monolith's server has seen them used.
    pub async fn use_of_old_tables(&self) -> Result<TableUse, MoverError> {
        let side = Side::Monolith;
        let session = Session::open(side, self.database(side)).await?;
        let wrap = || MoverError::sql(side, "reading the statistics of the old tables");
        let row = session.query_one(STATISTICS, &[]).await.map_err(wrap())?;
        let (statistics, at, counts): (String, i64, bool) = (row.get(0), row.get(1), row.get(2));
        let statistics = if counts {
            statistics
        } else {
            // Each sample is then like no other.
            format!("{statistics} not counted at {at}")
        };
        let mut tables = BTreeMap::new();
        for table in self.old_tables() {
            let names: [&(dyn tokio_postgres::types::ToSql + Sync); 2] =
                [&table.schema, &table.table];
            let row = session.query_opt(USE, &names).await.map_err(wrap())?;
            if let Some(row) = row {
                let (reads, writes) = (row.get(0), row.get(1));
                tables.insert(table.to_string(), UseCounts { reads, writes });
            }
        }
        Ok(TableUse {
            statistics,
            at: UnixMillis(at),
            tables,
        })
    }

    /// What has to go, or to be made otherwise, before the old tables can.
    pub async fn dependents(&self) -> Result<Vec<Dependent>, MoverError> {
        let side = Side::Monolith;
        let session = Session::open(side, self.database(side)).await?;
        let tables = self.old_tables();
        let schemas: Vec<_> = tables.iter().map(|table| table.schema.as_str()).collect();
        let names: Vec<_> = tables.iter().map(|table| table.table.as_str()).collect();
        let rows = session
            .query(DEPENDENTS, &[&schemas, &names])
            .await
            .map_err(MoverError::sql(
                side,
                "looking what depends on the old tables",
            ))?;
        let dependent = |row: &tokio_postgres::Row| Dependent {
            what: row.get(0),
            remedy: row.get(1),
        };
        Ok(rows.iter().map(dependent).collect())
    }

    /// The script that drops the old tables, for `psql`. It refuses in another database
    /// and while Banyan has anything at work on them, waits for nobody for long, and drops
    /// nothing that it does not name.
    pub fn removal_script(&self) -> String {
        let tables = self.old_tables();
        let database = &self.database(Side::Monolith).database;
        let name = self.extraction.name.as_str();
        let list = tables
            .iter()
            .map(|table| format!("    {}", sql::table(table)))
            .collect::<Vec<_>>()
            .join(",\n");
        let begun = "to_regclass('banyan.owner') is not null";
        format!(
            "\\set ON_ERROR_STOP on\n\
             begin;\n\
             set local lock_timeout = '5s';\n\
             set local search_path = pg_catalog;\n\
             do $banyan$\n\
             declare it_runs boolean := false;\n\
             begin\n    \
                 if current_database() <> {database} then\n        \
                     raise exception 'this is for another database';\n    \
                 end if;\n    \
                 if {begun} then\n        \
                     execute 'select exists (select from banyan.owner where extraction = $1)'\n            \
                         into it_runs using {extraction};\n    \
                 end if;\n    \
                 if it_runs then\n        \
                     raise exception 'the extraction is not finished: banyan finish';\n    \
                 end if;\n\
             end\n\
             $banyan$;\n\
             -- Restricted: where anything depends on them by now, nothing is dropped.\n\
             drop table\n{list}\n    restrict;\n\
             commit;\n",
            database = sql::literal(database),
            extraction = sql::literal(name),
        )
    }
}
