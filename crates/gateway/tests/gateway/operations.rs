//! Operations that share one path: JSON-RPC and GraphQL.

use crate::{
    support::*,
    upgrade::{connect, drained, next, say, server},
};
use bytes::Bytes;
use gateway::{Gateway, HeldReport, Positions};
use http::Request;
use http_body_util::Full;
use plan::{ExtractionName, Percent, Plan};
use protocol::{
    Epoch, Side,
    routing::{ExtractionRouting, Routing, Writes},
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// A monolith, and two extractions with a service each.
struct Shop {
    gateway: Gateway,
    monolith: Upstream,
    contracts: Upstream,
    parties: Upstream,
    mover: Arc<FakeMover>,
}

fn name(text: &str) -> ExtractionName {
    ExtractionName::new(text).unwrap()
}

impl Shop {
    async fn start() -> Self {
        Self::with("", "").await
    }

    /// Clients carry what they wrote, in a header per extraction.
    async fn with_tokens() -> Self {
        let header = |name: &str| {
            format!(", read-your-writes: {{ header: {name}, secret: sixteen-bytes-and-more }}")
        };
        Self::rolled_out("", "", &header("x-contracts"), &header("x-parties")).await
    }

    /// With more in the gateway's section and in the extraction of contracts.
    async fn with(gateway: &str, contracts: &str) -> Self {
        Self::rolled_out(gateway, contracts, "", "").await
    }

    async fn rolled_out(
        gateway: &str,
        contracts: &str,
        rollout: &str,
        others_rollout: &str,
    ) -> Self {
        let (monolith, one, other) = (
            Upstream::start("monolith").await,
            Upstream::start("contracts").await,
            Upstream::start("parties").await,
        );
        let text = format!(
            r#"
monolith: {{ url: "http://{}", database: "postgres://u:p@127.0.0.1:1/m" }}
services:
  contracts: {{ url: "http://{}", database: "postgres://u:p@127.0.0.1:1/s" }}
  parties: {{ url: "http://{}", database: "postgres://u:p@127.0.0.1:1/p" }}
gateway:
  listen: "127.0.0.1:0"
  workers: 2
  pin-wait: 20s
  routes:
    reports: {{ to: monolith, path: /rpc, operation: {{ json: method, is: ["reports.*"] }}, as: reads }}
{gateway}
extractions:
  contracts:
    service: contracts
    routes:
      - {{ path: /rpc, operation: {{ json: method, is: ["contracts.*"] }} }}
      - {{ path: /rpc, operation: {{ json: method, is: [contracts.get] }}, as: reads }}
      - {{ path: /graphql, operation: {{ graphql: [contract, sign] }} }}
    data: {{ mode: replicate, schema: s, tables: {{ public.c: {{}} }} }}
    rollout: {{ key: {{ header: x-user-id }}{rollout} }}
    switch: {{ hold: 60s, drain: 1ms, held-requests: 100 }}
{contracts}
  parties:
    service: parties
    routes:
      - {{ path: /rpc, operation: {{ json: method, is: ["parties.*"] }} }}
      - {{ path: /rpc, operation: {{ json: method, is: [parties.get] }}, as: reads }}
      - {{ path: /graphql, operation: {{ graphql: [party, addParty] }} }}
    data: {{ mode: replicate, schema: s, tables: {{ public.p: {{}} }} }}
    rollout: {{ key: {{ header: x-user-id }}{others_rollout} }}
    switch: {{ hold: 60s, drain: 1ms, held-requests: 100 }}
"#,
            monolith.address, one.address, other.address
        );
        let plan = Plan::parse(&text, |_| None).unwrap();
        let mover = FakeMover::new();
        let positions = Arc::clone(&mover) as Arc<dyn Positions>;
        let gateway = Gateway::start(&plan, positions).unwrap();
        gateway.renew_lease(Instant::now() + Duration::from_hours(1));
        let shop = Self {
            gateway,
            monolith,
            contracts: one,
            parties: other,
            mover,
        };
        // Until their starts are settled, nobody reads from a service.
        shop.publish(1, (TO_MONOLITH, 100), (TO_MONOLITH, 100));
        for (method, side) in [
            ("contracts.get", &shop.contracts),
            ("parties.get", &shop.parties),
        ] {
            let end = Instant::now() + DEADLINE;
            // With tokens, who has none is never read from a service.
            while rollout.is_empty() && side.count() == 0 {
                assert!(Instant::now() < end, "{method} never reached its service");
                let mut probe = build("POST", "/rpc", Some("probe"), &one_call(method));
                let key = http::HeaderValue::from_static("secret");
                probe.headers_mut().insert("x-api-key", key);
                let mut client = Client::connect(shop.gateway.local_addr()).await;
                client.request(probe).await.unwrap();
            }
        }
        shop.forget();
        shop
    }

    fn publish(&self, epoch: u64, contracts: (Writes, u16), parties: (Writes, u16)) {
        let routing = |(writes, reads): (Writes, u16)| ExtractionRouting {
            epoch: Epoch(epoch),
            writes,
            reads: Percent::from_basis_points(reads * 100).unwrap(),
        };
        self.gateway.publish(&Routing {
            extractions: BTreeMap::from([
                (name("contracts"), routing(contracts)),
                (name("parties"), routing(parties)),
            ]),
        });
    }

    fn forget(&self) {
        self.monolith.forget();
        self.contracts.forget();
        self.parties.forget();
    }

    /// How many requests each has seen.
    fn seen(&self) -> [usize; 3] {
        [&self.monolith, &self.contracts, &self.parties].map(Upstream::count)
    }

    async fn call(&self, body: &str, user: Option<&str>) -> Answer {
        let mut client = Client::connect(self.gateway.local_addr()).await;
        client.send("POST", "/rpc", user, body).await
    }

    async fn graphql(&self, document: &str) -> Answer {
        let body = serde_json::json!({ "query": document }).to_string();
        let mut client = Client::connect(self.gateway.local_addr()).await;
        client.send("POST", "/graphql", Some("u"), &body).await
    }

    async fn spawn(&self, body: &str, user: &'static str) -> tokio::task::JoinHandle<Answer> {
        let mut client = Client::connect(self.gateway.local_addr()).await;
        let body = body.to_owned();
        tokio::spawn(async move { client.send("POST", "/rpc", Some(user), &body).await })
    }

    async fn drained(&self, extraction: &str, epoch: u64) {
        let name = name(extraction);
        let drained = self.gateway.drained(&name, Epoch(epoch));
        tokio::time::timeout(DEADLINE, drained)
            .await
            .expect("never drained");
    }

    fn held(&self, extraction: &str) -> HeldReport {
        self.gateway.held(&name(extraction))
    }
}

fn one_call(method: &str) -> String {
    serde_json::json!({ "jsonrpc": "2.0", "id": 1, "method": method }).to_string()
}

fn batch(methods: &[&str]) -> String {
    let calls: Vec<String> = methods.iter().map(|method| one_call(method)).collect();
    format!("[{}]", calls.join(","))
}

#[track_caller]
fn assert_reason(answer: &Answer, status: u16, reason: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    let wanted = format!("\"reason\":\"{reason}\"");
    assert!(answer.body.contains(&wanted), "{answer:?}");
}

const ALL_READS: (Writes, u16) = (TO_MONOLITH, 100);
const AT_SERVICE: (Writes, u16) = (TO_SERVICE, 100);

#[tokio::test(flavor = "multi_thread")]
async fn a_call_goes_where_its_operation_belongs() {
    let shop = Shop::start().await;
    let to = async |method: &str| shop.call(&one_call(method), Some("u")).await.body;
    assert_eq!(to("contracts.get").await, "contracts");
    assert_eq!(to("parties.get").await, "parties");
    assert_eq!(to("contracts.sign").await, "monolith");
    assert_eq!(to("reports.daily").await, "monolith");
    assert_eq!(to("users.add").await, "monolith");
    shop.publish(2, AT_SERVICE, ALL_READS);
    assert_eq!(to("contracts.sign").await, "contracts");
    assert_eq!(to("parties.add").await, "monolith");
    assert_eq!(to("users.add").await, "monolith");
    // All of the body goes on, as it came.
    assert!(
        shop.contracts
            .bodies()
            .contains(&one_call("contracts.sign"))
    );
    let seen = shop.contracts.seen().pop().unwrap();
    assert_eq!(seen.header("x-forwarded-host"), Some("example.org"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_answered_by_the_owner_of_its_writes() {
    let shop = Shop::start().await;
    let to = async |methods: &[&str]| shop.call(&batch(methods), Some("u")).await;
    // Reads that mix: the monolith has all of it.
    assert_eq!(
        to(&["contracts.get", "contracts.get"]).await.body,
        "contracts"
    );
    assert_eq!(to(&["contracts.get", "parties.get"]).await.body, "monolith");
    assert_eq!(
        to(&["contracts.get", "reports.daily"]).await.body,
        "monolith"
    );
    // The monolith owns all writes, yet.
    assert_eq!(
        to(&["contracts.sign", "parties.add", "users.add"])
            .await
            .body,
        "monolith"
    );
    shop.publish(2, AT_SERVICE, ALL_READS);
    assert_eq!(
        to(&["contracts.sign", "contracts.get"]).await.body,
        "contracts"
    );
    let beside = to(&["reports.daily", "contracts.sign", "parties.get"]).await;
    assert_eq!((beside.status, beside.body.as_str()), (200, "contracts"));
    assert_eq!(beside.side(), Some("service"));
    assert_eq!(
        to(&["parties.add", "users.add", "contracts.get"])
            .await
            .body,
        "monolith"
    );
    shop.forget();
    for apart in [
        &["contracts.sign", "parties.add"][..],
        &["contracts.sign", "users.add"],
        // All reads of contracts are the service's: the monolith may be behind.
        &["contracts.get", "reports.daily"],
    ] {
        assert_reason(&to(apart).await, 422, "operations-apart");
    }
    assert_eq!(shop.seen(), [0, 0, 0]);
    // Where some of its reads stay with the monolith, that is kept up to date.
    shop.publish(2, (TO_SERVICE, 99), ALL_READS);
    let reads = to(&["contracts.get", "reports.daily"]).await;
    assert_eq!(reads.body, "monolith");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_told_reaches_nobody() {
    let shop = Shop::start().await;
    let post = async |headers: &[(&'static str, &'static str)], path: &str, body: &str| {
        let mut request = build("POST", path, Some("u"), body);
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let mut client = Client::connect(shop.gateway.local_addr()).await;
        client.request(request).await.unwrap()
    };
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let call = one_call("contracts.get");
    let twice = r#"{"method":"contracts.get","method":"contracts.sign"}"#;
    let like = r#"{"method":"contracts.get","Method":"contracts.sign"}"#;
    let large = format!(
        r#"{{"method":"contracts.sign","x":"{}"}}"#,
        "x".repeat(1 << 20)
    );
    let graphql = r#"{"query":"{ contract }"}"#;
    for (headers, path, body, status, reason) in [
        (&[][..], "/rpc", twice, 400, "operation-two-readings"),
        (&[], "/rpc", like, 400, "operation-two-readings"),
        (
            &[],
            "/rpc",
            "method=contracts.sign",
            400,
            "operation-not-json",
        ),
        (&[], "/rpc", "", 400, "operation-not-json"),
        (&form, "/rpc", &call, 415, "operation-not-json-type"),
        (
            &[("content-encoding", "gzip")],
            "/rpc",
            &call,
            415,
            "operation-not-json-type",
        ),
        (&[], "/rpc", &large, 413, "operation-too-large"),
        (
            &[],
            "/graphql",
            r#"{"query":"{ contract"}"#,
            400,
            "operation-not-graphql",
        ),
        (
            &[],
            "/graphql?query={party}",
            graphql,
            400,
            "operation-two-readings",
        ),
    ] {
        let answer = post(headers, path, body).await;
        assert_reason(&answer, status, reason);
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json")
        );
    }
    // Of no length beforehand.
    let mut raw = Raw::connect(shop.gateway.local_addr()).await;
    let chunk = "x".repeat(1 << 16);
    raw.write("POST /rpc HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n")
        .await;
    for _ in 0..17 {
        raw.write(&format!("10000\r\n{chunk}\r\n")).await;
    }
    raw.write("0\r\n\r\n").await;
    raw.until("\"title\":\"Payload Too Large\"}").await;
    assert_eq!(shop.seen(), [0, 0, 0]);
    // The connection goes on.
    raw.write("GET /x HTTP/1.1\r\nhost: a\r\n\r\n").await;
    raw.until("monolith").await;
    // Other paths take whatever comes.
    assert_eq!(post(&form, "/login", twice).await.body, "monolith");
    let refused = encoded(&shop.gateway);
    assert!(
        refused.contains("reason=\"operation-two-readings\"} 3"),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn graphql_is_routed_by_its_root_fields() {
    let shop = Shop::start().await;
    let to = async |document: &str| shop.graphql(document).await;
    assert_eq!(
        to("{ contract(id: 7) { party { name } } }").await.body,
        "contracts"
    );
    assert_eq!(to("{ party { name } __typename }").await.body, "parties");
    assert_eq!(
        to("{ contract party: party { id } }").await.body,
        "monolith"
    );
    assert_eq!(to("{ users { name } }").await.body, "monolith");
    assert_eq!(
        to("mutation { sign(id: 7) addParty { id } }").await.body,
        "monolith"
    );
    shop.publish(2, AT_SERVICE, ALL_READS);
    assert_eq!(
        to("mutation { contract: sign(id: 7) { id } }").await.body,
        "contracts"
    );
    assert_eq!(to("mutation { addParty { id } }").await.body, "monolith");
    assert_eq!(
        to("subscription { contract { id } }").await.body,
        "contracts"
    );
    let apart = to("mutation M { ...F } fragment F on Mutation { sign addParty }").await;
    assert_reason(&apart, 422, "operations-apart");

    let mut client = Client::connect(shop.gateway.local_addr()).await;
    let mut send = async |method: &str, path: &str, body: &str| {
        client.send(method, path, Some("u"), body).await
    };
    let get = send("GET", "/graphql?query=%7Bcontract%7Bid%7D%7D", "").await;
    assert_eq!(get.body, "contracts");
    assert_eq!(
        shop.contracts.seen().pop().unwrap().path,
        "/graphql?query=%7Bcontract%7Bid%7D%7D"
    );
    assert_eq!(send("GET", "/graphql", "").await.body, "monolith");
    let stored = r#"{"extensions":{"persistedQuery":{"version":1,"sha256Hash":"ab"}}}"#;
    assert_reason(
        &send("POST", "/graphql", stored).await,
        422,
        "operations-apart",
    );
    // While there is one owner, it may be anything.
    shop.publish(3, (TO_MONOLITH, 100), ALL_READS);
    assert_eq!(send("POST", "/graphql", stored).await.body, "monolith");
}

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

#[tokio::test(flavor = "multi_thread")]
async fn own_writes_are_read_by_operation_too() {
    let shop = Shop::start().await;
    let to = async |methods: &[&str]| shop.call(&batch(methods), Some("u")).await.body;
    shop.mover.position(Some(10));
    // One batch pins its client in both extractions.
    assert_eq!(to(&["contracts.sign", "parties.add"]).await, "monolith");
    assert_eq!(to(&["contracts.get"]).await, "monolith");
    assert_eq!(to(&["parties.get"]).await, "monolith");
    let stranger = shop.call(&one_call("contracts.get"), Some("x")).await;
    assert_eq!(stranger.body, "contracts");
    shop.mover.applied(Side::Monolith, 10);
    let end = Instant::now() + DEADLINE;
    while to(&["contracts.get"]).await != "contracts" {
        assert!(Instant::now() < end, "pinned for good");
    }
    // Written at the service: a mixed read waits until the monolith has it.
    shop.publish(2, (TO_SERVICE, 50), ALL_READS);
    shop.mover.position(Some(20));
    assert_eq!(to(&["contracts.sign", "parties.get"]).await, "contracts");
    let before = shop.monolith.count();
    let reading = shop
        .spawn(&batch(&["contracts.get", "reports.daily"]), "u")
        .await;
    let other = shop
        .call(&batch(&["contracts.get", "reports.daily"]), Some("x"))
        .await;
    assert_eq!(other.body, "monolith");
    assert_eq!(shop.monolith.count(), before + 1);
    assert!(!reading.is_finished());
    shop.mover.applied(Side::Service, 20);
    assert_eq!(reading.await.unwrap().body, "monolith");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_tells_its_client_of_every_extraction_that_it_wrote_to() {
    let shop = Shop::with_tokens().await;
    shop.mover.position(Some(10));
    let both = shop
        .call(&batch(&["contracts.sign", "parties.add"]), Some("u"))
        .await;
    assert_eq!(both.status, 200);
    for carrier in ["x-contracts", "x-parties"] {
        let token = both.header(carrier).expect(carrier).to_owned();
        // Another gateway would know it by that; this one, for whoever brings it.
        let method = ["contracts.get", "parties.get"][usize::from(carrier == "x-parties")];
        let read = async || {
            let mut request = build("POST", "/rpc", Some("x"), &one_call(method));
            request
                .headers_mut()
                .insert(carrier, token.parse().unwrap());
            let mut client = Client::connect(shop.gateway.local_addr()).await;
            client.request(request).await.unwrap().body
        };
        shop.mover.applied(Side::Monolith, 9);
        assert_eq!(read().await, "monolith");
    }
    let beside = shop
        .call(&batch(&["contracts.sign", "parties.get"]), Some("u"))
        .await;
    assert!(beside.header("x-contracts").is_some() && beside.header("x-parties").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_no_way_around_what_one_operation_demands() {
    let keys = "  consumers: { shop: { keys: [secret] } }\n";
    let shop_with = async |gateway: &str, contracts: &str| {
        let (gateway, contracts) = (format!("{keys}{gateway}"), contracts.to_owned());
        Shop::with(&gateway, &contracts).await
    };
    let shop = shop_with("", "    policies: { keys: {} }").await;
    let call = async |body: &str, key: Option<&str>| {
        let mut request = build("POST", "/rpc", Some("u"), body);
        if let Some(key) = key {
            request
                .headers_mut()
                .insert("x-api-key", key.parse().unwrap());
        }
        let mut client = Client::connect(shop.gateway.local_addr()).await;
        client.request(request).await.unwrap()
    };
    assert_eq!(call(&one_call("contracts.sign"), None).await.status, 401);
    assert_eq!(call(&one_call("parties.add"), None).await.status, 200);
    assert_eq!(
        call(&one_call("contracts.sign"), Some("secret"))
            .await
            .status,
        200
    );
    // Nobody gets past what is demanded by asking for two things at once.
    for key in [None, Some("secret")] {
        let both = call(&batch(&["parties.add", "contracts.sign"]), key).await;
        assert_reason(&both, 422, "operations-demands-differ");
    }
    let pair = call(&batch(&["contracts.get", "contracts.sign"]), None).await;
    assert_eq!(pair.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_all_demand_the_same_the_head_is_refused_without_the_body() {
    let gateway = "  consumers: { shop: { keys: [secret] } }\n  policies: { keys: {} }";
    let monolith = Upstream::start("monolith").await;
    let service = Upstream::start("service").await;
    let text = format!(
        r#"
monolith: {{ url: "http://{}", database: "postgres://u:p@127.0.0.1:1/m" }}
services:
  contracts: {{ url: "http://{}", database: "postgres://u:p@127.0.0.1:1/s" }}
gateway:
  listen: "127.0.0.1:0"
{gateway}
extractions:
  contracts:
    service: contracts
    routes: [{{ path: /rpc, operation: {{ json: method, is: ["contracts.*"] }} }}]
    data: {{ mode: replicate, schema: s, tables: {{ public.c: {{}} }} }}
"#,
        monolith.address, service.address
    );
    let plan = Plan::parse(&text, |_| None).unwrap();
    let bed = Bed::of(&plan, monolith, service);
    bed.publish(1, TO_MONOLITH, 0);
    let mut raw = Raw::connect(bed.gateway.local_addr()).await;
    raw.write("POST /rpc HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 9\r\n\r\n")
        .await;
    let answer = raw.whole().await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    let request = Request::post("/rpc")
        .header("host", "a")
        .header("x-api-key", "secret")
        .body(Full::new(Bytes::from(batch(&[
            "contracts.sign",
            "users.add",
        ]))));
    let answer = bed.client().await.request(request.unwrap()).await.unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (200, "monolith"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_may_carry_any_operation_of_its_path() {
    let ((monolith, open), (service, _)) = (server("monolith").await, server("service").await);
    let text = format!(
        r#"
monolith: {{ url: "http://{monolith}", database: "postgres://u:p@127.0.0.1:1/m" }}
services:
  contracts: {{ url: "http://{service}", database: "postgres://u:p@127.0.0.1:1/s" }}
gateway: {{ listen: "127.0.0.1:0" }}
extractions:
  contracts:
    service: contracts
    routes: [{{ path: /graphql, operation: {{ graphql: [contract] }}, as: reads }}]
    data: {{ mode: replicate, schema: s, tables: {{ public.c: {{}} }} }}
"#
    );
    let plan = Plan::parse(&text, |_| None).unwrap();
    let gateway = Gateway::start(&plan, FakeMover::new()).unwrap();
    gateway.renew_lease(Instant::now() + Duration::from_hours(1));
    gateway.publish(&routing(1, TO_MONOLITH, 0));
    let mut socket = connect(&gateway, "/graphql").await;
    assert_eq!(say(&mut socket, "1").await.as_deref(), Some("monolith: 1"));
    // It could write, so it does not outlive its owner.
    gateway.publish(&routing(2, HOLD, 0));
    assert_eq!(next(&mut socket).await, None);
    drained(&gateway, 2).await;
    until("closed at the monolith", || {
        open.load(Ordering::SeqCst) == 0
    })
    .await;
    gateway.publish(&routing(2, TO_SERVICE, 0));
    let mut raw = Raw::connect(gateway.local_addr()).await;
    raw.write(
        "GET /graphql HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
    )
    .await;
    raw.until("\"title\":\"Unprocessable Entity\"}").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_of_operations_is_explained() {
    let shop = Shop::start().await;
    let explain = |body: &str| {
        let request = Request::post("/rpc")
            .header("host", "a")
            .header("x-user-id", "u");
        let request = request.body(Bytes::from(body.to_owned())).unwrap();
        shop.gateway.explain(request, "127.0.0.1".parse().unwrap())
    };
    let one = explain(&one_call("contracts.get")).unwrap();
    assert_eq!(
        one.route.as_deref(),
        Some("/rpc method=contracts.get (reads)")
    );
    assert_eq!((one.kind, one.to.as_deref()), ("read", Some("contracts")));
    let mixed = explain(&batch(&["contracts.sign", "parties.get"])).unwrap();
    assert_eq!(
        mixed.belongs_to,
        "extraction contracts and extraction parties"
    );
    assert_eq!(mixed.to.as_deref(), Some("monolith"));
    assert_eq!(mixed.kind, "write, with reads beside it");
    shop.publish(2, (HOLD, 0), AT_SERVICE);
    let held = explain(&batch(&["contracts.sign", "parties.add"])).unwrap();
    assert_eq!(held.to, None);
    shop.publish(2, (TO_MONOLITH, 0), AT_SERVICE);
    let apart = explain(&batch(&["contracts.sign", "parties.add"])).unwrap();
    assert!(apart.why.starts_with("422: "), "{apart:?}");
    assert!(explain("").unwrap_err().contains("--data"));
    assert!(explain("{").unwrap_err().starts_with("400: "));
    let routes = shop.gateway.routes();
    let matches: Vec<_> = routes.iter().map(|route| route.matches.as_str()).collect();
    let shown = [
        "/rpc method=contracts.get (reads)",
        "/graphql graphql=contract,sign",
        "/rpc method=parties.get (reads)",
        "/graphql graphql=party,addParty",
    ];
    assert_eq!(matches[..4], shown);
}
