//! The plan forgot a route that writes a moved table, and a declared writer's name
//! hides it: after the switch the monolith's fence refuses it, which is counted and
//! told with the route, in the status and in the metrics.

use crate::stage::Stage;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::time::Duration;
use testbed::{
    deadline,
    http_client::{self, Call},
};

const LIMIT: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn what_the_monolith_refuses_after_the_switch_is_told_with_its_route() -> Result<()> {
    // New contracts go where no route of the plan is: to the monolith.
    let stage = Stage::set(|plan| {
        plan.replace(
            "- { path: /api/contracts/* }",
            "- { path: /api/contracts/*, methods: [GET, PATCH] }",
        )
    });
    let mut stage = stage.await?;
    stage.serve(None).await?;
    stage.banyan.start().await?;
    stage.settled("following", "monolith").await?;
    ensure!(stage.create_contract("before").await? == 201);
    stage.switch().await?;
    stage.settled("switched", "service").await?;
    ensure!(refusals(&stage).await?.as_array().is_none());
    for number in 0..3 {
        let status = stage.create_contract(&format!("refused-{number}")).await?;
        // What this monolith makes of the fence's error.
        ensure!(status == 503, "answered with {status}");
    }
    let mut last = Value::Null;
    let told = deadline::until("it to be told", LIMIT, async || {
        last = refusals(&stage).await?;
        let all = last[0]["statements"] == 3 && last[0]["failed"][0]["answers"] == 3;
        Ok(all.then_some(()))
    });
    told.await.with_context(|| last.to_string())?;
    let [one] = last.as_array().context("no list")?.as_slice() else {
        anyhow::bail!("{last}")
    };
    ensure!(one["side"] == "monolith" && one["statements"] == 3, "{one}");
    let failed = &one["failed"][0];
    ensure!(
        failed["method"] == "POST" && failed["path"] == "/api/contracts",
        "{one}"
    );
    ensure!(
        failed["has_route"] == false && failed["is_read"] == false,
        "{one}"
    );

    let status = stage.banyan.run("status", &[]).await?;
    let text = status.successful()?.flat();
    ensure!(
        text.contains("contracts: the monolith's fence has refused 3 statements since")
            && text.contains("Meanwhile the monolith answered 5xx on: POST /api/contracts (3)"),
        "{text}"
    );
    let control = stage.serve.as_ref().context("it does not run")?.control();
    let metrics = http_client::call(control, &Call::get("/metrics"), LIMIT).await?;
    let metrics = String::from_utf8_lossy(&metrics.body);
    for line in [
        "banyan_fence_refusals_total{extraction=\"contracts\",side=\"monolith\"} 3",
        "banyan_fence_failed_answers_total{extraction=\"contracts\",side=\"monolith\",method=\"POST\",route=\"other\"} 3",
    ] {
        ensure!(metrics.contains(line), "{metrics}");
    }
    // What was refused is known to the next process, too.
    drop(stage.serve.take());
    stage.serve(None).await?;
    stage.settled("switched", "service").await?;
    deadline::until("it to be known again", LIMIT, async || {
        Ok((refusals(&stage).await?[0]["statements"] == 3).then_some(()))
    })
    .await?;
    // Back at the monolith it may write, and what was refused is told no more.
    stage.rollback().await?;
    ensure!(stage.create_contract("after").await? == 201);
    deadline::until("it to be told no more", LIMIT, async || {
        Ok(refusals(&stage).await?.is_null().then_some(()))
    })
    .await
}

async fn refusals(stage: &Stage) -> Result<Value> {
    Ok(stage.status_as_json().await?["refusals"].clone())
}
