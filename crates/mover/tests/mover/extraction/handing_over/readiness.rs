//! What prevents a hand-over.

use super::prepared;
use crate::extraction::databases::{APP, Pair, clusters, statements};
use anyhow::{Context, Result, ensure};
use protocol::{
    Side,
    finding::{Finding, FindingId},
};

/// A table that was made again is in no publication and has no fence.
#[tokio::test(flavor = "multi_thread")]
async fn tables_that_were_made_again_stand_in_the_way() -> Result<()> {
    let (pair, _claims) = prepared("made_again").await?;
    let blockers = async |from| -> Result<String> {
        let found = pair.mover.blockers(from).await?;
        let lines: Vec<_> = found.iter().map(ToString::to_string).collect();
        Ok(lines.join("\n"))
    };
    ensure!(blockers(Side::Monolith).await?.is_empty());
    for side in Side::BOTH {
        let (schema, client) = match side {
            Side::Monolith => ("public", &pair.monolith),
            Side::Service => ("svc", &pair.service),
        };
        let again = format!(
            "create table {schema}.n (like {schema}.b including all); drop table {schema}.b; \
             alter table {schema}.n rename to b"
        );
        client.batch_execute(&again).await?;
    }
    let found = blockers(Side::Monolith).await?;
    ensure!(
        found.contains("public.b: its changes are not published"),
        "{found}"
    );
    ensure!(found.contains("svc.b: it has no fence"), "{found}");
    ensure!(found.lines().count() == 2, "{found}");
    Ok(())
}

/// A server that does not show how old a transaction is: one that is there is not
/// taken for none.
#[tokio::test(flavor = "multi_thread")]
async fn a_writer_whose_age_is_hidden_stands_in_the_way() -> Result<()> {
    let (pair, _claims) = prepared("hidden_age").await?;
    let admin = pair.superuser(Side::Monolith).await?;
    let hide = "alter role app in database hidden_age set track_activities = off";
    admin.batch_execute(hide).await?;
    let found = hidden(&pair).await?.context("nothing is hidden")?;
    ensure!(
        found
            .problem
            .contains("off for role app in database hidden_age"),
        "{found}"
    );
    let monolith = &clusters().await?.monolith;
    let writer = monolith.client(APP, &pair.database).await?;
    writer
        .batch_execute("begin; insert into a (v) values ('w')")
        .await?;
    let blockers = pair.mover.blockers(Side::Monolith).await?;
    let told = blockers.iter().any(|one| {
        one.object == "public.a" && one.problem.contains("at least, as its age is not shown")
    });
    ensure!(told && blockers.len() == 1, "{blockers:?}");
    writer.batch_execute("commit").await?;
    let blockers = pair.mover.blockers(Side::Monolith).await?;
    ensure!(blockers.is_empty(), "{blockers:?}");
    admin.batch_execute(&statements(&found)?).await?;
    ensure!(hidden(&pair).await?.is_none());
    Ok(())
}

async fn hidden(pair: &Pair) -> Result<Option<Finding>> {
    let mut found = pair.mover.check().await?.into_iter();
    Ok(found.find(|one| one.id == FindingId::ActivityHidden))
}
