//! Indexes of large tables are put off, and come back as they were.

use crate::{
    extraction::databases::{Pair, pair},
    queries::lines,
};
use anyhow::{Result, ensure};
use mover::copy::CopyProgress;
use protocol::Side;
use std::time::Duration;
use tokio::sync::watch;

/// More than 16 MiB.
const LARGE: &str = "
    create table large (id bigint primary key, code bigint not null, email text, n integer, t text);
    insert into large select n, n, 'e' || n, n % 7, repeat('x', 400) from generate_series(1, 45000) n;
    create table small (id bigint primary key, code bigint);
    insert into small values (1, 1);
";

const LARGE_SERVICE: &str = r#"
    create schema svc;
    create table svc.large (
        id bigint, code bigint not null unique, email text, n integer, t text,
        constraint "Large key" primary key (id),
        constraint email_once unique (email) include (n) deferrable initially deferred
    );
    create index "By n" on svc.large (n desc nulls last, lower(email) text_pattern_ops) where n > 3;
    create index with_options on svc.large using hash (t) with (fillfactor = 60);
    create index told on svc.large (n);
    comment on index svc.told is 'stays where it is';
    create table svc.small (id bigint primary key, code bigint references svc.large (code));
    create view svc.grouped as select id, n from svc.large group by id;
"#;

const TABLES: &[&str] = &["public.large: { }", "public.small: { }"];

async fn indexes(pair: &Pair) -> Result<Vec<String>> {
    let query = "select i.indexrelid::regclass, pg_get_indexdef(i.indexrelid), indisvalid, \
            pg_get_userbyid(c.relowner), k.conname, pg_get_constraintdef(k.oid) \
        from pg_index i join pg_class c on c.oid = i.indexrelid \
        left join pg_constraint k on k.conindid = i.indexrelid and k.contype <> 'f' \
        where indrelid in ('svc.large'::regclass, 'svc.small'::regclass) order by i.indexrelid::regclass::text";
    lines(&pair.superuser(Side::Service).await?, query).await
}

async fn put_off(pair: &Pair) -> Result<Vec<String>> {
    let admin = pair.superuser(Side::Service).await?;
    lines(&admin, "select name from banyan.put_off order by name").await
}

/// Killed when the large table's rows are there, and the other's are not.
async fn killed_half_way(pair: &Pair) -> Result<()> {
    let claims = pair.prepare().await?;
    let mut blocker = pair.superuser(Side::Service).await?;
    let lock = blocker.transaction().await?;
    lock.batch_execute("lock table svc.small in share row exclusive mode")
        .await?;
    let mover = pair.mover.clone();
    let copying = tokio::spawn(async move { mover.copy(&claims, &watch::Sender::default()).await });
    let watching = pair.superuser(Side::Service).await?;
    testbed::deadline::until("the large table", Duration::from_secs(30), async || {
        let count = "select count(*) from svc.large";
        let rows: i64 = watching.query_one(count, &[]).await?.get(0);
        Ok((rows == 45_000).then_some(()))
    })
    .await?;
    copying.abort();
    ensure!(copying.await.is_err_and(|error| error.is_cancelled()));
    Ok(lock.rollback().await?)
}

