//! Functions that are called while rows are written, and where they look for names.
//!
//! Sessions of ours look in `pg_catalog` only. A function that an index, a
//! computed column or a check calls, and that names what it uses without a
//! schema, finds nothing then, unless it sets a path of its own.

use crate::{database::session::Session, error::MoverError};
use plan::TableName;
use protocol::{
    Side,
    finding::{Finding, FindingId as Id, Remedy, Statement},
};
use std::collections::BTreeMap;

const CALLED: &str = "select distinct p.oid::regprocedure::text, c.oid::regclass::text \
    from unnest($1::text[], $2::text[]) t(schema, name) \
    join pg_namespace s on s.nspname = t.schema \
    join pg_class c on c.relnamespace = s.oid and c.relname = t.name \
    cross join lateral ( \
        select 'pg_class'::regclass, i.indexrelid from pg_index i where i.indrelid = c.oid \
        union all \
        select 'pg_constraint'::regclass, k.oid from pg_constraint k \
            where k.conrelid = c.oid and k.contype in ('c', 'x') \
        union all \
        select 'pg_attrdef'::regclass, f.oid from pg_attrdef f \
            join pg_attribute a on a.attrelid = f.adrelid and a.attnum = f.adnum \
            where f.adrelid = c.oid and a.attgenerated <> '') u(class, oid) \
    join pg_depend d on d.classid = u.class and d.objid = u.oid \
        and d.refclassid = 'pg_proc'::regclass \
    join pg_proc p on p.oid = d.refobjid join pg_language l on l.oid = p.prolang \
    where p.pronamespace <> 'pg_catalog'::regnamespace and l.lanname in ('sql', 'plpgsql') \
      and p.prosqlbody is null \
      and not exists (select from unnest(p.proconfig) o where o like 'search\\_path=%') \
      and not exists (select from pg_depend e where e.classid = 'pg_proc'::regclass \
          and e.objid = p.oid and e.deptype = 'e') \
    order by 1, 2";

/// A function without a path of its own, and a moved table that has it called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CalledFunction {
    /// With its schema and the types of its arguments, quoted.
    name: String,
    table: String,
}

/// Those of a side's moved tables.
pub(super) async fn read<'a>(
    session: &Session,
    tables: impl Iterator<Item = &'a TableName>,
) -> Result<Vec<CalledFunction>, MoverError> {
    let (schemas, names): (Vec<&str>, Vec<&str>) = tables
        .map(|name| (name.schema.as_str(), name.table.as_str()))
        .unzip();
    let rows = session
        .query(CALLED, &[&schemas, &names])
        .await
        .map_err(MoverError::sql(
            session.side(),
            "looking at the functions of tables",
        ))?;
    let called = rows.iter().map(|row| CalledFunction {
        name: row.get(0),
        table: row.get(1),
    });
    Ok(called.collect())
}

/// Rules about one side: one for each function, whoever has it called.
pub(super) fn of_side(side: Side, functions: &[CalledFunction]) -> Vec<Finding> {
    let mut tables: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for one in functions {
        tables.entry(&one.name).or_default().push(&one.table);
    }
    let finding = |(name, tables): (&str, Vec<&str>)| {
        let callers = match tables.as_slice() {
            [table] => format!("{table} has"),
            [table, others @ ..] => format!("{table} and {} others have", others.len()),
            [] => String::new(),
        };
        Finding::warn(
            Id::FunctionPath,
            format!("function {name} in the {side}'s database"),
            format!(
                "{callers} it called when a row is written, and it has no search_path of its own: \
                 what it names without a schema is not found by Banyan's sessions"
            ),
            Remedy::run(
                "Run as its owner, in a session with the application's search_path",
                [Statement::new(
                    side,
                    format!("alter function {name} set search_path from current"),
                )
                .caution("it wants a session that has the application's search_path")],
            ),
        )
    };
    tables.into_iter().map(finding).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_that_many_tables_call_is_told_once() {
        let of = |name: &str, table: &str| CalledFunction {
            name: name.into(),
            table: table.into(),
        };
        let called = [
            of("f()", "a"),
            of("g()", "a"),
            of("f()", "b"),
            of("f()", "c"),
        ];
        let found = of_side(Side::Monolith, &called);
        let problems: Vec<&str> = found.iter().map(|one| one.problem.as_str()).collect();
        assert_eq!(problems.len(), 2);
        assert!(
            problems[0].starts_with("a and 2 others have it"),
            "{problems:?}"
        );
        assert!(problems[1].starts_with("a has it"), "{problems:?}");
    }
}
