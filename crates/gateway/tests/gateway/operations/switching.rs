//! Batches while the owner of writes changes.

use super::shop::*;
use crate::support::*;
use plan::Percent;
use protocol::{Epoch, routing::Writes};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_in_flight_and_held_in_every_extraction_that_it_writes_to() {
    let shop = Shop::start().await;
    let go = shop.monolith.stall();
    let writes = batch(&["contracts.sign", "parties.add", "users.add"]);
    let running = shop.spawn(&writes, "u").await;
    until("the batch is at the monolith", || {
        shop.monolith.count() == 1
    })
    .await;
    // Both extractions wait for it.
    let holding = (HOLD, 100);
    shop.publish(2, holding, holding);
    for extraction in ["contracts", "parties"] {
        let name = name(extraction);
        let drained = shop.gateway.drained(&name, Epoch(2));
        let early = tokio::time::timeout(Duration::from_millis(100), drained);
        assert!(
            early.await.is_err(),
            "{extraction} drained with a write in flight"
        );
    }
    let held = shop.spawn(&writes, "v").await;
    until("it is held", || {
        shop.held("contracts").now + shop.held("parties").now > 0
    })
    .await;
    let lone = shop.spawn(&one_call("parties.add"), "w").await;
    until("the other is held, too", || shop.held("parties").now > 0).await;
    go.notify_one();
    assert_eq!(running.await.unwrap().status, 200);
    shop.drained("contracts", 2).await;
    shop.drained("parties", 2).await;
    // One of the two goes on: the batch then waits for the other.
    shop.publish(3, (TO_MONOLITH, 100), holding);
    until("it waits in the other's hold", || {
        shop.held("parties").now == 2
    })
    .await;
    assert_eq!(shop.monolith.count(), 1);
    shop.monolith.behave(|_| async { text(200, "released") });
    shop.publish(4, (TO_MONOLITH, 100), (TO_MONOLITH, 100));
    assert_eq!(held.await.unwrap().body, "released");
    assert_eq!(lone.await.unwrap().body, "released");
    assert_eq!(
        (shop.held("contracts").now, shop.held("parties").now),
        (0, 0)
    );
    shop.drained("contracts", 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_write_of_a_client_does_not_overtake_a_held_one() {
    let shop = Shop::start().await;
    let holding = (HOLD, 100);
    shop.publish(2, holding, holding);
    let earlier = batch(&["contracts.sign", "parties.add"]);
    let held = shop.spawn(&earlier, "u").await;
    until("it is held", || shop.held("contracts").now == 1).await;
    // It waits on for the other one's hand-over.
    shop.publish(3, (TO_MONOLITH, 100), holding);
    until("it waits in the other's hold", || {
        shop.held("parties").now == 1
    })
    .await;
    let later = one_call("contracts.sign");
    let behind = shop.spawn(&later, "u").await;
    // Others' pass.
    let other = one_call("contracts.draft");
    assert_eq!(shop.call(&other, Some("v")).await.body, "monolith");
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(shop.monolith.bodies(), std::slice::from_ref(&other));
    shop.publish(4, (TO_MONOLITH, 100), (TO_MONOLITH, 100));
    assert_eq!(held.await.unwrap().body, "monolith");
    assert_eq!(behind.await.unwrap().body, "monolith");
    assert_eq!(shop.monolith.count(), 3);
    // Nobody waits for one that has gone.
    assert_eq!(shop.call(&later, Some("u")).await.body, "monolith");
}

/// Two extractions that are handed over, and one of shared data before them.
async fn shared_beside() -> Bed {
    Bed::planned(|monolith, service| {
        let text = format!(
            r#"
monolith: {{ url: "http://{monolith}", database: "postgres://u:p@127.0.0.1:1/m" }}
services:
  contracts: {{ url: "http://{service}", database: "postgres://u:p@127.0.0.1:1/s" }}
  parties: {{ url: "http://{service}", database: "postgres://u:p@127.0.0.1:1/p" }}
  accounts: {{ url: "http://{service}" }}
gateway: {{ listen: "127.0.0.1:0" }}
extractions:
  contracts:
    service: contracts
    routes: [{{ path: /rpc, operation: {{ json: method, is: ["contracts.*"] }} }}]
    data: {{ mode: replicate, schema: s, tables: {{ public.c: {{}} }} }}
    rollout: {{ key: {{ header: x-user-id }} }}
    switch: {{ hold: 60s }}
  parties:
    service: parties
    routes: [{{ path: /rpc, operation: {{ json: method, is: ["parties.*"] }} }}]
    data: {{ mode: replicate, schema: s, tables: {{ public.p: {{}} }} }}
    rollout: {{ key: {{ header: x-user-id }} }}
    switch: {{ hold: 60s }}
  accounts:
    service: accounts
    routes: [{{ path: /rpc, operation: {{ json: method, is: ["accounts.*"] }} }}]
    data: {{ mode: shared }}
    rollout: {{ key: {{ header: x-user-id }} }}
"#
        );
        plan::Plan::parse(&text, |_| None).unwrap()
    })
    .await
}

fn publish_shared_beside(bed: &Bed, epoch: u64, contracts: Writes, parties: Writes) {
    let of = |writes| {
        let one = routing(epoch, writes, 0);
        one.extractions.into_values().next().unwrap()
    };
    let mut all = routing(epoch, contracts, 0);
    all.extractions.insert(name("parties"), of(parties));
    let shared = of(Writes::Split(Percent::ZERO));
    all.extractions.insert(name("accounts"), shared);
    bed.gateway.publish(&all);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_never_held_waits_for_a_held_batch() {
    let bed = shared_beside().await;
    publish_shared_beside(&bed, 1, HOLD, TO_MONOLITH);
    let both = batch(&["contracts.sign", "accounts.add"]);
    let held = bed.spawn("POST", "/rpc", Some("u"), &both).await;
    until("it is held", || bed.held().now == 1).await;
    let lone = one_call("accounts.add");
    let answer = bed.post("/rpc", Some("u"), &lone).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "monolith"));
    publish_shared_beside(&bed, 1, TO_MONOLITH, TO_MONOLITH);
    assert_eq!(held.await.unwrap().body, "monolith");
}

/// What of it is held bounds its wait, not what is never held.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_with_shared_data_waits_behind_its_clients_held_one() {
    let bed = shared_beside().await;
    publish_shared_beside(&bed, 1, TO_MONOLITH, HOLD);
    let earlier = batch(&["contracts.sign", "parties.add"]);
    let held = bed.spawn("POST", "/rpc", Some("u"), &earlier).await;
    until("it is held", || bed.gateway.held(&name("parties")).now == 1).await;
    let later = batch(&["accounts.add", "contracts.sign"]);
    let mut behind = bed.spawn("POST", "/rpc", Some("u"), &later).await;
    let early = tokio::time::timeout(Duration::from_millis(200), &mut behind).await;
    assert!(early.is_err(), "{early:?}");
    publish_shared_beside(&bed, 2, TO_MONOLITH, TO_MONOLITH);
    assert_eq!(held.await.unwrap().body, "monolith");
    assert_eq!(behind.await.unwrap().body, "monolith");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_batch_whose_owners_part_is_refused() {
    let shop = Shop::start().await;
    shop.publish(2, (HOLD, 100), ALL_READS);
    let apart = shop
        .spawn(&batch(&["contracts.sign", "parties.add"]), "u")
        .await;
    let own = shop
        .spawn(&batch(&["contracts.sign", "parties.get"]), "u")
        .await;
    until("both are held", || shop.held("contracts").now == 2).await;
    shop.drained("contracts", 2).await;
    shop.publish(2, AT_SERVICE, ALL_READS);
    assert_reason(&apart.await.unwrap(), 422, "operations-apart");
    assert_eq!(own.await.unwrap().body, "contracts");
    assert_eq!(shop.seen(), [0, 1, 0]);
}

/// What an upstream saw of writes: their ids.
fn ids(upstream: &Upstream) -> Vec<u64> {
    let id = |body: String| -> Option<u64> {
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        body[0]["params"].as_u64()
    };
    upstream.bodies().into_iter().filter_map(id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_loses_and_doubles_nothing_of_batches_that_flow() {
    let shop = Shop::start().await;
    let (ended, next) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let answered = Arc::new(AtomicU64::new(0));
    // Writes of contracts with a read of parties; every second one also writes
    // parties, for which there is no common owner later.
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let (ended, next, count) = (ended.clone(), next.clone(), answered.clone());
            let address = shop.gateway.local_addr();
            tokio::spawn(async move {
                let mut client = Client::connect(address).await;
                let (mut done, mut refused) = (Vec::new(), Vec::new());
                while !ended.load(Ordering::Relaxed) {
                    let id = next.fetch_add(1, Ordering::Relaxed);
                    let beside = ["parties.get", "parties.add"][usize::from(id % 2 == 1)];
                    let body = serde_json::json!([
                        { "method": "contracts.sign", "params": id },
                        { "method": beside },
                    ]);
                    let answer = client
                        .send("POST", "/rpc", Some("u"), &body.to_string())
                        .await;
                    match answer.status {
                        200 => done.push((id, answer.body)),
                        422 => refused.push(id),
                        other => panic!("{other}: {answer:?}"),
                    }
                    count.fetch_add(1, Ordering::Relaxed);
                }
                (done, refused)
            })
        })
        .collect();
    let some_more = async |what: &str| {
        let before = answered.load(Ordering::Relaxed);
        until(what, || answered.load(Ordering::Relaxed) > before + 50).await;
    };
    some_more("batches flow").await;
    shop.publish(2, (HOLD, 100), ALL_READS);
    shop.drained("contracts", 2).await;
    let at_monolith = shop.monolith.count();
    until("all clients are held", || shop.held("contracts").now == 8).await;
    assert_eq!(
        shop.monolith.count(),
        at_monolith,
        "written after the drain"
    );
    shop.publish(2, AT_SERVICE, ALL_READS);
    some_more("batches flow on").await;
    ended.store(true, Ordering::Relaxed);
    let (mut done, mut refused) = (Vec::new(), Vec::new());
    for client in clients {
        let (more_done, more_refused) = client.await.unwrap();
        done.extend(more_done);
        refused.extend(more_refused);
    }
    assert_eq!(
        shop.monolith.count(),
        at_monolith,
        "written by who owns no more"
    );
    assert!(!refused.is_empty() && refused.iter().all(|id| id % 2 == 1));
    let of = |side: &str| {
        let ids = done.iter().filter(|(_, body)| body == side);
        let mut ids: Vec<u64> = ids.map(|(id, _)| *id).collect();
        ids.sort_unstable();
        ids
    };
    for (side, upstream) in [("monolith", &shop.monolith), ("contracts", &shop.contracts)] {
        let mut seen = ids(upstream);
        seen.sort_unstable();
        assert!(!seen.is_empty());
        assert_eq!(seen, of(side), "{side}");
    }
}
