//! The old tables of an extraction that was finished: their use, what depends on them,
//! and the script that drops them.

use crate::extraction::databases::{Pair, clusters, pair};
use anyhow::{Context, Result, ensure};
use protocol::{Side, retire::UseCounts};
use std::time::Duration;
use testbed::{
    cluster::Installation,
    deadline,
    process::{self, Spec},
};

const LIMIT: Duration = Duration::from_mins(1);

/// A partitioned table, one that refers to it and moves as well, and what stays: a key, a
/// view on a view, a function of the row's type, and a table that has nothing to do with it.
const MONOLITH: &str = "
    create table a (id bigint primary key, v text) partition by range (id);
    create table a_low partition of a for values from (0) to (100);
    create table b (id bigint primary key, a bigint references a, self bigint references b);
    create table stays (id bigint primary key, a bigint references a);
    create table other (id bigint primary key);
    create view seen as select id from b;
    create view far as select * from seen;
    create function of_row(b) returns bigint language sql as 'select $1.id';
    insert into a select n, 'x' from generate_series(1, 10) n;
    insert into b (id, a) select n, n from generate_series(1, 10) n";
const SERVICE: &str = "create schema svc; create table svc.a (id bigint primary key, v text);
    create table svc.b (id bigint primary key, a bigint, self bigint)";

async fn used(pair: &Pair, of: UseCounts) -> Result<UseCounts> {
    let table = "public.b";
    // What a session has done is counted once it has reported it.
    deadline::until("other counts", LIMIT, async || {
        let now = pair.mover.use_of_old_tables().await?.tables;
        let now = *now.get(table).context("it is gone")?;
        Ok((now != of).then_some(now))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn old_tables_are_watched_and_dropped_by_a_script() -> Result<()> {
    let tables = &["public.a: {}", "public.b: {}"];
    let pair = pair("retired", MONOLITH, SERVICE, tables).await?;
    let app = pair.app(Side::Monolith);
    // All of what made them.
    let first = used(&pair, UseCounts::default()).await?;
    let both = pair.mover.use_of_old_tables().await?;
    ensure!(both.tables.len() == 2, "{both:?}");
    app.batch_execute("select * from b where id = 1").await?;
    let read = used(&pair, first).await?;
    ensure!(read.reads > first.reads, "{read:?}");
    app.batch_execute("insert into b values (50)").await?;
    let written = used(&pair, read).await?;
    ensure!(
        written.writes > read.writes || written.reads > read.reads,
        "{written:?}"
    );
    let admin = pair.superuser(Side::Monolith).await?;
    admin.batch_execute("select pg_stat_reset()").await?;
    deadline::until("other statistics", LIMIT, async || {
        let now = pair.mover.use_of_old_tables().await?;
        Ok((now.statistics != both.statistics).then_some(()))
    })
    .await?;

    let found = pair.mover.dependents().await?;
    let remedies: Vec<_> = found.iter().filter_map(|one| one.remedy.clone()).collect();
    let words: Vec<_> = found.iter().map(|one| one.what.clone()).collect();
    ensure!(found.len() == 3, "{found:#?}");
    ensure!(
        remedies
            .iter()
            .any(|one| one == "alter table public.stays drop constraint stays_a_fkey;")
            && remedies.iter().any(|one| one == "drop view public.seen;"),
        "{remedies:?}"
    );
    ensure!(words.iter().any(|one| one.contains("of_row")), "{words:?}");
    let script = pair.mover.removal_script();
    // While it is wanted by others it drops nothing.
    let refused = run(&pair, &script).await?;
    ensure!(refused.contains("other objects depend"), "{refused}");
    app.batch_execute(
        "alter table stays drop constraint stays_a_fkey; drop function of_row; drop view far, seen",
    )
    .await?;
    ensure!(pair.mover.dependents().await?.is_empty());
    // Nor while the extraction is at work, nor in another database.
    let begun = "create schema banyan; create table banyan.owner (extraction text);
        insert into banyan.owner values ('retired')";
    admin.batch_execute(begun).await?;
    let refused = run(&pair, &script).await?;
    ensure!(refused.contains("banyan finish"), "{refused}");
    admin.batch_execute("delete from banyan.owner").await?;
    let elsewhere = script.replace("'retired'", "'other'");
    let refused = run(&pair, &elsewhere).await?;
    ensure!(refused.contains("another database"), "{refused}");
    let done = run(&pair, &script).await?;
    ensure!(done.is_empty(), "{done}");
    let left = pair.lines(
        Side::Monolith,
        "select relname from pg_class
        where relname in ('a', 'a_low', 'b', 'stays', 'other') order by 1",
    );
    assert_eq!(left.await?, ["(other)", "(stays)"]);
    ensure!(pair.mover.use_of_old_tables().await?.tables.is_empty());
    Ok(())
}

/// Runs a script as its reviewer would; what it complains of.
async fn run(pair: &Pair, script: &str) -> Result<String> {
    let cluster = clusters().await?.of(Side::Monolith);
    let file = std::env::temp_dir().join(format!("{}.sql", uuid::Uuid::new_v4()));
    std::fs::write(&file, script)?;
    let socket = cluster.socket();
    let home = socket.parent().context("a socket without a directory")?;
    let psql = Spec::new("psql", Installation::find()?.program("psql"))
        .args(["--no-psqlrc", "--quiet", "--file"])
        .arg(&file)
        .arg("--host")
        .arg(home)
        .args(["--port", &cluster.port().to_string()])
        .args(["--username", "testbed", "--dbname", &pair.database]);
    let done = process::run(&psql, LIMIT).await?;
    std::fs::remove_file(&file)?;
    ensure!((done.code == 0) == done.stderr.is_empty(), "{done:?}");
    Ok(done.stderr)
}
