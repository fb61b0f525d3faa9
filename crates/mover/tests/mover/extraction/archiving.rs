//! An archive of tables, and the trial that it can be restored.

use crate::{
    extraction::databases::{MOVER, own_clusters, pair_in},
    queries::lines,
};
use anyhow::{Result, ensure};
use mover::archive::ArchiveError;
use plan::DatabaseUrl;
use protocol::Side;
use testbed::{cluster::Rights, directory::PrivateDirectory};

/// Tables with a type, a function and a sequence of their own, a key into a table that
/// stays, and a name that has to be quoted.
const MONOLITH: &str = "create schema crm; create type crm.state as enum ('new', 'done');
    create function crm.number() returns bigint language sql as 'select 7::bigint';
    create table parties (id bigint primary key);
    insert into parties select generate_series(1, 3);
    create table crm.\"Deal*\" (id bigserial primary key, state crm.state not null default 'new',
        number bigint default crm.number(), party bigint references parties);
    insert into crm.\"Deal*\" (party) select 1 from generate_series(1, 25);
    create table crm.\"Deal2\" (id bigint primary key);
    insert into crm.\"Deal2\" values (1);
    create view crm.open as select * from crm.\"Deal*\" where state = 'new'";
const SERVICE: &str = "create schema svc; create table svc.deals (id bigint primary key,
    state text not null default 'new', number bigint, party bigint)";

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_is_restored_beside_and_counted() -> Result<()> {
    let mut clusters = own_clusters().await?;
    clusters
        .service
        .create_role("trier", Rights::CreateDatabases)
        .await?;
    let tables = &["crm.\"Deal*\": { to: deals }"];
    let pair = pair_in(&clusters, "archived", MONOLITH, SERVICE, tables, Ok).await?;
    let parse = |url: String| DatabaseUrl::parse(&url).map_err(anyhow::Error::msg);
    let scratch = parse(clusters.service.url("trier", "postgres")?)?;
    let directory = PrivateDirectory::new()?;
    let path = directory.path().join("trial");
    // What a trial that was killed has left.
    let admin = clusters.service.superuser("postgres").await?;
    admin
        .batch_execute("create database banyan_trial_archived owner trier")
        .await?;
    let side = Side::Monolith;
    let tried = pair.mover.restore_for_trial(side, &scratch, &path).await?;
    assert_eq!(tried.len(), 1);
    assert_eq!(
        (tried[0].table.table.as_str(), tried[0].rows),
        ("Deal*", 25)
    );
    let left = "select datname from pg_database where datname like 'banyan%'";
    ensure!(
        lines(&admin, left).await?.is_empty(),
        "the trial's database is left"
    );
    ensure!(
        std::fs::read_dir(&path)?.next().is_none(),
        "archives are left"
    );

    // A role that may not make databases, and one that is not let in.
    let plain = parse(clusters.service.url(MOVER, "postgres")?)?;
    let refused = pair.mover.restore_for_trial(side, &plain, &path).await;
    let refused = refused.unwrap_err().to_string();
    ensure!(
        refused.contains("permission denied to create database"),
        "{refused}"
    );
    // What cannot be restored by itself says so, and leaves nothing.
    let app = pair.app(Side::Monolith);
    app.batch_execute(
        "create sequence crm.shared;
         alter table crm.\"Deal*\" alter number set default nextval('crm.shared')",
    )
    .await?;
    let error = pair.mover.restore_for_trial(side, &scratch, &path).await;
    let error = error.unwrap_err();
    ensure!(
        matches!(
            error,
            ArchiveError::Tool {
                tool: "pg_restore",
                ..
            }
        ),
        "{error}"
    );
    ensure!(error.to_string().contains("crm.shared"), "{error}");
    ensure!(
        lines(&admin, left).await?.is_empty(),
        "the trial's database is left"
    );
    Ok(())
}
