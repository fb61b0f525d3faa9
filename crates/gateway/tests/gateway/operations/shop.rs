//! A gateway before a monolith and two services, and what is asked of it.

use crate::support::*;
use gateway::{Gateway, HeldReport, Positions};
use plan::{ExtractionName, Percent, Plan};
use protocol::{
    Epoch,
    routing::{ExtractionRouting, Routing, Writes},
};
use std::{collections::BTreeMap, sync::Arc, time::Instant};

/// A monolith, and two extractions with a service each.
pub struct Shop {
    pub gateway: Gateway,
    pub monolith: Upstream,
    pub contracts: Upstream,
    pub parties: Upstream,
    pub mover: Arc<FakeMover>,
}

pub fn name(text: &str) -> ExtractionName {
    ExtractionName::new(text).unwrap()
}

impl Shop {
    pub async fn start() -> Self {
        Self::with("", "").await
    }

    /// Clients carry what they wrote, in a header per extraction.
    pub async fn with_tokens() -> Self {
        let header = |name: &str| {
            format!(", read-your-writes: {{ header: {name}, secret: sixteen-bytes-and-more }}")
        };
        Self::rolled_out("", "", &header("x-contracts"), &header("x-parties")).await
    }

    /// With more in the gateway's section and in the extraction of contracts.
    pub async fn with(gateway: &str, contracts: &str) -> Self {
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
        let gateway = with_lease(&plan, positions);
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

    pub fn publish(&self, epoch: u64, contracts: (Writes, u16), parties: (Writes, u16)) {
        self.publish_following(true, epoch, contracts, parties);
    }

    /// The same; `follows`: the side that does not own is kept up to date.
    pub fn publish_following(
        &self,
        follows: bool,
        epoch: u64,
        contracts: (Writes, u16),
        parties: (Writes, u16),
    ) {
        let routing = |(writes, reads): (Writes, u16)| ExtractionRouting {
            instance: None,
            epoch: Epoch(epoch),
            writes,
            reads: Percent::from_basis_points(reads * 100).unwrap(),
            follows,
        };
        self.gateway.publish(&Routing {
            extractions: BTreeMap::from([
                (name("contracts"), routing(contracts)),
                (name("parties"), routing(parties)),
            ]),
        });
    }

    pub fn forget(&self) {
        self.monolith.forget();
        self.contracts.forget();
        self.parties.forget();
    }

    /// How many requests each has seen.
    pub fn seen(&self) -> [usize; 3] {
        [&self.monolith, &self.contracts, &self.parties].map(Upstream::count)
    }

    pub async fn call(&self, body: &str, user: Option<&str>) -> Answer {
        let mut client = Client::connect(self.gateway.local_addr()).await;
        client.send("POST", "/rpc", user, body).await
    }

    pub async fn graphql(&self, document: &str) -> Answer {
        let body = serde_json::json!({ "query": document }).to_string();
        let mut client = Client::connect(self.gateway.local_addr()).await;
        client.send("POST", "/graphql", Some("u"), &body).await
    }

    pub async fn spawn(&self, body: &str, user: &'static str) -> tokio::task::JoinHandle<Answer> {
        let mut client = Client::connect(self.gateway.local_addr()).await;
        let body = body.to_owned();
        tokio::spawn(async move { client.send("POST", "/rpc", Some(user), &body).await })
    }

    pub async fn drained(&self, extraction: &str, epoch: u64) {
        let name = name(extraction);
        let drained = self.gateway.drained(&name, Epoch(epoch));
        tokio::time::timeout(DEADLINE, drained)
            .await
            .expect("never drained");
    }

    pub fn held(&self, extraction: &str) -> HeldReport {
        self.gateway.held(&name(extraction))
    }
}

pub fn one_call(method: &str) -> String {
    serde_json::json!({ "jsonrpc": "2.0", "id": 1, "method": method }).to_string()
}

pub fn batch(methods: &[&str]) -> String {
    let calls: Vec<String> = methods.iter().map(|method| one_call(method)).collect();
    format!("[{}]", calls.join(","))
}

#[track_caller]
pub fn assert_reason(answer: &Answer, status: u16, reason: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    let wanted = format!("\"reason\":\"{reason}\"");
    assert!(answer.body.contains(&wanted), "{answer:?}");
}

pub const ALL_READS: (Writes, u16) = (TO_MONOLITH, 100);
pub const AT_SERVICE: (Writes, u16) = (TO_SERVICE, 100);
