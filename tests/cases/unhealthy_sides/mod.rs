//! Who is to get more must be healthy: a shift to a service that is down is refused,
//! and a rollback to a monolith that does not say it is well. Both can be had all the
//! same, and a plan that asks better counts at once.

use crate::stage::Stage;
use anyhow::{Result, ensure};
use std::fs;

#[tokio::test(flavor = "multi_thread")]
async fn who_is_to_get_more_has_to_be_healthy() -> Result<()> {
    let mut stage = Stage::following().await?;
    stage.scene.service.kill().await;
    let refused = stage
        .banyan
        .run("shift", &["contracts", "--reads", "10%"])
        .await?;
    ensure!(
        refused.code == 2 && refused.flat().contains("/health/ready cannot be reached"),
        "{}: {}",
        refused.code,
        refused.stderr
    );
    let status = shown(&stage, &["status", "--json"]).await?;
    let status: serde_json::Value = serde_json::from_str(&status)?;
    ensure!(status["extractions"][0]["reads_percent"] == 0.0, "{status}");
    let health = &status["extractions"][0]["health"];
    ensure!(health["monolith"]["state"] == "not-asked", "{health}");
    let text = shown(&stage, &["status"]).await?;
    ensure!(text.contains("contracts: the service is"), "{text}");
    ensure!(
        text.lines().all(|line| line.chars().count() <= 80),
        "{text}"
    );
    shown(
        &stage,
        &["shift", "contracts", "--reads", "10%", "--unhealthy"],
    )
    .await?;
    // Less of it needs nobody's health.
    shown(&stage, &["shift", "contracts", "--reads", "0%"]).await?;
    stage.scene.service.start_again().await?;
    let resumed = shown(&stage, &["resume", "contracts"]).await?;
    ensure!(
        resumed.contains("the forward stream is applying")
            && resumed.contains("the reverse stream is waiting"),
        "{resumed}"
    );
    stage.switch().await?;

    // The monolith's health as a plan asks for it that is wrong.
    let path = stage.banyan.plan();
    let right = fs::read_to_string(path)?;
    let url = "  url: \"${MONOLITH_URL}\"\n";
    let wrong = right.replacen(url, &format!("{url}  health: /no-such-page\n"), 1);
    ensure!(wrong != right, "the plan has no monolith");
    fs::write(path, wrong)?;
    shown(&stage, &["reload"]).await?;
    let back = stage.banyan.rollback().await?;
    let reason = back.reason();
    ensure!(
        !back.is_committed(),
        "went back to a monolith that is not well"
    );
    for part in [
        "/no-such-page answers 404",
        "correct `health` of monolith in the plan",
        "`banyan rollback contracts --unhealthy`",
    ] {
        ensure!(reason.contains(part), "{reason}");
    }
    stage.settled("switched", "service").await?;
    shown(&stage, &["rollback", "contracts", "--yes", "--unhealthy"]).await?;
    stage.settled("following", "monolith").await?;

    stage.switch().await?;
    fs::write(path, right)?;
    shown(&stage, &["reload"]).await?;
    stage.rollback().await?;
    stage.settled("following", "monolith").await?;
    stage.ensure_equal().await
}

async fn shown(stage: &Stage, arguments: &[&str]) -> Result<String> {
    let (verb, rest) = arguments.split_first().unwrap_or((&"status", &[]));
    let done = stage.banyan.run(verb, rest).await?.successful()?;
    Ok(done.stdout)
}
