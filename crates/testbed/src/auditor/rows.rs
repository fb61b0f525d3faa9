//! Both sides' rows, compared one by one, and what each side must hold true
//! by itself.

use super::findings::{Audit, Side};
use crate::banyan::EXTRACTION;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use tokio_postgres::Client;

/// Contradictions of one kind that are put into words.
const SHOWN: i64 = 20;

/// A table of the example, by its names on both sides.
#[derive(Debug)]
pub(super) struct Table {
    monolith: &'static str,
    service: &'static str,
    /// Columns with another name in the service.
    renamed: &'static [(&'static str, &'static str)],
    /// The column that every change of a row changes.
    changes: &'static str,
}

/// What moves with contracts.
pub(super) const CONTRACTS: [Table; 4] = [
    Table {
        monolith: "contracts_contract",
        service: "contract_service.contracts",
        renamed: &[
            ("uid", "public_id"),
            ("seller_id", "seller"),
            ("buyer_id", "buyer"),
            ("land_plot_id", "plot"),
            ("version", "revision"),
            ("created_by_id", "author"),
        ],
        changes: "version",
    },
    Table {
        monolith: "contracts_tag",
        service: "contract_service.tags",
        renamed: &[("name", "label")],
        changes: "id",
    },
    Table {
        monolith: "contracts_contract_tags",
        service: "contract_service.contract_tags",
        renamed: &[("contract_id", "contract"), ("tag_id", "tag")],
        changes: "id",
    },
    Table {
        monolith: "contracts_contractevent",
        service: "contract_service.events",
        renamed: &[("contract_id", "contract")],
        changes: "id",
    },
];

/// What moves with documents.
pub(super) const DOCUMENTS: [Table; 1] = [Table {
    monolith: "documents_document",
    service: "public.documents",
    renamed: &[("contract_id", "contract")],
    changes: "id",
}];

/// What moves with users.
pub(super) const USERS: [Table; 1] = [Table {
    monolith: "auth_user",
    service: "identity_service.auth_user",
    renamed: &[],
    changes: "password",
}];

/// Cheap sums that are equal when both sides hold the same.
pub(super) async fn sums(tables: &[Table], client: &Client, side: Side) -> Result<Vec<String>> {
    let mut sums = Vec::new();
    for table in tables {
        let (name, column) = (table.name(side), table.column(table.changes, side));
        let sql =
            format!("SELECT concat(count(*), ' ', sum(hashtext({column}::text))) FROM {name}");
        sums.push(client.query_one(&sql, &[]).await.context(sql)?.get(0));
    }
    Ok(sums)
}

/// Reads tables on both sides, whole, and compares row by row.
pub(super) async fn compare(
    tables: &[Table],
    monolith: &Client,
    service: &Client,
    audit: &mut Audit,
) -> Result<()> {
    for table in tables {
        let columns = columns_of(monolith, table.monolith).await?;
        let here = table.rows(monolith, Side::Monolith, &columns).await?;
        let mut there = table.rows(service, Side::Service, &columns).await?;
        audit.rows_compared += here.len();
        for (key, row) in &here {
            let found = there.remove(key);
            let problem = match &found {
                None => "is missing in the service".to_owned(),
                Some(other) if other != row => format!("differs: {row} and {other}"),
                Some(_) => continue,
            };
            audit
                .differences
                .push(format!("{} {key} {problem}", table.monolith));
        }
        for key in there.keys() {
            audit
                .differences
                .push(format!("{} {key} is only in the service", table.monolith));
        }
    }
    Ok(())
}

/// Every write adds one event and one version: they must agree.
pub(super) async fn wrong_versions(client: &Client, side: Side) -> Result<Vec<String>> {
    let (contracts, version) = contracts_of(side);
    let events = CONTRACTS[3].name(side);
    let contract = CONTRACTS[3].column("contract_id", side);
    let sql = format!(
        "SELECT c.id::text, c.{version}::text, count(e.id)::text
         FROM {contracts} c LEFT JOIN {events} e ON e.{contract} = c.id
         GROUP BY c.id, c.{version} HAVING c.{version} <> count(e.id) ORDER BY c.id LIMIT {SHOWN}"
    );
    let rows = client.query(&sql, &[]).await.context(sql)?;
    let say = |row: &tokio_postgres::Row| {
        let (id, version, events): (&str, &str, &str) = (row.get(0), row.get(1), row.get(2));
        format!(
            "{}: contract {id} has version {version} and {events} events",
            side.name()
        )
    };
    Ok(rows.iter().map(say).collect())
}