#[tokio::test]
async fn indexes_are_built_when_the_rows_are_there_and_are_as_before() -> Result<()> {
    let pair = pair("put_off", LARGE, LARGE_SERVICE, TABLES).await?;
    let before = indexes(&pair).await?;
    ensure!(before.len() == 7, "{before:#?}");
    killed_half_way(&pair).await?;
    // What a foreign key or a view needs stays, and what has a comment.
    let dropped = [
        r#"(svc.\"By n\")"#,
        "(svc.email_once)",
        "(svc.with_options)",
    ];
    let told = put_off(&pair).await?;
    ensure!(
        told.len() == 3 && told[0].contains("By n"),
        "{told:?}, not {dropped:?}"
    );
    assert_eq!(indexes(&pair).await?.len(), before.len() - 3);

    // Whoever gives up gets them back.
    let cancelled = pair.mover.cancel(None).await?;
    ensure!(cancelled.left.is_empty(), "{cancelled:?}");
    assert_eq!(indexes(&pair).await?, before);

    // So does whoever goes on; killed between an index and its constraint, too.
    killed_half_way(&pair).await?;
    let admin = pair.superuser(Side::Service).await?;
    let built = "create unique index email_once on svc.large (email) include (n)";
    admin.batch_execute(built).await?;
    let claims = pair.prepare().await?;
    let progress = watch::Sender::new(CopyProgress::default());
    pair.mover.copy(&claims, &progress).await?;
    assert_eq!(indexes(&pair).await?, before);
    assert!(put_off(&pair).await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn what_our_role_could_not_make_again_is_kept_up() -> Result<()> {
    let pair = pair("put_off_refused", LARGE, LARGE_SERVICE, TABLES).await?;
    let before = indexes(&pair).await?;
    let admin = pair.superuser(Side::Service).await?;
    admin
        .batch_execute(
            "create function refuse() returns event_trigger language plpgsql as $$ begin \
                 if exists (select from pg_event_trigger_ddl_commands() \
                     where object_identity like '%with_options') then raise 'by the owner only'; \
                 end if; end $$; \
             create event trigger refuse on ddl_command_end when tag in ('CREATE INDEX') \
                 execute function refuse()",
        )
        .await?;
    killed_half_way(&pair).await?;
    let told = put_off(&pair).await?;
    assert_eq!(told, [r#"("svc.""By n""")"#, "(svc.email_once)"]);
    let claims = pair.prepare().await?;
    pair.mover.copy(&claims, &watch::Sender::default()).await?;
    assert_eq!(indexes(&pair).await?, before);
    Ok(())
}

/// What the service does meanwhile with the names and columns of what is put off.
#[tokio::test]
async fn what_the_service_changes_meanwhile_is_not_overlooked() -> Result<()> {
    let pair = pair("put_off_changed", LARGE, LARGE_SERVICE, TABLES).await?;
    let before = indexes(&pair).await?;
    killed_half_way(&pair).await?;
    // One of its name that is not whole, as `concurrently` leaves it, is made anew.
    let admin = pair.superuser(Side::Service).await?;
    admin
        .batch_execute(
            "set client_min_messages = error; \
             create index with_options on svc.large using hash (t) with (fillfactor = 60); \
             update pg_index set indisvalid = false where indexrelid = 'svc.with_options'::regclass",
        )
        .await?;
    let cancelled = pair.mover.cancel(None).await?;
    ensure!(cancelled.lost_indexes.is_empty(), "{cancelled:?}");
    assert_eq!(indexes(&pair).await?, before);

    // A constraint that was added by hand, since it was missed, is as good.
    killed_half_way(&pair).await?;
    admin
        .batch_execute(
            "alter table svc.large add constraint email_once \
             unique (email) include (n) deferrable initially deferred",
        )
        .await?;
    let cancelled = pair.mover.cancel(None).await?;
    ensure!(cancelled.lost_indexes.is_empty(), "{cancelled:?}");
    assert_eq!(indexes(&pair).await?, before);

    // Another one of its name stops the copy; a migration of the service's counts.
    killed_half_way(&pair).await?;
    admin
        .batch_execute("create index with_options on svc.large (t)")
        .await?;
    killed_half_way(&pair).await?;
    admin.batch_execute("create table svc.\"By n\" ()").await?;
    let claims = pair.prepare().await?;
    let copied = pair.mover.copy(&claims, &watch::Sender::default()).await;
    let told = copied.err().map(|error| error.to_string());
    let told = told.unwrap_or_default();
    ensure!(
        told.contains("By n") && told.contains("has its name"),
        "{told}"
    );

    // What cannot be made again is told when it ends, and the rest is there.
    let cancelled = pair.mover.cancel(None).await?;
    let [lost] = cancelled.lost_indexes.as_slice() else {
        anyhow::bail!("{cancelled:?}")
    };
    ensure!(lost.starts_with("CREATE INDEX \"By n\""), "{lost}");
    let after = indexes(&pair).await?;
    ensure!(after.len() == before.len() - 1, "{after:#?}");
    ensure!(
        after
            .iter()
            .any(|one| one.contains("with_options ON svc.large USING btree (t)")),
        "{after:#?}"
    );
    Ok(())
}

#[tokio::test]
async fn rows_that_an_index_of_the_service_refuses_are_told() -> Result<()> {
    let pair = pair("put_off_twice", LARGE, LARGE_SERVICE, TABLES).await?;
    let before = indexes(&pair).await?;
    pair.monolith
        .batch_execute("update large set email = 'e1' where id = 2")
        .await?;
    let claims = pair.prepare().await?;
    let copied = pair.mover.copy(&claims, &watch::Sender::default()).await;
    let told = copied.err().map(|error| error.to_string());
    let told = told.unwrap_or_default();
    ensure!(
        told.contains("svc.email_once") && told.contains("(email)=(e1)"),
        "{told}"
    );
    // An index cannot be given back over rows that it refuses, but over none.
    let cancelled = pair.mover.cancel(None).await?;
    ensure!(cancelled.left.is_empty(), "{cancelled:?}");
    assert_eq!(indexes(&pair).await?, before);
    Ok(())
}
