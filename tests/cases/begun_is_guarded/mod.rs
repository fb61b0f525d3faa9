//! While an extraction has begun, a plan with other tables of it, or without it,
//! is refused by `check`, by a reload and by a successor, and the one that runs
//! goes on.

use crate::stage::Stage;
use anyhow::{Result, ensure};
use std::fs;

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_does_not_go_with_what_has_begun_is_refused() -> Result<()> {
    let stage = Stage::following().await?;
    let plan = fs::read_to_string(stage.banyan.plan())?;
    let table = "        public.contracts_contractevent:
          to: events
          columns: { contract_id: contract }
";
    ensure!(plan.contains(table));
    let another = "        public.documents_document: { to: documents }
        public.contracts_tag:
";
    let with_table = plan.replace("        public.contracts_tag:\n", another);
    for (changed, words, way_out) in [
        (
            plan.replace(table, ""),
            "leaves out public.contracts_contractevent",
            "banyan cancel contracts",
        ),
        (
            with_table,
            "adds public.documents_document",
            "banyan add-table contracts",
        ),
        (
            plan.replace(
                "\n  contracts:\n    service: contracts\n    routes",
                "\n  others:\n    service: contracts\n    routes",
            ),
            "leaves it out",
            "banyan cancel contracts",
        ),
    ] {
        ensure!(changed != plan);
        fs::write(stage.banyan.plan(), changed)?;
        for (verb, arguments) in [
            ("check", &[][..]),
            ("reload", &[]),
            ("serve", &["--take-over"]),
        ] {
            let refused = stage.banyan.run(verb, arguments).await?;
            let said = refused.flat();
            ensure!(
                refused.code == 2 && said.contains(words) && said.contains(way_out),
                "{verb} ended with {}: {said}",
                refused.code
            );
        }
        stage.settled("following", "monolith").await?;
    }
    // What may change, changes.
    fs::write(
        stage.banyan.plan(),
        plan.replace("writers: [", "writers: [nightly, "),
    )?;
    stage.banyan.run("reload", &[]).await?.successful()?;
    Ok(())
}
