//! A table that was forgotten joins an extraction under load, is handed over with the
//! others and comes back; the process that copies it is replaced, and killed.

use crate::stage::Stage;
use anyhow::{Result, ensure};
use std::{fs, time::Duration};
use testbed::{deadline, scene::CONTRACTS_DATABASE};

/// A join waits for each transaction that runs, of the clients and of the tests beside it.
const LIMIT: Duration = Duration::from_mins(2);

const TABLE: &str = "        public.contracts_contractevent:
          to: events
          columns: { contract_id: contract }
";

/// What it is to a plan that leaves it where it is.
const REFERENCE: &str = "        public.contracts_contractevent.contract_id: restrict
";

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_table_joins_under_load() -> Result<()> {
    let mut stage = Stage::set(|plan| {
        let first = "        public.documents_document.contract_id: restrict\n";
        plan.replace(TABLE, "")?
            .replace(first, &format!("{REFERENCE}{first}"))
    })
    .await?;
    // As `check` has it, of a table that stays.
    let cluster = &stage.scene.contracts_cluster;
    cluster
        .superuser(CONTRACTS_DATABASE)
        .await?
        .batch_execute("alter table contract_service.events drop constraint events_contract_fkey")
        .await?;
    stage.serve(None).await?;
    stage.banyan.start().await?;
    stage.settled("following", "monolith").await?;
    let traffic = stage.traffic().await?;
    let plan = fs::read_to_string(stage.banyan.plan())?;
    let with = plan.replace(REFERENCE, "").replace(
        "        public.contracts_contract_tags:\n",
        &format!("{TABLE}        public.contracts_contract_tags:\n"),
    );
    fs::write(stage.banyan.plan(), with)?;

    let refused = stage.banyan.run("serve", &["--take-over"]).await?;
    ensure!(
        refused.code == 2 && refused.flat().contains("banyan add-table contracts"),
        "{refused:?}"
    );
    let added = stage.banyan.run("add-table", &["contracts"]).await?;
    let added = added.successful()?.stdout;
    ensure!(
        added.contains("public.contracts_contractevent may join"),
        "{added}"
    );
    stage.take_over().await?;
    // Killed wherever it is.
    if let Some(serve) = &mut stage.serve {
        serve.process().kill().await;
    }
    stage.serve(None).await?;
    // Refused as long as the table is being added.
    deadline::until("the table to be copied", LIMIT, async || {
        let verified = stage.banyan.run("verify", &["contracts"]).await?;
        Ok((verified.code == 0).then_some(()))
    })
    .await?;
    stage.settled("following", "monolith").await?;
    traffic.more_writes(20).await?;
    stage.ensure_equal().await?;
    stage.switch().await?;
    traffic.more_writes(20).await?;
    stage.ensure_equal().await?;
    stage.rollback().await?;
    traffic.more_writes(20).await?;
    stage.ensure_equal().await?;
    traffic.finish().await?;
    Ok(())
}