/// A sequence behind its column gives an id that is taken.
///
/// Only the owner's side is sure to be ahead; on the other side the sequences
/// are moved at the hand-over. So the larger of both would be the claim; each
/// side alone is judged where it has been written to, which is where its
/// sequence was used at all.
pub(super) async fn sequences_behind(client: &Client, side: Side) -> Result<Vec<String>> {
    let mut behind = Vec::new();
    if !is_writable(client, side).await? {
        return Ok(behind);
    }
    for table in &CONTRACTS[..3] {
        let name = table.name(side);
        let sql = format!(
            "SELECT (SELECT max(id) FROM {name}), pg_sequence_last_value(s), s::text
             FROM pg_get_serial_sequence('{name}', 'id') AS n, LATERAL (SELECT n::regclass AS s) x"
        );
        let Some(row) = client.query_opt(&sql, &[]).await.context(sql)? else {
            continue;
        };
        let (largest, last): (Option<i64>, Option<i64>) = (row.get(0), row.get(1));
        if last.unwrap_or(0) < largest.unwrap_or(0) {
            let sequence: &str = row.get(2);
            let side = side.name();
            behind.push(format!(
                "{side}: {sequence} is at {last:?}, {name} at {largest:?}"
            ));
        }
    }
    Ok(behind)
}

/// Whether this side owns the data, by its own row; without one the monolith
/// does.
async fn is_writable(client: &Client, side: Side) -> Result<bool> {
    let has_owner = "SELECT to_regclass('banyan.owner') IS NOT NULL";
    if !client.query_one(has_owner, &[]).await?.get::<_, bool>(0) {
        return Ok(side == Side::Monolith);
    }
    // Others may have switched or not.
    let sql = "SELECT bool_or(owner::text = $1) FROM banyan.owner WHERE extraction = $2";
    let owns = client.query_one(sql, &[&side.name(), &EXTRACTION]).await?;
    let owns: Option<bool> = owns.get(0);
    Ok(owns.unwrap_or(false))
}

fn contracts_of(side: Side) -> (String, &'static str) {
    (
        CONTRACTS[0].name(side),
        CONTRACTS[0].column("version", side),
    )
}

async fn columns_of(client: &Client, table: &str) -> Result<Vec<String>> {
    let sql = "SELECT column_name::text FROM information_schema.columns
               WHERE table_schema = 'public' AND table_name = $1 ORDER BY ordinal_position";
    let rows = client.query(sql, &[&table]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

impl Table {
    fn name(&self, side: Side) -> String {
        match side {
            Side::Monolith => format!("public.{}", self.monolith),
            Side::Service => self.service.to_owned(),
        }
    }

    fn column<'a>(&self, column: &'a str, side: Side) -> &'a str {
        let renamed = self.renamed.iter().find(|(old, _)| *old == column);
        match (side, renamed) {
            (Side::Service, Some((_, new))) => new,
            _ => column,
        }
    }

    /// All rows as JSON arrays of the columns' text, by key.
    async fn rows(
        &self,
        client: &Client,
        side: Side,
        columns: &[String],
    ) -> Result<BTreeMap<String, String>> {
        let text = |column: &String| format!("\"{}\"::text", self.column(column, side));
        let all: Vec<String> = columns.iter().map(text).collect();
        let (all, name) = (all.join(", "), self.name(side));
        client.batch_execute("SET timezone = 'UTC'").await?;
        let sql = format!("SELECT id::text, json_build_array({all})::text FROM {name}");
        let rows = client
            .query(&sql, &[])
            .await
            .with_context(|| format!("reading {name}"))?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }
}
