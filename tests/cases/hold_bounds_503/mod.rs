//! What does not fit into the hold's bounds gets 503 with Retry-After at once
//! and is never sent; what fits is done once the hold ends.

use crate::stage::Stage;
use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use http::StatusCode;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use testbed::http_client::{Call, Connection};
use testbed::scene::{MONOLITH_DATABASE, MONOLITH_ROLE};

const HELD_REQUESTS: usize = 5;
const CLIENTS: usize = 40;
const TIMEOUT: Duration = Duration::from_mins(1);

/// Between a client's requests; a client that was refused tries again soon.
const PAUSE: Duration = Duration::from_millis(50);

struct Sent {
    reference: String,
    status: StatusCode,
    has_retry_after: bool,
}

#[tokio::test(flavor = "multi_thread")]
async fn hold_bounds_503() -> Result<()> {
    let stage = Stage::following_until(None, |plan| {
        // The writer has to be no reason to refuse while it is looked for one.
        plan.replace("hold: 10s", "hold: 25s")?
            .replace("drain: 5s", "drain: 18s")?
            .replace(
                "held-requests: 1000",
                &format!("held-requests: {HELD_REQUESTS}"),
            )
    })
    .await?;
    // Keeps the switch from getting its lock: the hold lasts as long as it may.
    let writer = stage.unfinished_writer().await?;

    let over = AtomicBool::new(false);
    let gateway = stage.gateway()?;
    let known = known(gateway).await?;
    let clients = try_join_all((0..CLIENTS).map(|number| write(gateway, number, &known, &over)));
    let switch = async {
        let handover = stage.banyan.switch().await;
        over.store(true, Ordering::Relaxed);
        handover
    };
    let (handover, sent) = tokio::try_join!(switch, clients)?;
    ensure!(
        !handover.is_committed(),
        "the switch went through past an open transaction"
    );
    writer.give_up().await?;

    let sent: Vec<Sent> = sent.into_iter().flatten().collect();
    let of = |status: StatusCode| sent.iter().filter(move |sent| sent.status == status);
    let (created, refused) = (
        of(StatusCode::CREATED).count(),
        of(StatusCode::SERVICE_UNAVAILABLE).count(),
    );
    println!(
        "{} writes: {created} done, {refused} refused; {handover:?}",
        sent.len()
    );
    ensure!(
        created + refused == sent.len(),
        "other answers than 201 and 503"
    );
    ensure!(
        refused > CLIENTS - HELD_REQUESTS,
        "only {refused} were refused"
    );
    ensure!(of(StatusCode::SERVICE_UNAVAILABLE).all(|sent| sent.has_retry_after));
    // By the gateway's own count: on a busy machine others take as long.
    let held = handover.held_requests;
    ensure!(
        (1..=HELD_REQUESTS as u64).contains(&held),
        "{held} were held"
    );

    let client = stage
        .scene
        .monolith_cluster
        .client(MONOLITH_ROLE, MONOLITH_DATABASE)
        .await?;
    let sql = "SELECT reference, count(*) FROM contracts_contract
               WHERE starts_with(reference, 'bounds-') GROUP BY 1";
    let rows = client.query(sql, &[]).await?;
    let there: BTreeMap<String, i64> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    for Sent {
        reference, status, ..
    } in &sent
    {
        let expected = i64::from(*status == StatusCode::CREATED);
        let count = there.get(reference).copied().unwrap_or(0);
        ensure!(
            count == expected,
            "{reference} got {status} and is there {count} times"
        );
    }
    Ok(())
}

async fn known(gateway: &str) -> Result<(Value, Value)> {
    let mut connection = Connection::new(gateway)?;
    let mut first = async |path: &str| -> Result<Value> {
        Ok(connection.send(&Call::get(path), TIMEOUT).await?.json()["results"][0]["id"].clone())
    };
    Ok((
        first("/api/parties").await?,
        first("/api/land-plots").await?,
    ))
}

/// Creates one contract after the other until the switch is over.
async fn write(
    gateway: &str,
    number: usize,
    (party, plot): &(Value, Value),
    over: &AtomicBool,
) -> Result<Vec<Sent>> {
    let mut connection = Connection::new(gateway)?;
    let mut all = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let reference = format!("bounds-{number}-{}", all.len());
        let body = json!({"reference": reference, "title": "x", "seller": party, "buyer": party,
                          "land_plot": plot, "price": "1.00"});
        let call = Call::post("/api/contracts", &body).by(u32::try_from(number + 1).ok());
        let answer = connection
            .send(&call, TIMEOUT)
            .await
            .context("a write got no answer")?;
        let has_retry_after = answer.headers.contains_key("retry-after");
        let status = answer.status;
        all.push(Sent {
            reference,
            status,
            has_retry_after,
        });
        tokio::time::sleep(PAUSE).await;
    }
    Ok(all)
}
