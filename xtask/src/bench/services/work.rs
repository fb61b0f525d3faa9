//! What each service is asked for.

use super::{Stand, load::Work, with_key};
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
pub(super) async fn of(service: &str, stand: &Stand, cluster: &Cluster) -> Result<Vec<Work>> {
    match service {
        "auth" => auth(stand).await,
        "notification" => notification(stand).await,
        "analytics" => analytics(stand, cluster).await,
        "registry" => registry(stand).await,
        other => bail!("it is not known what to ask `{other}` for"),
    }
}

async fn auth(stand: &Stand) -> Result<Vec<Work>> {
    let (email, password) = ("bench@example.com", "SecurePassword123!");
    let user = json!({ "username": "bench", "email": email, "password": password });
    stand.tell(&Call::post("/auth/register", &user)).await?;
    let credentials = json!({ "email": email, "password": password });
    let login = Call::post("/auth/login", &credentials);
    let tokens = stand.tell(&login).await?;
    let token = tokens["access_token"].as_str();
    let token = token.context("a login brought no token")?;
    let bearer = HeaderValue::try_from(format!("Bearer {token}"))?;
    let me = Call::get("/auth/me").header("authorization", bearer);
    Ok(vec![
        Work::again("me", me),
        Work::again("login", login).clients(LOGINS),
    ])
}

async fn notification(stand: &Stand) -> Result<Vec<Work>> {
    let welcome = |user: &str| {
        let body = json!({
            "user_id": user, "template": "welcome", "data": { "name": "Ann" },
            "channels": ["email"], "email": "ann@example.com",
        });
        Call::post("/notifications", &body)
    };
    let first = stand.tell(&stand.with_key(welcome("first"))).await?;
    let id = first["id"].as_str().context("a notification has no id")?;
    let shown = stand.with_key(Call::get(format!("/notifications/{id}")));
    let key = stand.key.clone();
    // A user each: how many one is told at once is bounded.
    let mail = move |number: u64| with_key(welcome(&format!("bench-{number}")), &key);
    Ok(vec![
        Work::again("notification shown", shown),
        Work::new("mail taken", mail).answered(202).mails(),
    ])
}

async fn analytics(stand: &Stand, cluster: &Cluster) -> Result<Vec<Work>> {
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
    let look = |what, path: &str, days: i64| -> Result<Work> {
        let from = now - time::Duration::minutes(days * DAY_MINUTES - 5);
        let from = from.format(&Rfc3339)?;
        let call = Call::get(format!("/analytics/{path}from={from}"));
        Ok(Work::again(what, stand.with_key(call)).clients(1))
    };
    Ok(vec![
        Work::again("row taken, by the 1000", stand.with_key(batch))
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

async fn registry(stand: &Stand) -> Result<Vec<Work>> {
    let mut heartbeats = Vec::new();
    for number in 0..INSTANCES {
        let instance = json!({
            "name": format!("bench-{}", number % NAMES), "ttl_seconds": 3600,
            "url": format!("http://127.0.0.1:{}", 20_000 + number),
        });
        let call = stand.with_key(Call::post("/registry/services", &instance));
        let id = stand.tell(&call).await?;
        let id = id["id"].as_str().context("an instance has no id")?;
        let heartbeat = Call {
            method: Method::PUT,
            ..Call::get(format!("/registry/services/{id}/heartbeat"))
        };
        heartbeats.push(stand.with_key(heartbeat));
    }
    let found = stand.with_key(Call::get("/registry/services?name=bench-1"));
    let next = move |number: u64| {
        let place = usize::try_from(number).unwrap_or_default() % INSTANCES;
        heartbeats[place].clone()
    };
    Ok(vec![
        Work::again("ten instances found", found),
        Work::new("heartbeat", next).answered(204),
    ])
}

/// The same for contracts, beside the monolith of the example.
pub(super) fn contracts() -> Vec<Work> {
    let new = |number: u64| {
        let contract = json!({
            "reference": format!("bench-{number}"), "title": "Field", "seller": 1, "buyer": 2,
            "land_plot": 1, "price": "1.00", "tags": ["farm", "north"],
        });
        Call::post("/api/contracts", &contract)
    };
    vec![
        Work::new("contract created", new).answered(201),
        Work::new("contract shown", |number| {
            Call::get(format!("/api/contracts/{}", number % 16 + 1))
        }),
        Work::again(
            "page of 20 contracts",
            Call::get("/api/contracts?page_size=20"),
        ),
    ]
}
