//! A change stream that has lost changes: it is noticed before a row goes wrong,
//! it stays noticed, and copying again is the way out, before a switch and after.

use crate::follow::scene::{LIMIT, Scene, failed, idle_slot, state, status};
use crate::plans::conductor;
use anyhow::{Context, Result, bail, ensure};
use mover::{Claims, MoverError, copy::Recopied, follow::FollowPhase};
use protocol::{
    Epoch, Side,
    stream::{Direction, MessageKind, StreamState},
};
use testbed::{cluster::Options, deadline};
use tokio_postgres::Client;

const FORWARD: &str = "banyan_big_contracts_forward";
const REVERSE: &str = "banyan_big_contracts_reverse";

const SEED: &str = "insert into contracts (title, slot, u, word) \
        select 'seed ' || n, n, gen_random_uuid(), 'word' from generate_series(1, 50) n; \
    insert into lines select id, 1, title from contracts";

/// Of each kind, two rows that exchange unique values, and a value that the
/// column's collation calls equal.
const CHANGES: &str = "insert into contracts (title, amount, terms, raw) \
        values ('new', 1.50, '{\"a\": [1, null]}', '\\x00ff'); \
    delete from lines where contract_id = 2; delete from contracts where id = 2; \
    update contracts set title = 'changed', tags = array['x', null] where id = 3; \
    update contracts set word = 'WORD' where id = 6; \
    update contracts set slot = -1 where id = 4; update contracts set slot = 4 where id = 5; \
    update contracts set slot = 5 where id = 4";

impl Scene {
    /// As a conductor that begins.
    async fn claimed(&self) -> Result<Claims> {
        let claim = async |side| {
            let claimed = self.mover.claim_row(side, conductor()).await?;
            anyhow::Ok(claimed.context("no row")?.1)
        };
        Ok(Claims {
            monolith: claim(Side::Monolith).await?,
            service: claim(Side::Service).await?,
        })
    }

    /// What the message says to run.
    async fn recopied(&self, owner: Side, error: &str) -> Result<Recopied> {
        ensure!(error.contains("`banyan recopy big-contracts`"), "{error}");
        Ok(self.mover.recopy(&self.claims, owner).await?)
    }

    /// It follows, up to now, and both sides are the same.
    async fn follows(&self, direction: Direction) -> Result<()> {
        let follower = self.follow(direction);
        status(&follower, "streaming", |now| {
            now.phase == FollowPhase::Streaming
        })
        .await?;
        self.caught_up(&follower, direction.source()).await?;
        ensure!(follower.status().borrow().phase == FollowPhase::Streaming);
        self.same().await?;
        follower.stop().await;
        let source = self.user(direction.source()).await?;
        idle_slot(&source, &self.mover.layout().slot(direction)).await
    }
}

