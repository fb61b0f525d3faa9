//! Rows that break a constraint of the target's which was not enforced while
//! they were applied.
//!
//! Foreign keys, and unique and exclusion constraints that are deferrable, are
//! triggers, which do not fire then. Those that the source has alike were enforced there. The others
//! are compared with the rows: one query for each, which tells how many rows
//! break it, and the primary key of one.
//!
//! Nothing is held meanwhile, but a large table takes its time. A switch waits for
//! it up to a bound; a rollback hardly at all, since who goes back at night has no
//! time, and what was not enforced there is a broken dump, no lost row.

use super::blocker::Blocker;
use crate::{
    catalog::{
        self, MovedTable,
        constraints::{self, ForeignKey, UniqueIndex},
        exclusions::{Exclusion, exclusions},
        operators::KeyOperators,
    },
    database::{session::Session, sql},
    error::MoverError,
};
use plan::{TableMapping, TableName};
use protocol::Side;
use std::time::{Duration, Instant};
use tokio_postgres::error::SqlState;

/// How long all queries together may take before a switch, and before a rollback.
const SWITCH_LIMIT: Duration = Duration::from_mins(5);
const ROLLBACK_LIMIT: Duration = Duration::from_secs(10);

/// Looks at the target's rows for all constraints that only it has.
pub(super) async fn look(
    mappings: &[TableMapping],
    source: &Session,
    target: &Session,
) -> Result<Vec<Blocker>, MoverError> {
    let (monolith, service) = match target.side() {
        Side::Monolith => (target, source),
        Side::Service => (source, target),
    };
    let tables = catalog::moved_tables(mappings, monolith, service).await?;
    let mut found = Vec::new();
    let deadline = Instant::now() + limit(target.side());
    for key in only_at_target(mappings, monolith, service, target.side()).await? {
        if let Some(table) = tables
            .iter()
            .find(|table| *table.name(target.side()) == key.from)
        {
            let problem = "refer to nothing";
            let operators = KeyOperators::of(target, &key.to).await?;
            let condition = orphans(&key, &operators);
            let name = &key.name;
            found.extend(broken(target, table, name, &condition, problem, deadline).await?);
        }
    }
    for table in &tables {
        let old = constraints::unique(monolith, table.name(Side::Monolith)).await?;
        let new = constraints::unique(service, table.name(Side::Service)).await?;
        let alone = |index: &&UniqueIndex| match target.side() {
            Side::Monolith => !new.iter().any(|twin| index.is_like(twin, &table.mapping)),
            Side::Service => !old.iter().any(|twin| twin.is_like(index, &table.mapping)),
        };
        let own = if target.side() == Side::Monolith {
            &old
        } else {
            &new
        };
        for index in own.iter().filter(|index| index.deferrable).filter(alone) {
            let name = table.name(target.side());
            let operators = KeyOperators::of(target, name).await?;
            let condition = duplicates(name, index, &operators);
            let problem = "are there more than once";
            found.extend(broken(target, table, &index.name, &condition, problem, deadline).await?);
        }
        for one in exclusions_at_target(table, monolith, service, target.side()).await? {
            let condition = one.broken(&sql::table(table.name(target.side())));
            let problem = "exclude each other";
            found.extend(broken(target, table, &one.name, &condition, problem, deadline).await?);
        }
    }
    Ok(found)
}

/// The target's foreign keys between moved tables that the source does not
/// prove.
async fn only_at_target(
    mappings: &[TableMapping],
    monolith: &Session,
    service: &Session,
    target: Side,
) -> Result<Vec<ForeignKey>, MoverError> {
    let names = |side: Side| -> Vec<&TableName> {
        let name = |mapping| -> &TableName {
            let mapping: &TableMapping = mapping;
            match side {
                Side::Monolith => &mapping.monolith,
                Side::Service => &mapping.service,
            }
        };
        mappings.iter().map(name).collect()
    };
    let quoted = |side| names(side).into_iter().map(sql::table).collect::<Vec<_>>();
    let old = constraints::foreign_keys(monolith, &quoted(Side::Monolith)).await?;
    let new = constraints::foreign_keys(service, &quoted(Side::Service)).await?;
    let own = if target == Side::Monolith { &old } else { &new };
    let moved = names(target);
    let proven = |key: &ForeignKey| match target {
        Side::Monolith => new
            .iter()
            .any(|twin| twin.proven && key.is_like(twin, mappings)),
        Side::Service => old.iter().any(|twin| twin.is_like(key, mappings)),
    };
    let found = own.iter().filter(|key| {
        key.proven && moved.contains(&&key.from) && moved.contains(&&key.to) && !proven(key)
    });
    Ok(found.cloned().collect())
}

