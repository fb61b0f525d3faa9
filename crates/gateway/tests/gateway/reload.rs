//! A changed plan, taken while requests run.

use crate::support::*;
use http_body_util::Full;
use plan::Plan;
use protocol::{Side, routing::Writes};
use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

const CLIENTS: usize = 16;
const RELOADS: u64 = 40;

/// Writes that it takes to say anything; a starved machine gets more reloads.
const WRITES: usize = 100;
const RELOADS_MAX: u64 = 600;

/// A bed and the plan that it goes by.
struct Reloading {
    bed: Bed,
    mover: Arc<FakeMover>,
}

impl Reloading {
    async fn start(gateway: &str, extraction: &str) -> Self {
        let bed = Bed::planned(|monolith, service| plan_of(monolith, service, gateway, extraction));
        let bed = bed.await;
        let mover = Arc::clone(&bed.mover);
        Self { bed, mover }
    }

    fn plan(&self, gateway: &str, extraction: &str) -> Plan {
        let (monolith, service) = (self.bed.monolith.address, self.bed.service.address);
        plan_of(monolith, service, gateway, extraction)
    }

    async fn reload(&self, gateway: &str, extraction: &str) -> Result<(), String> {
        let plan = self.plan(gateway, extraction);
        let reloaded = self.bed.gateway.reload(&plan).await;
        reloaded.map_err(|error| error.to_string())
    }
}

/// A plan with these lines for the gateway and the extraction.
fn plan_of(monolith: SocketAddr, service: SocketAddr, gateway: &str, extraction: &str) -> Plan {
    let gateway = format!("workers: 2\n  {gateway}");
    extracting(monolith, service, &gateway, extraction)
}

const ROUTES: &str = "routes: [{ path: '/api/contracts/*' }]\n    \
                      rollout: { key: { header: x-user-id } }";

