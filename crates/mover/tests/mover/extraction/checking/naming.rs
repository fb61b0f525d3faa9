//! Whatever tables, columns, sequences and schemas are called: what `check` lets
//! pass goes there and back.

use super::findings;
use crate::{
    extraction::databases::{pair, show},
    life::Life,
};
use anyhow::{Result, ensure};
use protocol::Side;
use std::fmt::Write as _;

/// As PostgreSQL stores them: quotes, dots, capitals, the longest, other scripts,
/// words of SQL, and what an escape or a placeholder could be taken for.
const NAMES: &[&str] = &[
    "Order Items",
    "o\"quoted\"",
    "it's",
    "v1.orders",
    "select",
    "naïve_Größe_価格",
    "back\\slash",
    "$1",
    "a_name_of_sixty_three_bytes_which_is_as_long_as_postgresql_has_",
    "%s",
    " led and trailed ",
];

/// The schema of the monolith's tables.
const SCHEMA: &str = "Sales.\"2\"";

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn tables(schema: &str) -> Result<String> {
    let mut text = format!("create schema {schema};");
    for name in NAMES {
        let (table, sequence) = (quoted(name), quoted(&name.replacen(|_| true, "Q", 1)));
        writeln!(
            text,
            "create sequence {schema}.{sequence};
             create table {schema}.{table} ({table} bigint default nextval({}) primary key, v text);",
            format_args!("'{}'", format!("{schema}.{sequence}").replace('\'', "''"))
        )?;
    }
    Ok(text)
}

/// Every table, with one statement of each kind.
fn writes(schema: &str, value: &str) -> String {
    let write = |name: &&str| {
        let table = quoted(name);
        format!(
            "insert into {schema}.{table} (v) values ('{value}'), ('{value}'), ('{value}'); \
             update {schema}.{table} set v = v || '+' where {table} % 2 = 0; \
             delete from {schema}.{table} where {table} % 5 = 0;"
        )
    };
    NAMES.iter().map(write).collect()
}

/// YAML takes what JSON does.
fn plan() -> Result<Vec<String>> {
    let line = |name: &&str| {
        let key = serde_json::to_string(&format!("{}.{}", quoted(SCHEMA), quoted(name)))?;
        Ok(format!("{key}: {{}}"))
    };
    NAMES.iter().map(line).collect()
}

async fn write(life: &Life, side: Side, schema: &str, value: &str) -> Result<()> {
    let written = life.app(side).batch_execute(&writes(schema, value)).await;
    Ok(written?)
}

/// Both sides have the same rows, once the owner's have come over.
async fn proven(life: &Life, owner: Side) -> Result<()> {
    life.caught_up(owner).await?;
    ensure!(life.verified(owner).await? > 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_they_are_called_they_go_there_and_back() -> Result<()> {
    let lines = plan()?;
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let here = quoted(SCHEMA);
    let pair = pair("check_names", &tables(&here)?, &tables("svc")?, &lines).await?;
    pair.monolith
        .batch_execute(&writes(&here, "before"))
        .await?;
    let found = findings(&pair).await?;
    ensure!(found.is_empty(), "{}", show(&found));
    let mut life = Life::of(pair).await?;
    write(&life, Side::Monolith, &here, "following").await?;
    proven(&life, Side::Monolith).await?;
    life.hand_over(Side::Monolith).await?;
    write(&life, Side::Service, "svc", "switched").await?;
    proven(&life, Side::Service).await?;
    life.hand_over(Side::Service).await?;
    write(&life, Side::Monolith, &here, "back").await?;
    proven(&life, Side::Monolith).await?;
    let found = findings(&life.pair).await?;
    ensure!(found.is_empty(), "{}", show(&found));
    life.cancel().await
}
