//! Rows that break a constraint of the target's which was not enforced while
//! they were applied.
//!
//! Foreign keys and deferrable unique constraints are triggers, which do not
//! fire then. Those that the source has alike were enforced there. The others
//! are compared with the rows: one query for each, which tells how many rows
//! break it, and the primary key of one.

use crate::{
    catalog::{
        self, MovedTable,
        constraints::{self, ForeignKey, UniqueIndex},
    },
    database::{session::Session, sql},
    error::MoverError,
};
use plan::{TableMapping, TableName};
use protocol::Side;

/// A constraint that rows of the target break.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) object: String,
    pub(super) problem: String,
    pub(super) remedy: String,
}

/// Looks at the target's rows for all constraints that only it has.
pub(super) async fn look(
    mappings: &[TableMapping],
    source: &Session,
    target: &Session,
) -> Result<Vec<Broken>, MoverError> {
    let (monolith, service) = match target.side() {
        Side::Monolith => (target, source),
        Side::Service => (source, target),
    };
    let tables = catalog::moved_tables(mappings, monolith, service).await?;
    let mut found = Vec::new();
    for key in only_at_target(mappings, monolith, service, target.side()).await? {
        if let Some(table) = tables
            .iter()
            .find(|table| *table.name(target.side()) == key.from)
        {
            let problem = "refer to nothing";
            let condition = orphans(&key);
            let name = &key.name;
            found.extend(broken(target, table, name, &condition, problem).await?);
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
            let condition = duplicates(table.name(target.side()), index);
            let problem = "are there more than once";
            found.extend(broken(target, table, &index.name, &condition, problem).await?);
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
    let (own, moved) = match target {
        Side::Monolith => (&old, names(target)),
        Side::Service => (&new, names(target)),
    };
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

fn orphans(key: &ForeignKey) -> String {
    let names = key.columns.iter().map(|name| sql::identifier(name));
    let given: Vec<String> = names
        .clone()
        .map(|name| format!("r.{name} is not null"))
        .collect();
    let others = key.to_columns.iter().map(|name| sql::identifier(name));
    let same: Vec<String> = names
        .zip(others)
        .map(|(name, other)| format!("o.{other} = r.{name}"))
        .collect();
    format!(
        "{} and not exists (select from {} o where {})",
        given.join(" and "),
        sql::table(&key.to),
        same.join(" and ")
    )
}

fn duplicates(table: &TableName, index: &UniqueIndex) -> String {
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
    format!(
        "{nulls}({}) in (select {columns} from {} group by {columns} having count(*) > 1)",
        own.join(", "),
        sql::table(table)
    )
}

async fn broken(
    target: &Session,
    table: &MovedTable,
    constraint: &str,
    condition: &str,
    problem: &str,
) -> Result<Option<Broken>, MoverError> {
    let side = target.side();
    let name = table.name(side);
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
    let row = target
        .query_one(&query, &[])
        .await
        .map_err(MoverError::sql(
            side,
            "looking for rows that break a constraint",
        ))?;
    let (count, first): (i64, String) = (row.get(0), row.get(1));
    Ok((count > 0).then(|| Broken {
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