/// The target's deferrable exclusion constraints that the source does not have.
async fn exclusions_at_target(
    table: &MovedTable,
    monolith: &Session,
    service: &Session,
    target: Side,
) -> Result<Vec<Exclusion>, MoverError> {
    let mapping = &table.mapping;
    let old = exclusions(monolith, &mapping.monolith).await?;
    let new = exclusions(service, &mapping.service).await?;
    let (own, others) = match target {
        Side::Monolith => (old, new),
        Side::Service => (new, old),
    };
    let source = target.other();
    let enforced: Vec<String> = others
        .iter()
        .map(|one| one.forbids(mapping, source))
        .collect();
    let alone =
        |one: &Exclusion| one.deferrable && !enforced.contains(&one.forbids(mapping, target));
    Ok(own.into_iter().filter(alone).collect())
}

fn orphans(key: &ForeignKey, operators: &KeyOperators) -> String {
    let names = key.columns.iter().map(|name| sql::identifier(name));
    let given: Vec<String> = names
        .clone()
        .map(|name| format!("r.{name} is not null"))
        .collect();
    let same: Vec<String> = names
        .zip(&key.to_columns)
        .map(|(name, other)| {
            let equals = operators.between(other, "=");
            format!("o.{} {equals} r.{name}", sql::identifier(other))
        })
        .collect();
    format!(
        "{} and not exists (select from {} o where {})",
        given.join(" and "),
        sql::table(&key.to),
        same.join(" and ")
    )
}

fn duplicates(table: &TableName, index: &UniqueIndex, operators: &KeyOperators) -> String {
    let columns = sql::identifiers(index.columns.iter().map(String::as_str));
    let own: Vec<String> = index
        .columns
        .iter()
        .map(|name| format!("r.{}", sql::identifier(name)))
        .collect();
    let given: Vec<String> = own
        .iter()
        .map(|name| format!("{name} is not null"))
        .collect();
    let nulls = if index.nulls_not_distinct {
        String::new()
    } else {
        format!("{} and ", given.join(" and "))
    };
    let same: Vec<String> = index
        .columns
        .iter()
        .zip(&own)
        .map(|(column, own)| {
            let equals = operators.between(column, "=");
            format!("d.{} {equals} {own}", sql::identifier(column))
        })
        .collect();
    format!(
        "{nulls}exists (select from (select {columns} from {} group by {columns} \
         having count(*) > 1) d where {})",
        sql::table(table),
        same.join(" and ")
    )
}

async fn broken(
    target: &Session,
    table: &MovedTable,
    constraint: &str,
    condition: &str,
    problem: &str,
    deadline: Instant,
) -> Result<Option<Blocker>, MoverError> {
    let side = target.side();
    let name = table.name(side);
    let wrap = || MoverError::sql(side, "looking for rows that break a constraint");
    let key: Vec<String> = table
        .key_names(side)
        .iter()
        .map(|name| format!("r.{}::text", sql::identifier(name)))
        .collect();
    let query = format!(
        "select count(*), coalesce(min(concat_ws(', ', {})), '') from {} r where {condition}",
        key.join(", "),
        sql::table(name)
    );
    let left = deadline.saturating_duration_since(Instant::now());
    let bound = format!("set statement_timeout = {}", left.as_millis().max(1));
    target.batch_execute(&bound).await.map_err(wrap())?;
    let looked = target.query_one(&query, &[]).await;
    let unbound = target.batch_execute("set statement_timeout = 0").await;
    let row = match looked {
        Err(error) if error.code() == Some(&SqlState::QUERY_CANCELED) => {
            return Ok(not_looked_through(side, name, constraint));
        }
        looked => looked.map_err(wrap())?,
    };
    unbound.map_err(wrap())?;
    let (count, first): (i64, String) = (row.get(0), row.get(1));
    Ok((count > 0).then(|| Blocker {
        object: format!("constraint {constraint} of {name} in the {side}'s database"),
        problem: format!(
            "{count} rows {problem}, the first with the key ({first}): it was not enforced while \
             they were applied, and the {} has none like it",
            side.other()
        ),
        remedy: format!(
            "Correct those rows in the {}'s database, or run in the {side}'s: alter table {} drop \
             constraint {}",
            side.other(),
            sql::table(name),
            sql::identifier(constraint)
        ),
    }))
}

fn limit(target: Side) -> Duration {
    match target {
        Side::Service => SWITCH_LIMIT,
        Side::Monolith => ROLLBACK_LIMIT,
    }
}

/// The time was over.
fn not_looked_through(side: Side, table: &TableName, constraint: &str) -> Option<Blocker> {
    if side == Side::Monolith {
        tracing::warn!(%table, constraint, "not looked through before a rollback, which has no time");
        return None;
    }
    Some(Blocker {
        object: format!("constraint {constraint} of {table} in the {side}'s database"),
        problem: format!(
            "it was not enforced while rows were applied, and they could not be looked through in \
             {:?}",
            limit(side)
        ),
        remedy: format!(
            "Give the {}'s table one like it, or run in the {side}'s database: alter table {} drop \
             constraint {}",
            side.other(),
            sql::table(table),
            sql::identifier(constraint)
        ),
    })
}
