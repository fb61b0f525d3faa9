//! Each side keeps its own from the first switch on.

use super::Stage;
use anyhow::{Result, ensure};
use mover::Mover;
use plan::TableWrites;
use protocol::{Side, owner::Outcome};

/// Whoever owns: a plan that has a table written otherwise than it began is refused.
async fn guarded(stage: &Stage) -> Result<()> {
    let began = stage.pair.mover.extraction();
    let found = stage.pair.mover.begun_otherwise().await?;
    ensure!(found.is_empty(), "{found:?}");
    for at in 0..began.data.tables.len() {
        for writes in [TableWrites::Owner, TableWrites::Append, TableWrites::Split] {
            let mut data = began.data.clone();
            let table = &mut data.tables[at];
            let before = std::mem::replace(&mut table.writes, writes);
            let name = table.monolith.to_string();
            let found = Mover::new(&began.name, &data).begun_otherwise().await?;
            if writes == before {
                continue;
            }
            ensure!(found.len() == 2, "{found:?}");
            let text = found[0].to_string();
            let says = format!("has `writes: {writes}` for {name}, which was `{before}`");
            ensure!(text.contains(&says), "{text}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn it_flows_until_the_first_switch_and_never_again() -> Result<()> {
    use Side::{Monolith, Service};
    let mut stage = Stage::set("split").await?;
    stage
        .write(Monolith, "insert into visits values ('before', 1)")
        .await?;
    stage
        .refused(Service, "insert into svc.visits values ('no', 1)")
        .await?;
    // Its writers meet no fence, not even within a hand-over; one that is aborted
    // leaves it flowing.
    let within = async || {
        let write = "update visits set seen = 2 where name = 'before'";
        stage.write(Monolith, write).await
    };
    stage
        .hand_over(Monolith, 1, Outcome::Aborted, within)
        .await?;
    stage
        .write(Monolith, "insert into visits values ('aborted', 1)")
        .await?;
    guarded(&stage).await?;
    let all = ["(aborted,1)", "(before,2)", "(seed,1)"];
    ensure!(stage.visits(Service).await? == all);
    ensure!(stage.verify(Monolith).await?.left_out.is_empty());

    // A writer that does not end is not waited for either.
    stage
        .write(
            Monolith,
            "begin; update visits set seen = 3 where name = 'before'",
        )
        .await?;
    stage.switch(2).await?;
    stage.write(Monolith, "commit").await?;
    for epoch in [3, 4, 5] {
        // The fence passes before it is dropped: no hand-over depends on that.
        let name = format!("at {epoch}");
        let monolith = format!("insert into visits values ('{name}', 1)");
        let service = format!("insert into svc.visits values ('{name}', 2)");
        stage.write(Monolith, &monolith).await?;
        stage.write(Service, &service).await?;
        if epoch == 4 {
            stage.follow();
        }
        let owner = if epoch == 4 { Monolith } else { Service };
        let report = stage.verify(owner).await?;
        ensure!(report.differences_total == 0, "{:?}", report.differences);
        let left_out: Vec<_> = report.left_out.iter().map(ToString::to_string).collect();
        ensure!(left_out == ["public.visits"], "{left_out:?}");
        ensure!(report.tables.len() == 3);
        match epoch {
            3 => stage.rollback(3).await?,
            4 => stage.switch(4).await?,
            _ => stage.pair.mover.unfence(&stage.claims, Service).await?,
        }
    }
    guarded(&stage).await?;
    let own = |count: u32| {
        move |line: &String| line.starts_with("(\"at ") && line.ends_with(&format!(",{count})"))
    };
    let (old, new) = (stage.visits(Monolith).await?, stage.visits(Service).await?);
    ensure!(
        old.iter().filter(|line| own(1)(line)).count() == 3,
        "{old:?}"
    );
    ensure!(
        new.iter().filter(|line| own(2)(line)).count() == 3,
        "{new:?}"
    );
    ensure!(old.contains(&"(before,3)".to_owned()) && new.contains(&"(before,2)".to_owned()));
    for side in Side::BOTH {
        let fences = "select count(*) from pg_trigger where tgname = 'banyan_fence' \
                      and tgrelid::regclass::text like '%visits'";
        let admin = stage.pair.superuser(side).await?;
        let count: i64 = admin.query_one(fences, &[]).await?.get(0);
        ensure!(count == 0, "{count} fences at the {side}");
    }
    Ok(())
}

/// A conductor that dies between the commit point and the opening: the service
/// has not owned anything yet, and what is split is decided with its row.
#[tokio::test(flavor = "multi_thread")]
async fn the_moment_is_that_of_the_services_row() -> Result<()> {
    let mut stage = Stage::set("split_moment").await?;
    let (mover, claims) = (stage.pair.mover.clone(), stage.claims);
    let id = Stage::id(Side::Monolith, 1);
    let mut lock = mover.lock_weakly(Side::Monolith).await?;
    mover.fence(&mut lock, &claims, &id, super::LONG).await?;
    mover
        .decide(Some(lock), &claims, &id, Outcome::Committed)
        .await?;
    stage
        .write(Side::Monolith, "insert into visits values ('between', 1)")
        .await?;
    stage.follow();
    ensure!(stage.visits(Side::Service).await? == ["(between,1)", "(seed,1)"]);
    stage
        .refused(Side::Service, "insert into svc.visits values ('early', 1)")
        .await?;
    mover.open(&claims, &id).await?;
    stage
        .write(Side::Monolith, "insert into visits values ('after', 1)")
        .await?;
    stage
        .write(Side::Service, "insert into svc.visits values ('after', 2)")
        .await?;
    let service = stage.visits(Side::Service).await?;
    ensure!(
        service == ["(after,2)", "(between,1)", "(seed,1)"],
        "{service:?}"
    );
    Ok(())
}