/// Faults while nothing is followed, as the monolith's people may make them.
#[tokio::test(flavor = "multi_thread")]
async fn a_gap_is_never_skipped() -> Result<()> {
    let options = Options::fast().setting("max_slot_wal_keep_size", "1MB");
    let scene = Scene::with(SEED, &options).await?;
    let user = scene.user(Side::Monolith).await?;
    scene.follows(Direction::Forward).await?;
    let drop_slot = format!("select pg_drop_replication_slot('{FORWARD}')");
    let make_slot = format!("select pg_create_logical_replication_slot('{FORWARD}', 'pgoutput')");
    let advance = format!("select pg_replication_slot_advance('{FORWARD}', pg_current_wal_lsn())");
    // After the look at it, which ends with what is published, and before the stream.
    let mut holder = scene.user(Side::Monolith).await?;
    let held = holder.transaction().await?;
    held.batch_execute("lock table pg_publication in access exclusive mode")
        .await?;
    let forward = scene.follow(Direction::Forward);
    deadline::until("the follower to look", LIMIT, async || {
        let waits = "select exists (select from pg_locks where not granted \
            and relation = 'pg_publication'::regclass)";
        let row = user.query_one(waits, &[]).await?;
        Ok(row.get::<_, bool>(0).then_some(()))
    })
    .await?;
    user.batch_execute("insert into contracts (title) values ('between')")
        .await?;
    user.batch_execute(&advance).await?;
    held.commit().await?;
    let error = failed(&forward).await?;
    ensure!(error.contains("ahead of"), "{error}");
    forward.stop().await;
    scene.recopied(Side::Monolith, &error).await?;
    scene.follows(Direction::Forward).await?;
    let fill = "select pg_logical_emit_message(false, 'x', repeat('x', 1000000)) \
        from generate_series(1, 40); select pg_switch_wal(); checkpoint";
    for (faults, words) in [
        (vec![drop_slot.as_str()], "there is no slot"),
        (vec![&drop_slot, &make_slot], "ahead of"),
        (vec![&advance], "ahead of"),
        (vec![fill], "was removed by the server"),
        (
            vec!["drop publication banyan_big_contracts"],
            "was edited or made again",
        ),
        (
            vec![
                "alter publication banyan_big_contracts set (publish = 'insert')",
                "update contracts set note = 'unseen'",
                "alter publication banyan_big_contracts \
                    set (publish = 'insert, update, delete, truncate')",
            ],
            "was edited or made again",
        ),
    ] {
        user.batch_execute(CHANGES).await?;
        for fault in &faults {
            user.batch_execute(fault).await?;
        }
        // Whatever is written then does not hide it.
        for _ in 0..2 {
            let forward = scene.follow(Direction::Forward);
            let error = failed(&forward).await?;
            ensure!(error.contains(words), "{faults:?}: {error}");
            forward.stop().await;
            user.batch_execute("insert into contracts (title) values ('later')")
                .await?;
        }
        let error = failed(&scene.follow(Direction::Forward)).await?;
        let done = scene.recopied(Side::Monolith, &error).await?;
        ensure!(
            done.rows > Some(90) && done.written >= 1 && !done.begun_anew,
            "{done:?}"
        );
        // Only what differs is written.
        ensure!(done.written < 80, "{done:?}");
        user.batch_execute("insert into contracts (title) values ('after')")
            .await?;
        scene.follows(Direction::Forward).await?;
        user.batch_execute(
            "delete from contracts where title in ('new', 'later', 'after'); \
             insert into contracts (id, title) overriding system value values (2, 'again')",
        )
        .await?;
    }
    // Where nothing is missing, nothing is written.
    scene.follows(Direction::Forward).await?;
    let nothing = scene.mover.recopy(&scene.claims, Side::Monolith).await?;
    ensure!(nothing.written == 0 && nothing.deleted == 0, "{nothing:?}");
    // And a stream that was well is so afterwards, also where it comes to nothing.
    let service = scene.user(Side::Service).await?;
    service
        .batch_execute("alter table svc.agreements add constraint never check (id <> 1) not valid")
        .await?;
    user.batch_execute("update contracts set note = 'late' where id = 1")
        .await?;
    let refused = scene.mover.recopy(&scene.claims, Side::Monolith).await;
    ensure!(refused.is_err(), "{refused:?}");
    service
        .batch_execute("alter table svc.agreements drop constraint never")
        .await?;
    scene.follows(Direction::Forward).await
}

/// The stream runs, and a table is left out of the publication for a while.
#[tokio::test(flavor = "multi_thread")]
async fn an_edited_publication_stops_the_stream() -> Result<()> {
    let scene = Scene::new(SEED).await?;
    let user = scene.user(Side::Monolith).await?;
    let forward = scene.follow(Direction::Forward);
    scene.caught_up(&forward, Side::Monolith).await?;
    user.batch_execute(
        "alter publication banyan_big_contracts drop table lines; \
         insert into lines values (1, 2, 'unseen'); \
         alter publication banyan_big_contracts add table lines; \
         insert into lines values (1, 3, 'seen')",
    )
    .await?;
    // It is looked at while changes come, and at each mark.
    scene
        .decide(Side::Monolith, "nobody", MessageKind::Mark, 1)
        .await?;
    let error = failed(&forward).await?;
    ensure!(error.contains("was edited or made again"), "{error}");
    ensure!(forward.status().borrow().state == Some(StreamState::Applying(Epoch(0))));
    forward.stop().await;
    scene
        .decide(Side::Monolith, "monolith", MessageKind::Open, 1)
        .await?;
    scene.recopied(Side::Monolith, &error).await?;
    scene.follows(Direction::Forward).await
}

