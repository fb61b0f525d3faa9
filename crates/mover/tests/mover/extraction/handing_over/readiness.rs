//! What prevents a hand-over.

use super::prepared;
use anyhow::{Result, ensure};
use protocol::Side;

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