#[tokio::test(flavor = "multi_thread")]
async fn requests_after_it_go_by_the_new_plan() {
    let reloading = Reloading::start("", ROUTES).await;
    let bed = &reloading.bed;
    bed.settle(TO_SERVICE, 100).await;
    let mut kept = bed.client().await;
    let answer = kept.send("GET", "/v2/x", None, "").await;
    assert_eq!(answer.side(), Some("monolith"));
    reloading
        .reload(
            "routes: { two: { to: contracts, path: '/v2/*' } }",
            "routes: [{ path: '/api/contracts/*' }, { path: '/api/tags/*' }]\n    \
             rollout: { key: { header: x-user-id } }",
        )
        .await
        .unwrap();
    let answer = kept.send("GET", "/v2/x", None, "").await;
    assert_eq!(answer.side(), Some("service"));
    let answer = kept.send("POST", "/api/tags", None, "1").await;
    assert_eq!(answer.side(), Some("service"));
    let routes = bed.gateway.routes();
    assert!(routes.iter().any(|route| route.belongs_to == "route two"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_reloaded_is_named_and_changes_nothing() {
    let reloading = Reloading::start("", ROUTES).await;
    let error = reloading
        .reload(
            "routes: { two: { to: contracts, path: '/v2/*' } }",
            "routes: [{ path: '/api/contracts/*' }]\n    rollout: { key: { cookie: sid } }",
        )
        .await
        .unwrap_err();
    assert!(
        error.contains("extractions.contracts.rollout.key"),
        "{error}"
    );
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let gateway = format!(
        "routes: {{ two: {{ to: contracts, path: '/v2/*' }} }}\n  \
         listeners: [{{ listen: \"{address}\" }}]"
    );
    let error = reloading.reload(&gateway, ROUTES).await.unwrap_err();
    assert!(error.contains("in use"), "{error}");
    let answer = reloading.bed.get("/v2/x", None).await;
    assert_eq!(answer.side(), Some("monolith"));
}

#[tokio::test(flavor = "multi_thread")]
async fn listeners_come_and_go_and_connections_stay() {
    let (mut first, second) = (unused_address(), unused_address());
    // Where no other test listens, once this one does not.
    first.set_ip([127, 0, 0, 3].into());
    let listening = |address| format!("listeners: [{{ listen: \"{address}\" }}]");
    let reloading = Reloading::start(&listening(first), ROUTES).await;
    let mut kept = Client::connect(first).await;
    assert_eq!(kept.send("GET", "/x", None, "").await.status, 200);
    reloading.reload(&listening(second), ROUTES).await.unwrap();
    let mut new = Client::connect(second).await;
    assert_eq!(new.send("GET", "/x", None, "").await.status, 200);
    // Its workers close it in their next turn.
    let closes = async {
        while tokio::net::TcpStream::connect(first).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(20), closes).await;
    assert!(ended.is_ok(), "{first} is still listened on");
    assert_eq!(kept.send("GET", "/x", None, "").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_not_changed_is_carried_over() {
    let limit = "policies: { limits: [{ by: everybody, day: 3 }] }";
    let reloading = Reloading::start(limit, ROUTES).await;
    let bed = &reloading.bed;
    let mut client = bed.client().await;
    for _ in 0..2 {
        assert_eq!(client.send("GET", "/x", None, "").await.status, 200);
    }
    let accepted = bed.monolith.accepted();
    let more = format!("{limit}\n  routes: {{ two: {{ to: contracts, path: '/v2/*' }} }}");
    reloading.reload(&more, ROUTES).await.unwrap();
    assert_eq!(client.send("GET", "/x", None, "").await.status, 200);
    assert_eq!(client.send("GET", "/x", None, "").await.status, 429);
    assert_eq!(bed.monolith.accepted(), accepted, "connected anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_write_and_a_pin_outlast_it() {
    let reloading = Reloading::start("", ROUTES).await;
    let bed = Arc::new(reloading.bed);
    bed.settle(TO_MONOLITH, 100).await;
    // Their position is not known, so they bind to the monolith.
    reloading.mover.position(None);
    bed.post("/api/contracts", Some("u"), "pinned").await;
    bed.publish(
        60,
        Writes::Hold {
            from: Side::Monolith,
        },
        100,
    );
    let held = bed.spawn("POST", "/api/contracts", Some("u"), "held").await;
    until("it is held", || bed.held().now == 1).await;
    let routes = "routes: { two: { to: contracts, path: '/v2/*' } }";
    let plan = plan_of(bed.monolith.address, bed.service.address, routes, ROUTES);
    bed.gateway.reload(&plan).await.unwrap();
    assert_eq!(bed.held().now, 1);
    assert_eq!(bed.monolith.bodies(), ["pinned"]);
    bed.publish(60, TO_MONOLITH, 100);
    assert_eq!(held.await.unwrap().side(), Some("monolith"));
    let answer = bed.get("/api/contracts/1", Some("u")).await;
    assert_eq!(
        answer.side(),
        Some("monolith"),
        "its own write was forgotten"
    );
}

/// Other routes, another policy, another listener, another upstream each time.
fn variant(number: u64, listener: SocketAddr) -> String {
    let listeners = match number % 3 {
        0 => String::new(),
        _ => format!("\n  listeners: [{{ listen: \"{listener}\" }}]"),
    };
    let idle = 2 + number % 2;
    format!(
        "upstream-idle: {idle}s\n  \
         routes: {{ r{number}: {{ to: contracts, path: '/v{number}/*' }} }}{listeners}"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn reloads_under_load_lose_nothing() {
    let reloading = Arc::new(Reloading::start("", ROUTES).await);
    reloading.bed.settle(TO_MONOLITH, 50).await;
    let taken: Arc<Mutex<Vec<String>>> = Arc::default();
    let note = Arc::clone(&taken);
    reloading.bed.monolith.behave(move |seen| {
        let note = Arc::clone(&note);
        async move {
            if !seen.body.is_empty() {
                let id = String::from_utf8(seen.body.to_vec()).unwrap();
                note.lock().unwrap().push(id);
            }
            http::Response::new(Full::default())
        }
    });
    let stop = Arc::new(AtomicBool::new(false));
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        let (reloading, stop) = (Arc::clone(&reloading), Arc::clone(&stop));
        clients.push(tokio::spawn(async move {
            // One connection from the first reload to the last.
            let mut kept = reloading.bed.client().await;
            let user = format!("user-{number}");
            let mut acknowledged = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let id = format!("{number}-{}", acknowledged.len());
                let answer = kept.send("POST", "/api/contracts", Some(&user), &id).await;
                assert_eq!(answer.status, 200, "{id}: {answer:?}");
                acknowledged.push(id);
                let answer = kept.send("GET", "/api/contracts/1", Some(&user), "").await;
                assert_eq!(answer.status, 200, "{answer:?}");
                // And a new one each time.
                let answer = reloading.bed.get("/elsewhere", None).await;
                assert_eq!(answer.status, 200, "{answer:?}");
            }
            acknowledged
        }));
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    for number in 0..RELOADS_MAX {
        if number >= RELOADS && taken.lock().unwrap().len() > WRITES {
            break;
        }
        let plan = reloading.plan(&variant(number, address), ROUTES);
        reloading.bed.gateway.reload(&plan).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    stop.store(true, Ordering::Relaxed);
    let mut acknowledged = BTreeSet::new();
    for client in clients {
        acknowledged.extend(client.await.unwrap());
    }
    let taken = taken.lock().unwrap();
    let distinct: BTreeSet<String> = taken.iter().cloned().collect();
    assert_eq!(distinct.len(), taken.len(), "writes were doubled");
    assert_eq!(distinct, acknowledged);
    assert!(acknowledged.len() > WRITES, "hardly any load");
}