/// The server is another one than it was: its log ends earlier, or is another.
#[tokio::test(flavor = "multi_thread")]
async fn a_restored_server_is_not_followed() -> Result<()> {
    let mut scene = Scene::new(SEED).await?;
    scene.follows(Direction::Forward).await?;
    let backups = testbed::directory::PrivateDirectory::new()?;
    for (recovers, grows_unseen, words) in [
        (false, false, "restored from an older backup"),
        (false, true, "restored from an older backup"),
        (true, false, "timeline 2"),
    ] {
        let backup = backups.path().join(format!("{recovers}-{grows_unseen}"));
        scene.monolith.back_up(&backup).await?;
        scene.claims = scene.claimed().await?;
        let user = scene.user(Side::Monolith).await?;
        user.batch_execute("insert into contracts (title) values ('gone with the restore')")
            .await?;
        scene.follows(Direction::Forward).await?;
        scene.monolith.restore(&backup, recovers).await?;
        let user = scene.user(Side::Monolith).await?;
        if grows_unseen {
            let more = "insert into contracts (title) select 'meanwhile' \
                from generate_series(1, 3000)";
            user.batch_execute(more).await?;
        }
        let forward = scene.follow(Direction::Forward);
        let error = failed(&forward).await?;
        ensure!(error.contains(words), "{error}");
        // The log grows past where it was, and it is noticed all the same.
        user.batch_execute(
            "insert into contracts (title) select 'other' from generate_series(1, 3000)",
        )
        .await?;
        let attempts = forward.status().borrow().attempts;
        forward.resume();
        status(&forward, "tried again", |now| now.attempts > attempts).await?;
        let error = failed(&forward).await?;
        forward.stop().await;
        // Its ownership row is as old as the backup, and nobody else has come.
        let older = scene.mover.recopy(&scene.claims, Side::Monolith).await;
        ensure!(
            matches!(older, Err(MoverError::WentBack { .. })),
            "{older:?}"
        );
        scene.claims = scene.claimed().await?;
        scene.recopied(Side::Monolith, &error).await?;
        scene.follows(Direction::Forward).await?;
    }
    Ok(())
}

/// After the switch the way back is opened again, and the rows that stay in the
/// monolith are minded.
#[tokio::test(flavor = "multi_thread")]
async fn the_way_back_is_made_again() -> Result<()> {
    let scene = Scene::new(SEED).await?;
    let (monolith, service): (Client, Client) = (
        scene.user(Side::Monolith).await?,
        scene.user(Side::Service).await?,
    );
    // Before it: the service's slot is lost, from which nothing comes yet.
    scene.follows(Direction::Forward).await?;
    let drop_slot = format!("select pg_drop_replication_slot('{REVERSE}')");
    service.batch_execute(&drop_slot).await?;
    let error = failed(&scene.follow(Direction::Reverse)).await?;
    ensure!(error.contains("no row is missing"), "{error}");
    let done = scene.recopied(Side::Monolith, &error).await?;
    let only_begun = Recopied {
        begun_anew: true,
        ..Recopied::default()
    };
    ensure!(done == only_begun, "{done:?}");

    scene
        .decide(Side::Monolith, "service", MessageKind::Mark, 1)
        .await?;
    scene
        .decide(Side::Service, "service", MessageKind::Open, 1)
        .await?;
    let reverse = scene.follow(Direction::Reverse);
    state(&reverse, StreamState::Applying(Epoch(1))).await?;
    reverse.stop().await;
    idle_slot(&service, REVERSE).await?;
    monolith
        .batch_execute(
            "insert into documents (contract_id, name) values (7, 'stays'), (8, 'stays')",
        )
        .await?;
    service.batch_execute(&drop_slot).await?;
    service
        .batch_execute(
            "update svc.agreements set name = 'of the service' where id in (3, 7); \
             delete from svc.lines where agreement = 8; delete from svc.agreements where id = 8; \
             insert into svc.agreements (id, name) overriding system value values (1000, 'new')",
        )
        .await?;
    let error = failed(&scene.follow(Direction::Reverse)).await?;
    ensure!(
        error.contains("what only the monolith has is deleted"),
        "{error}"
    );
    // A row that stays refers to one that the service has deleted.
    let refused = scene.recopied(Side::Service, &error).await;
    let refused = refused.err().map(|error| error.to_string());
    let Some(refused) = refused else {
        bail!("a row that stays was orphaned");
    };
    ensure!(refused.contains("public.documents"), "{refused}");
    // Nothing has changed, and it is still known.
    let error = failed(&scene.follow(Direction::Reverse)).await?;
    monolith
        .batch_execute("delete from documents where contract_id = 8")
        .await?;
    let done = scene.recopied(Side::Service, &error).await?;
    ensure!(done.rows.is_some() && done.deleted >= 3, "{done:?}");
    scene.follows(Direction::Reverse).await?;
    // What was written there is not taken for the monolith's.
    let forward = scene.follow(Direction::Forward);
    scene.caught_up(&forward, Side::Monolith).await?;
    ensure!(forward.status().borrow().rows == 0);
    Ok(())
}
