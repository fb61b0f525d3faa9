//! How fast a backlog drains, beside a native subscription to the same tables
//! (which commits asynchronously; ours does not).

use crate::{
    figures::Figures,
    scene::{MONOLITH, Scene, reached},
};
use anyhow::Result;
use protocol::{Side, stream::Direction};
use std::time::{Duration, Instant};
use testbed::{cluster::Options, deadline};
use tokio_postgres::Client;

const LIMIT: Duration = Duration::from_mins(5);

/// A second copy at the service, by PostgreSQL itself; disabled.
async fn native(scene: &Scene) -> Result<Client> {
    let user = scene.user(Side::Monolith).await?;
    user.batch_execute("create publication native for table contracts, lines")
        .await?;
    scene.service.create_database("native", "banyan").await?;
    let native = scene.service.superuser("native").await?;
    native.batch_execute(MONOLITH).await?;
    let url = scene.monolith.url("banyan", "data")?;
    let create = format!("create subscription native connection '{url}' publication native");
    native.batch_execute(&create).await?;
    deadline::until("the native copy", LIMIT, async || {
        let synced = "select count(*) = 2 from pg_subscription_rel where srsubstate = 'r'";
        let ready: bool = native.query_one(synced, &[]).await?.get(0);
        Ok(ready.then_some(()))
    })
    .await?;
    native
        .batch_execute("alter subscription native disable")
        .await?;
    Ok(native)
}

async fn confirmed(user: &Client, position: &str) -> Result<()> {
    deadline::until("the native subscription", LIMIT, async || {
        let slot = "select confirmed_flush_lsn >= $1::text::pg_lsn from pg_replication_slots where slot_name = 'native'";
        let done: bool = user.query_one(slot, &[&position]).await?.get(0);
        Ok(done.then_some(()))
    })
    .await
}

/// Of each backlog, changes per second; and in the sum, of the first and the second
/// kind: what applications write, and what a batch writes.
pub(crate) async fn measure(figures: &mut Figures) -> Result<()> {
    let scene = Scene::with(
        "insert into contracts (title, amount) select 't', 0 from generate_series(1, 100000); alter table contracts set (fillfactor = 80)",
        &Options::durable().setting("max_wal_size", "8GB").setting("synchronous_commit", "off"),
    )
    .await?;
    let user = scene.user(Side::Monolith).await?;
    let native = native(&scene).await?;
    let backlogs = [
        (
            "drain_per_s, 120,000 transactions of 4 changes",
            480_000_u32,
            "do $$ begin for n in 1..120000 loop \
                update contracts set amount = amount + 1 where id = 1 + (n * 7919) % 100000; \
                update contracts set amount = amount + 1 where id = 1 + n % 10; \
                update contracts set amount = amount + 1 where id = 1; \
                insert into lines values (1 + n % 1000, n, 'l'); commit; end loop; end $$",
        ),
        (
            "drain_per_s, one insert of 500,000 narrow rows",
            500_000,
            "insert into lines select 2000 + n % 1000, 1000000 + n, 'l' from generate_series(1, 500000) n",
        ),
        (
            "drain_per_s, one insert of 200,000 wide rows",
            200_000,
            "insert into contracts (title, amount, note, at, u) select 't' || n, n, repeat('x', 100), now(), gen_random_uuid() from generate_series(1, 200000) n",
        ),
        (
            "drain_per_s, one update of 500,000 rows",
            500_000,
            "update lines set text = 'u' where position > 1000000",
        ),
        (
            "drain_per_s, one delete of 500,000 rows",
            500_000,
            "delete from lines where position > 1000000",
        ),
    ];
    for (what, changes, statement) in backlogs {
        let began = Instant::now();
        user.batch_execute(statement).await?;
        let made = began.elapsed();
        let position = scene
            .sampler(Side::Monolith)
            .sample()
            .await
            .unwrap_or_default();
        let began = Instant::now();
        let forward = scene.follow(Direction::Forward);
        reached(&forward, position, LIMIT).await?;
        let rate = f64::from(changes) / began.elapsed().as_secs_f64();
        figures.add(what, "banyan", rate);
        figures.tell(&format!("made in {:.2} s", made.as_secs_f64()));
        forward.stop().await;

        let began = Instant::now();
        native
            .batch_execute("alter subscription native enable")
            .await?;
        confirmed(&user, &position.to_string()).await?;
        let rate = f64::from(changes) / began.elapsed().as_secs_f64();
        figures.add(what, "native", rate);
        native
            .batch_execute("alter subscription native disable")
            .await?;
    }
    scene.same().await?;
    Ok(())
}
