//! The plan takes for reads what writes: once reads are shifted the service's fence
//! refuses it. The reads go back to the owner, a further shift is refused with the
//! route's name, and `as: writes` and a reload are the way out.

use crate::stage::Stage;
use anyhow::{Result, ensure};
use std::{fs, time::Duration};
use testbed::{
    deadline,
    http_client::{self, Call},
};

const LIMIT: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn reads_that_write_go_back_to_the_owner_and_are_named() -> Result<()> {
    let right = "- { path: /api/contracts/* }";
    let wrong = "- { path: /api/contracts/*, as: reads }";
    let stage = Stage::following_until(None, |plan| {
        plan.replace(right, wrong)?
            .replace("    switch:", "    shadow: { share: 100% }\n    switch:")
    })
    .await?;
    let anonymous = Call::get("/api/contracts");
    let answer = http_client::call(stage.gateway()?, &anonymous, LIMIT).await?;
    ensure!(answer.status == 200, "answered with {}", answer.status);
    let shifted = shift(&stage).await?.successful()?.stdout;
    ensure!(
        shifted.contains("None of 1 reads") && shifted.contains("the header `x-user-id`"),
        "{shifted}"
    );
    // The owner answers where the service does not: nobody notices.
    let mut number = 0;
    deadline::until("the reads to go back", LIMIT, async || {
        for _ in 0..4 {
            number += 1;
            let status = stage.create_contract(&format!("read-{number}")).await?;
            ensure!(status == 201, "answered with {status}");
        }
        Ok((stage.status_as_json().await?["reads_percent"] == 0.0).then_some(()))
    })
    .await?;
    let shown = stage.status_as_json().await?;
    let refused = &shown["refusals"][0];
    ensure!(refused["side"] == "service", "{shown}");
    let failed = &refused["failed"][0];
    ensure!(
        failed["method"] == "POST"
            && failed["path"] == "/api/contracts/*"
            && failed["is_read"] == true,
        "{shown}"
    );
    let status = stage.banyan.run("status", &[]).await?;
    let text = status.successful()?.flat();
    ensure!(
        text.contains("route `/api/contracts/*` of the plan `as: writes`"),
        "{text}"
    );
    let shadow = stage
        .banyan
        .run("shadow", &["contracts"])
        .await?
        .successful()?;
    ensure!(
        shadow
            .stdout
            .contains("reads that write: POST /api/contracts/*"),
        "{}",
        shadow.stdout
    );

    let again = shift(&stage).await?;
    ensure!(
        again.code == 2
            && again.flat().contains("some reads write")
            && again.flat().contains("POST /api/contracts/*")
            && again.flat().contains("`as: writes`"),
        "{}: {}",
        again.code,
        again.stderr
    );
    let path = stage.banyan.plan();
    let plan = fs::read_to_string(path)?.replace(wrong, "- { path: /api/contracts/*, methods: [POST], as: writes }\n      - { path: /api/contracts/* }");
    fs::write(path, plan)?;
    stage.banyan.run("reload", &[]).await?.successful()?;
    shift(&stage).await?.successful()?;
    ensure!(stage.create_contract("written").await? == 201);
    // What was seen before does not count any more.
    ensure!(stage.status_as_json().await?["reads_percent"] == 100.0);
    stage.switch().await?;
    ensure!(stage.create_contract("switched").await? == 201);
    stage.ensure_equal().await
}

async fn shift(stage: &Stage) -> Result<testbed::process::Finished> {
    let arguments = ["contracts", "--reads", "100%"];
    stage.banyan.run("shift", &arguments).await
}
