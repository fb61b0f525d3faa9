//! Banyan is given the application's own role, whose web workers keep no session
//! open: a write that comes past the gateway after the switch is refused by the
//! fence, never acknowledged and lost.

use crate::stage::{Stage, patient};
use anyhow::{Context, Result, ensure};
use serde_json::json;
use std::time::Duration;
use testbed::http_client::{Call, Connection};
use testbed::scene::{MONOLITH_DATABASE, MONOLITH_ROLE, Scene, Settings};

const TIMEOUT: Duration = Duration::from_secs(10);
const PAST: &str = "past-the-gateway";

#[tokio::test(flavor = "multi_thread")]
async fn shared_role() -> Result<()> {
    let settings = Settings {
        environment: vec![("CONN_MAX_AGE".to_owned(), "0".to_owned())],
        ..Settings::fast(300)
    };
    let scene = Scene::set(&settings, &|_| {}).await?;
    let monolith = scene.monolith_cluster.superuser(MONOLITH_DATABASE).await?;
    let rights = format!("ALTER ROLE {MONOLITH_ROLE} SUPERUSER REPLICATION");
    monolith.batch_execute(&rights).await?;
    let url = scene
        .monolith_cluster
        .url(MONOLITH_ROLE, MONOLITH_DATABASE)?;
    let plan = patient(scene.plan()?)?;
    let plan = plan.set("MONOLITH_DATABASE_URL", &url);
    let banyan = scene.command_line(&plan)?;
    let mut stage = Stage {
        serve: None,
        banyan,
        scene,
    };
    stage.serve(None).await?;
    stage.banyan.start().await?;
    stage.settled("following", "monolith").await?;
    let traffic = stage.traffic().await?;
    stage.switch().await?;
    traffic.more_writes(20).await?;

    let mut web = Connection::new(stage.scene.web.url())?;
    let some = Call::get("/api/contracts?page_size=1");
    let some = web.send(&some, TIMEOUT).await?.json()["results"][0]["id"].clone();
    let id = some.as_u64().context("no contract")?;
    let body = json!({ "status": "completed", "reference": PAST });
    let patch = Call::patch(format!("/api/contracts/{id}"), &body);
    let answer = web.send(&patch, TIMEOUT).await?;
    println!("past the gateway: {}", answer.status);
    ensure!(!answer.status.is_success(), "it was acknowledged");
    let there =
        "SELECT count(*) FROM contracts_contractevent e WHERE e::text LIKE '%' || $1 || '%'";
    let there: i64 = monolith.query_one(there, &[&PAST]).await?.get(0);
    ensure!(there == 0, "it was written");

    stage.rollback().await?;
    traffic.more_writes(20).await?;
    traffic.finish_unnoticed().await?;
    stage.ensure_equal().await
}
