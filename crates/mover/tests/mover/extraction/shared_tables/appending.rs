//! Both sides add rows at every moment.

use super::{LONG, MONOLITH, SERVICE, Stage, TABLES};
use crate::extraction::databases::pair;
use anyhow::{Result, ensure};
use mover::{
    follow::Follower,
    verify::{AppliedStreams, VerifyProgress},
};
use protocol::{Side, owner::Outcome, stream::Direction};
use tokio::sync::watch;

const FIRST_OF_SERVICE: i64 = 4_500_000_000_000_000;

const AT_MONOLITH: &str = "insert into audit (c, what) values (2, 'm'); \
    insert into trail (what) values ('m')";
const AT_SERVICE: &str = "insert into svc.log (c, what) values (2, 's'); \
    insert into svc.trail (what) values ('s')";

impl Stage {
    /// Both sides add rows, and each finds the other's.
    async fn both_append(&self) -> Result<()> {
        let before = self.appended().await?.len();
        self.write(Side::Monolith, AT_MONOLITH).await?;
        self.write(Side::Service, AT_SERVICE).await?;
        let after = self.appended().await?.len();
        ensure!(after == before + 2, "{before} rows, then {after}");
        Ok(())
    }
}

/// Before the start, while it is copied, between copy and stream.
#[tokio::test(flavor = "multi_thread")]
async fn the_service_appends_from_the_end_of_the_copy_on() -> Result<()> {
    let pair = pair("append_begins", MONOLITH, SERVICE, TABLES).await?;
    let claims = pair.prepare().await?;
    // Its rows would be taken for copied ones, or emptied by a copy made again.
    let refused = pair.service.batch_execute(AT_SERVICE).await;
    ensure!(refused.is_err(), "rows before the copy");
    pair.monolith.batch_execute(AT_MONOLITH).await?;
    pair.mover.copy(&claims, &watch::Sender::default()).await?;
    pair.service.batch_execute(AT_SERVICE).await?;
    pair.monolith.batch_execute(AT_MONOLITH).await?;
    let mut stage = Stage {
        pair,
        claims,
        followers: Vec::new(),
    };
    stage.follow();
    // The copied rows of the reverse stream are not the service's.
    let rows = stage.appended().await?;
    ensure!(rows.len() == 103, "{} rows", rows.len());
    let last = format!("({FIRST_OF_SERVICE},2,s)");
    ensure!(rows.last() == Some(&last), "{:?}", rows.last());
    stage.both_append().await
}

#[tokio::test(flavor = "multi_thread")]
async fn both_append_in_every_state_of_the_streams() -> Result<()> {
    use Outcome::{Aborted, Committed};
    use Side::{Monolith, Service};
    let mut stage = Stage::set("append_states").await?;
    stage.both_append().await?;
    let mut epoch = 0;
    for (from, outcome) in [
        (Monolith, Aborted),
        (Monolith, Committed),
        (Service, Aborted),
        (Service, Committed),
        (Monolith, Committed),
    ] {
        epoch += 1;
        let within = async || stage.both_append().await;
        stage.hand_over(from, epoch, outcome, within).await?;
        stage.both_append().await?;
        // In state `Stopped` the position stands for the appended rows as well.
        stage.follow();
        stage.both_append().await?;
        let owner = match outcome {
            Aborted => from,
            Committed => from.other(),
        };
        stage.pair.mover.unfence(&stage.claims, owner).await?;
        let report = stage.verify(owner).await?;
        ensure!(report.differences_total == 0, "{:?}", report.differences);
        let rows = stage.appended().await?.len() as u64;
        let audit = report
            .tables
            .iter()
            .find(|table| table.table.table == "audit");
        ensure!(audit.is_some_and(|table| table.rows == rows), "{report:?}");
    }
    // Each side has kept to its own keys.
    let keys = format!("select count(*) from audit where id > 1000 and id < {FIRST_OF_SERVICE}");
    ensure!(stage.pair.lines(Monolith, &keys).await? == ["(0)"]);
    Ok(())
}

