//! What each service is asked for.

use super::{
    load::Workload,
    running_service::{RunningService, with_key},
};
use anyhow::{Context, Result, bail};
use http::{HeaderValue, Method};
use serde_json::json;
use testbed::{cluster::Cluster, http_client::Call};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// A login is half a second's work for a core: many at once would only wait.
const LOGINS: u32 = 2;
/// Rows in a batch of reports.
const ROWS: u32 = 1000;
/// Instances that are registered, and services that they are of.
const INSTANCES: usize = 100;
const NAMES: usize = 10;

/// Roll-ups for looks: two days of minutes and thirty days of hours, of three
/// services with a hundred endpoints each, with twenty cells filled.
const ROLL_UPS: &str = include_str!("roll_ups.sql");
const DAY_MINUTES: i64 = 24 * 60;

/// Prepares a service of the set, and says what to ask it for.
pub(super) async fn of(
    name: &str,
    service: &RunningService,
    cluster: &Cluster,
) -> Result<Vec<Workload>> {
    match name {
        "auth" => auth(service).await,
        "notification" => notification(service).await,
        "analytics" => analytics(service, cluster).await,
        "registry" => registry(service).await,
        other => bail!("it is not known what to ask `{other}` for"),
    }
}

async fn auth(service: &RunningService) -> Result<Vec<Workload>> {
    let (email, password) = ("bench@example.com", "SecurePassword123!");
    let user = json!({ "username": "bench", "email": email, "password": password });
    service.send(&Call::post("/auth/register", &user)).await?;
    let credentials = json!({ "email": email, "password": password });
    let login = Call::post("/auth/login", &credentials);
    let tokens = service.send(&login).await?;
    let token = tokens["access_token"].as_str();
    let token = token.context("a login brought no token")?;
    let bearer = HeaderValue::try_from(format!("Bearer {token}"))?;
    let me = Call::get("/auth/me").header("authorization", bearer);
    Ok(vec![
        Workload::again("me", me),
        Workload::again("login", login).clients(LOGINS),
    ])
}

async fn notification(service: &RunningService) -> Result<Vec<Workload>> {
    let welcome = |user: &str| {
        let body = json!({
            "user_id": user, "template": "welcome", "data": { "name": "Ann" },
            "channels": ["email"], "email": "ann@example.com",
        });
        Call::post("/notifications", &body)
    };
    let first = service.send(&service.with_key(welcome("first"))).await?;
    let id = first["id"].as_str().context("a notification has no id")?;
    let shown = service.with_key(Call::get(format!("/notifications/{id}")));
    let key = service.key.clone();
    // A user each: how many one is told at once is bounded.
    let mail = move |number: u64| with_key(welcome(&format!("bench-{number}")), &key);
    Ok(vec![
        Workload::again("notification shown", shown),
        Workload::new("mail taken", mail).answered(202).mails(),
    ])
}

async fn analytics(service: &RunningService, cluster: &Cluster) -> Result<Vec<Workload>> {
    let superuser = cluster.superuser("analytics").await?;
    superuser
        .batch_execute("set search_path = analytics_service")
        .await?;
    superuser.batch_execute(ROLL_UPS).await?;
    let now = OffsetDateTime::now_utc();
    let at = now.format(&Rfc3339)?;
    let row = |number: u32| {
        json!({
            "at": at, "service": "bench", "endpoint": format!("/endpoint/{}", number % 50),
            "method": "GET", "status": 200, "response_time": f64::from(number) * 0.7,
        })
    };
    let rows: Vec<_> = (0..ROWS).map(row).collect();
    let batch = Call::post("/analytics/metrics", &json!({ "requests": rows }));
    let look = |what, path: &str, days: i64| -> Result<Workload> {
        let from = now - time::Duration::minutes(days * DAY_MINUTES - 5);
        let from = from.format(&Rfc3339)?;
        let call = Call::get(format!("/analytics/{path}from={from}"));
        Ok(Workload::again(what, service.with_key(call)).clients(1))
    };
    Ok(vec![
        Workload::again("row taken, by the 1000", service.with_key(batch))
            .clients(4)
            .answered(202)
            .items(ROWS),
        look("overview, 2 days", "overview?", 2)?,
        look(
            "service, 2 days by 5 min",
            "services/service-1?step=300&",
            2,
        )?,
        look("slow endpoints, 30 days", "slow-endpoints?", 30)?,
    ])
}

async fn registry(service: &RunningService) -> Result<Vec<Workload>> {
    let mut heartbeats = Vec::new();
    for number in 0..INSTANCES {
        let instance = json!({
            "name": format!("bench-{}", number % NAMES), "ttl_seconds": 3600,
            "url": format!("http://127.0.0.1:{}", 20_000 + number),
        });
        let call = service.with_key(Call::post("/registry/services", &instance));
        let id = service.send(&call).await?;
        let id = id["id"].as_str().context("an instance has no id")?;
        let heartbeat = Call {
            method: Method::PUT,
            ..Call::get(format!("/registry/services/{id}/heartbeat"))
        };
        heartbeats.push(service.with_key(heartbeat));
    }
    let found = service.with_key(Call::get("/registry/services?name=bench-1"));
    let next = move |number: u64| {
        let place = usize::try_from(number).unwrap_or_default() % INSTANCES;
        heartbeats[place].clone()
    };
    Ok(vec![
        Workload::again("ten instances found", found),
        Workload::new("heartbeat", next).answered(204),
    ])
}

/// The same for contracts, beside the monolith of the example.
pub(super) fn contracts() -> Vec<Workload> {
    let new = |number: u64| {
        let contract = json!({
            "reference": format!("bench-{number}"), "title": "Field", "seller": 1, "buyer": 2,
            "land_plot": 1, "price": "1.00", "tags": ["farm", "north"],
        });
        Call::post("/api/contracts", &contract)
    };
    vec![
        Workload::new("contract created", new).answered(201),
        Workload::new("contract shown", |number| {
            Call::get(format!("/api/contracts/{}", number % 16 + 1))
        }),
        Workload::again(
            "page of 20 contracts",
            Call::get("/api/contracts?page_size=20"),
        ),
    ]
}
