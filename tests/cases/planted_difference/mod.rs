//! A row changed, one removed and one added behind Banyan's back: verify finds
//! exactly these, with their keys, and the switch is refused.

use crate::stage::Stage;
use anyhow::{Result, ensure};
use testbed::scene::CONTRACTS_DATABASE;

#[tokio::test(flavor = "multi_thread")]
async fn planted_difference() -> Result<()> {
    let stage = Stage::following().await?;
    stage.ensure_equal().await?;

    // As whoever repairs rows by hand: in the name of the claim that the row has.
    let client = stage
        .scene
        .contracts_cluster
        .superuser(CONTRACTS_DATABASE)
        .await?;
    let pass = "BEGIN; SELECT set_config('banyan.claim', concat(conductor, '/', generation), true)
         FROM banyan.owner WHERE extraction = 'contracts' FOR SHARE";
    client.batch_execute(pass).await?;
    let changed: i64 = client
        .query_one(
            "UPDATE contract_service.contracts SET title = 'planted'
             WHERE id = (SELECT max(id) - 7 FROM contract_service.contracts) RETURNING id",
            &[],
        )
        .await?
        .get(0);
    let missing: String = client
        .query_one(
            "DELETE FROM contract_service.events
             WHERE id = (SELECT id FROM contract_service.events ORDER BY id LIMIT 1)
             RETURNING id::text",
            &[],
        )
        .await?
        .get(0);
    let extra: i64 = client
        .query_one(
            "INSERT INTO contract_service.tags (id, label) VALUES (987654, 'planted') RETURNING id",
            &[],
        )
        .await?
        .get(0);

    client.batch_execute("COMMIT").await?;

    let found = stage.banyan.verify().await?;
    println!("{:#?}", found.differences);
    ensure!(
        found.differences.len() == 3,
        "{} differences",
        found.differences.len()
    );
    let expected = [
        ("contract", "changed", changed.to_string()),
        ("event", "missing", missing),
        ("tag", "extra", extra.to_string()),
    ];
    for (table, kind, key) in expected {
        let is_it = found.differences.iter().any(|difference| {
            let shown = difference.key.to_string();
            difference.kind == kind
                && difference.table.to_string().contains(table)
                && shown.contains(&key)
        });
        ensure!(
            is_it,
            "{kind} {key} in {table} was not found: {:?}",
            found.differences
        );
    }

    let refused = stage.banyan.run("switch", &["contracts", "--yes"]).await?;
    println!(
        "switch ended with {}: {}",
        refused.code,
        refused.stderr.trim()
    );
    ensure!(
        refused.code != 0,
        "a switch over differing data went through"
    );
    stage.settled("following", "monolith").await?;

    client
        .batch_execute(&format!(
            "{pass}; DELETE FROM contract_service.tags WHERE id = {extra}; COMMIT"
        ))
        .await?;
    let found = stage.banyan.verify().await?;
    ensure!(found.differences.len() == 2, "{:?}", found.differences);
    Ok(())
}