/// The owner changes a row that the other side has only just added: whoever
/// has a row to change has it from its own stream or from the other side.
#[tokio::test(flavor = "multi_thread")]
async fn the_owner_alone_changes_rows_of_both() -> Result<()> {
    let stage = Stage::set("append_changes").await?;
    stage.both_append().await?;
    let of_service = format!("id >= {FIRST_OF_SERVICE}");
    let change = |table: &str| {
        format!(
            "update {table} set what = what || '!' where {of_service} or id = 1; \
             insert into {table} (c, what) values (3, 'new'); \
             update {table} set what = 'changed' where what = 'new'; delete from {table} where id = 2"
        )
    };
    stage.write(Side::Monolith, &change("audit")).await?;
    stage.appended().await?;
    for statement in ["update svc.log set what = 'no'", "delete from svc.log"] {
        let error = stage.refused(Side::Service, statement).await?;
        ensure!(error.contains("does not take writes"), "{error}");
    }
    stage.switch(1).await?;
    stage
        .write(
            Side::Service,
            &change("svc.log").replace("id = 2", "id = 4"),
        )
        .await?;
    stage.appended().await?;
    for statement in ["update audit set what = 'no'", "delete from audit"] {
        let error = stage.refused(Side::Monolith, statement).await?;
        ensure!(error.contains("does not take writes"), "{error}");
    }
    stage.rollback(2).await?;
    stage
        .write(Side::Monolith, &change("audit").replace("id = 2", "id = 5"))
        .await?;
    let rows = stage.appended().await?;
    ensure!(rows[0] == "(1,1,seed!!!)", "{}", rows[0]);
    // A truncation would take rows that are under way.
    for (side, statement) in [
        (Side::Monolith, "truncate audit"),
        (Side::Service, "truncate svc.trail"),
    ] {
        let error = stage.refused(side, statement).await?;
        ensure!(error.contains("cannot be truncated"), "{error}");
    }
    Ok(())
}

/// A writer of the log alone is in nobody's way, and no hand-over waits for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_hand_over_does_not_wait_for_who_appends() -> Result<()> {
    let stage = Stage::set("append_unlocked").await?;
    let begin = "begin; insert into audit (c, what) values (1, 'long')";
    stage.write(Side::Monolith, begin).await?;
    stage.switch(1).await?;
    stage.write(Side::Monolith, "commit").await?;
    let rows = stage.appended().await?;
    ensure!(rows.iter().any(|row| row.contains("long")));
    // One that changes is waited for: it holds the ownership row.
    stage.rollback(2).await?;
    stage
        .write(
            Side::Monolith,
            "begin; update audit set what = 'long' where id = 1",
        )
        .await?;
    let mut lock = stage.pair.mover.lock_weakly(Side::Monolith).await?;
    let id = Stage::id(Side::Monolith, 3);
    let fence = stage.pair.mover.fence(&mut lock, &stage.claims, &id, LONG);
    let watcher = stage.pair.superuser(Side::Monolith).await?;
    let commit = async {
        let waits = "select count(*) from pg_locks where not granted";
        testbed::deadline::until("the fence to wait", LONG, async || {
            let waiting: i64 = watcher.query_one(waits, &[]).await?.get(0);
            Ok((waiting > 0).then_some(()))
        })
        .await?;
        stage.write(Side::Monolith, "commit").await
    };
    let (fenced, committed) = tokio::join!(fence, commit);
    committed?;
    fenced?;
    let decided = stage
        .pair
        .mover
        .decide(Some(lock), &stage.claims, &id, Outcome::Aborted);
    decided.await?;
    let rows = stage.appended().await?;
    ensure!(rows[0].contains("long"), "{}", rows[0]);
    Ok(())
}

/// Rows that are under way from the side that does not own are no differences,
/// and a row that is missing is one.
#[tokio::test(flavor = "multi_thread")]
async fn verify_waits_for_both_streams() -> Result<()> {
    let mut stage = Stage::set("append_verified").await?;
    stage.both_append().await?;
    let forward = stage.followers.swap_remove(0);
    stage.followers.clear();
    stage.write(Side::Service, AT_SERVICE).await?;
    let (reached, of_other) = watch::channel(protocol::Lsn::default());
    let streams = AppliedStreams {
        of_owner: forward.applied(),
        of_other: Some(of_other),
    };
    let progress = watch::Sender::default();
    let verifying = stage.pair.mover.verify(Side::Monolith, streams, &progress);
    let following = async {
        // Not before the comparison asks for it.
        compared(&progress).await;
        let reverse = Follower::start(&stage.pair.mover, Direction::Reverse, &stage.claims);
        let mut applied = reverse.applied();
        while applied.changed().await.is_ok() {
            if reached.send(*applied.borrow_and_update()).is_err() {
                break;
            }
        }
        reverse
    };
    let report = tokio::select! {
        report = verifying => report?,
        _ = following => anyhow::bail!("the stream ended"),
    };
    ensure!(report.differences_total == 0, "{:?}", report.differences);
    drop(forward);
    stage.follow();
    stage.caught_up().await?;
    let admin = stage.pair.superuser(Side::Service).await?;
    let past = "alter table svc.log disable trigger all; delete from svc.log where id = 7; \
                alter table svc.log enable always trigger banyan_fence";
    admin.batch_execute(past).await?;
    let report = stage.verify(Side::Monolith).await?;
    let found: Vec<String> = report.differences.iter().map(ToString::to_string).collect();
    ensure!(found == ["public.audit id=7: missing"], "{found:?}");
    Ok(())
}

/// Until the comparison has come to the log.
async fn compared(progress: &watch::Sender<VerifyProgress>) {
    let mut seen = progress.subscribe();
    let audit = |at: &VerifyProgress| at.table.as_ref().is_some_and(|one| one.table == "audit");
    drop(seen.wait_for(audit).await);
}
