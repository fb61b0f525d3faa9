//! Names and passwords that need quotes, at their full length.

use crate::{
    extraction::databases::{GRANTS_OF_PARAMETERS, MOVER, Pair, clusters, pair},
    life::Life,
};
use anyhow::{Context, Result, ensure};
use protocol::{
    Side,
    finding::{Finding, FindingId},
};

/// With everything that an address gives a meaning to.
const ROLE: &str = "Mover \"of\" all@home";
const PASSWORD: &str = "p@ss:w/o?r#d%25&x=y+ '\"\\ü";

/// As RFC 3986 has it, byte by byte.
fn encoded(text: &str) -> String {
    let byte = |byte: u8| {
        if byte.is_ascii_alphanumeric() {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    text.bytes().map(byte).collect()
}

/// A name of 63 bytes, the most that one has, that differs in the last one.
fn long(last: char) -> String {
    format!("A{}y{last}", "é".repeat(30))
}

/// 40 letters, the most that the plan takes.
const EXTRACTION: &str = "field_names_and_more_names_than_anywhere";

#[tokio::test(flavor = "multi_thread")]
async fn names() -> Result<()> {
    a_role_and_a_password_that_need_escapes().await?;
    let (first, second) = (long('1'), long('2'));
    let of = |schema: &str| {
        format!(
            "create schema {schema}; set search_path = {schema};
             create table \"select\" (\"order\" bigint generated always as identity primary key,
                \"user\" text, \"Ünï \"\"quoted\"\"\" text, \"a\\b'c\" text, \"{first}\" text, \"{second}\" text);
             create table \"{first}\" (\"{second}\" integer primary key, \"{first}\" text);
             create table \"{second}\" (\"{second}\" integer primary key, \"{first}\" text);
             create table \"new\nline;--\" (\"$1\" integer primary key, \"%s\" text, \"{{}}\" text);"
        )
    };
    let fill = format!(
        "insert into \"select\" (\"user\", \"{first}\") values ('copied', '1');
         insert into \"{first}\" values (1, 'first'); insert into \"{second}\" values (1, 'second');
         insert into \"new\nline;--\" values (1, '%', '{{');"
    );
    let monolith = format!("{} {fill}", of("\"We\"\"ird Schema\""));
    let service = of("svc");
    let table = |name: &str| format!("\"We\\\"ird Schema.{}\": {{}}", name.replace('\n', "\\n"));
    let tables = ["select", first.as_str(), second.as_str(), "new\nline;--"].map(table);
    let tables: Vec<&str> = tables.iter().map(String::as_str).collect();
    let address = |url: String| {
        let (_, at) = url.rsplit_once('@').context("no host")?;
        Ok(format!(
            "postgres://{}:{}@{at}",
            encoded(ROLE),
            encoded(PASSWORD)
        ))
    };
    let mut life = Life::begin_at(EXTRACTION, &monolith, &service, &tables, address).await?;
    names_that_need_quotes(&mut life, &first, &second).await?;
    a_function_that_names_no_schema().await
}

/// It has the rights of the mover's usual role.
async fn a_role_and_a_password_that_need_escapes() -> Result<()> {
    for side in Side::BOTH {
        let cluster = clusters().await?.of(side);
        let superuser = cluster.superuser("postgres").await?;
        // It is not inherited.
        let rights = if cluster.major() < GRANTS_OF_PARAMETERS {
            "superuser"
        } else {
            "replication"
        };
        let make = format!(
            "create role \"{}\" login {rights} in role {MOVER} password '{}'",
            ROLE.replace('"', "\"\""),
            PASSWORD.replace('\'', "''")
        );
        superuser.batch_execute(&make).await?;
    }
    Ok(())
}

async fn names_that_need_quotes(life: &mut Life, first: &str, second: &str) -> Result<()> {
    let rows = |schema: &str| {
        format!(
            "select 1, t::text from {schema}.\"select\" t union all select 2, t::text from {schema}.\"{first}\" t \
             union all select 3, t::text from {schema}.\"{second}\" t \
             union all select 4, t::text from {schema}.\"new\nline;--\" t order by 1, 2"
        )
    };
    let (monolith, service) = (rows("\"We\"\"ird Schema\""), rows("svc"));
    let changes = |schema: &str, by: &str, n: u8| {
        format!(
            "set search_path = {schema};
             insert into \"select\" (\"user\", \"a\\b'c\", \"Ünï \"\"quoted\"\"\") values ('{by}', '\\', '\"');
             update \"select\" set \"{second}\" = '{by}', \"{first}\" = \"{first}\" || '{n}';
             update \"{first}\" set \"{second}\" = \"{second}\" + {n}, \"{first}\" = '{by}';
             insert into \"{second}\" values (10 * {n}, '{by}');
             update \"new\nline;--\" set \"$1\" = \"$1\" * 2 + {n}, \"%s\" = '{by}', \"{{}}\" = '{{{by}}}'"
        )
    };
    let app = life.app(Side::Monolith);
    app.batch_execute(&changes("\"We\"\"ird Schema\"", "monolith", 2))
        .await?;
    life.same(Side::Monolith, &monolith, &service).await?;
    life.hand_over(Side::Monolith).await?;
    let app = life.app(Side::Service);
    app.batch_execute(&changes("svc", "service", 3)).await?;
    life.same(Side::Service, &monolith, &service).await?;
    life.hand_over(Side::Service).await?;
    let app = life.app(Side::Monolith);
    app.batch_execute(&changes("\"We\"\"ird Schema\"", "again", 5))
        .await?;
    life.same(Side::Monolith, &monolith, &service).await?;
    life.verified(Side::Monolith).await?;
    Ok(())
}

/// It is called for each row, by sessions that look for names in `pg_catalog` only.
async fn a_function_that_names_no_schema() -> Result<()> {
    let titles = |schema: &str| {
        format!(
            "create schema if not exists {schema}; set search_path = {schema};
             create function plain(text) returns text immutable language sql as 'select lower($1)';
             create function slug(text) returns text immutable language plpgsql
                as 'begin return plain($1); end';
             create table titles (id bigint primary key, title text,
                slug text generated always as (slug(title)) stored);
             create index on titles (slug(title));"
        )
    };
    let (old, new) = ("public", "svc");
    let monolith = format!(
        "{} insert into titles (id, title) values (1, 'A')",
        titles(old)
    );
    let tables = ["public.titles: {}"];
    let pair = pair("field_functions", &monolith, &titles(new), &tables).await?;
    let found = of_functions(&pair).await?;
    ensure!(found.len() == 2, "{found:?}");
    for (finding, (side, schema)) in found.iter().zip(Side::BOTH.into_iter().zip([old, new])) {
        let text = finding.to_string();
        ensure!(
            text.contains(&format!("function {schema}.slug(text)")),
            "{text}"
        );
        let mend = format!("alter function {schema}.slug(text) set search_path from current");
        ensure!(text.contains(&mend), "{text}");
        let mend = format!("set search_path = {schema}; {mend}");
        pair.app(side).batch_execute(&mend).await?;
    }
    let found = of_functions(&pair).await?;
    ensure!(found.is_empty(), "{found:?}");
    pair.prepare_and_copy().await?;
    let slugs = pair
        .lines(Side::Service, "select slug from svc.titles")
        .await?;
    ensure!(slugs == ["(a)"], "{slugs:?}");
    Ok(())
}

async fn of_functions(pair: &Pair) -> Result<Vec<Finding>> {
    let mut found = pair.mover.check().await?;
    found.retain(|one| one.id == FindingId::FunctionPath);
    Ok(found)
}
