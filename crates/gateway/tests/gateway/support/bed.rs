//! A gateway between a monolith and a service.

use super::{Answer, Client, DEADLINE, FakeMover, Upstream};
use gateway::{Gateway, Positions};
use plan::{ExtractionName, Percent, Plan};
use protocol::{
    Epoch, Side,
    routing::{ExtractionRouting, Routing, Writes},
};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

/// A gateway between a monolith and a service.
pub struct Bed {
    pub gateway: Gateway,
    pub monolith: Upstream,
    pub service: Upstream,
    pub mover: Arc<FakeMover>,
}

/// What the tests change in a plan.
#[derive(Clone, Copy)]
pub struct Knobs {
    pub workers: usize,
    pub pin_wait: &'static str,
    pub first_byte: &'static str,
    pub upstream_idle: &'static str,
    pub upgraded_idle: &'static str,
    pub hold: &'static str,
    pub held_requests: usize,
    pub held_bytes: &'static str,
    /// `gateway.client`.
    pub client: &'static str,
    /// Lines of the gateway's section.
    pub gateway: &'static str,
    /// Lines of the extraction's.
    pub extraction: &'static str,
    pub environment: fn(&str) -> Option<String>,
}

impl Default for Knobs {
    fn default() -> Self {
        Self {
            workers: 2,
            pin_wait: "60s",
            first_byte: "60s",
            upstream_idle: "10s",
            upgraded_idle: "20s",
            hold: "60s",
            held_requests: 100,
            held_bytes: "1MiB",
            client: "{}",
            gateway: "",
            extraction: "",
            environment: |_| None,
        }
    }
}

pub fn plan(knobs: Knobs, listen: &str, monolith: SocketAddr, service: SocketAddr) -> Plan {
    let Knobs {
        workers,
        pin_wait,
        first_byte,
        upstream_idle,
        upgraded_idle,
        hold,
        held_requests,
        held_bytes,
        client,
        gateway,
        extraction,
        environment,
    } = knobs;
    let text = format!(
        r#"
monolith: {{ url: "http://{monolith}", database: "postgres://u:p@127.0.0.1:1/m" }}
services:
  contracts: {{ url: "http://{service}", database: "postgres://u:p@127.0.0.1:1/s" }}
gateway:
  listen: "{listen}"
  workers: {workers}
  pin-wait: {pin_wait}
  first-byte: {first_byte}
  upstream-idle: {upstream_idle}
  upgraded-idle: {upgraded_idle}
  client: {client}
{gateway}
extractions:
  contracts:
    service: contracts
    routes: [{{ path: /api/contracts/* }}, {{ path: /api/contracts/once, as: reads-once }}]
    data: {{ mode: replicate, schema: s, tables: {{ public.t: {{}} }} }}
    rollout: {{ key: {{ header: x-user-id }} }}
    switch: {{ hold: {hold}, drain: 1ms, held-requests: {held_requests}, held-bytes: {held_bytes} }}
{extraction}
"#
    );
    Plan::parse(&text, environment).unwrap()
}

/// A plan whose upstreams are written out: the inside of `monolith:`, of the
/// service and of `gateway:`, but for databases and addresses to listen on.
pub fn shaped(monolith: &str, service: &str, gateway: &str) -> Plan {
    let text = format!(
        r#"
monolith: {{ database: "postgres://u:p@127.0.0.1:1/m", {monolith} }}
services:
  contracts: {{ database: "postgres://u:p@127.0.0.1:1/s", {service} }}
gateway: {{ listen: "127.0.0.1:0", workers: 1, pin-wait: 20s, {gateway} }}
extractions:
  contracts:
    service: contracts
    routes: [{{ path: /api/contracts/* }}, {{ path: /api/contracts/once, as: reads-once }}]
    data: {{ mode: replicate, schema: s, tables: {{ public.t: {{}} }} }}
    rollout: {{ key: {{ header: x-user-id }} }}
"#
    );
    Plan::parse(&text, |_| None).unwrap()
}

pub fn contracts() -> ExtractionName {
    ExtractionName::new("contracts").unwrap()
}

pub fn routing(epoch: u64, writes: Writes, reads: u16) -> Routing {
    let reads = Percent::from_basis_points(reads * 100).unwrap();
    let routing = ExtractionRouting {
        epoch: Epoch(epoch),
        writes,
        reads,
    };
    Routing {
        extractions: BTreeMap::from([(contracts(), routing)]),
    }
}

pub const TO_MONOLITH: Writes = Writes::To(Side::Monolith);
pub const TO_SERVICE: Writes = Writes::To(Side::Service);
pub const HOLD: Writes = Writes::Hold {
    from: Side::Monolith,
};

impl Bed {
    /// Both sides up, the lease running, nothing published.
    pub async fn unpublished(knobs: Knobs) -> Self {
        let monolith = Upstream::start("monolith").await;
        let service = Upstream::start("service").await;
        let plan = plan(knobs, "127.0.0.1:0", monolith.address, service.address);
        Self::of(&plan, monolith, service)
    }

    /// A gateway in front of upstreams that are there already.
    pub fn of(plan: &Plan, monolith: Upstream, service: Upstream) -> Self {
        let mover = FakeMover::new();
        let gateway = Gateway::start(plan, Arc::clone(&mover) as Arc<dyn Positions>).unwrap();
        gateway.renew_lease(Instant::now() + Duration::from_hours(1));
        Self {
            gateway,
            monolith,
            service,
            mover,
        }
    }

    /// With the first routing published, and its start settled.
    pub async fn start(knobs: Knobs, writes: Writes, reads: u16) -> Self {
        let bed = Self::unpublished(knobs).await;
        bed.settle(writes, reads).await;
        bed
    }

    /// Publishes the first routing, once its start is settled.
    pub async fn settle(&self, writes: Writes, reads: u16) {
        let bed = self;
        let (Writes::To(owner) | Writes::Hold { from: owner }) = writes else {
            panic!("only an owner has a start")
        };
        // Once it is settled, clients are read from the other side, too.
        bed.publish(
            0,
            Writes::To(owner),
            if owner == Side::Monolith { 100 } else { 0 },
        );
        bed.client()
            .await
            .reads_from(owner.other(), "/api/contracts", Some("probe"))
            .await;
        bed.monolith.forget();
        bed.service.forget();
        bed.publish(1, writes, reads);
    }

    pub fn publish(&self, epoch: u64, writes: Writes, reads: u16) {
        self.gateway.publish(&routing(epoch, writes, reads));
    }

    pub async fn drained(&self, epoch: u64) {
        let name = contracts();
        let drained = self.gateway.drained(&name, Epoch(epoch));
        tokio::time::timeout(DEADLINE, drained)
            .await
            .expect("never drained");
    }

    pub fn held(&self) -> gateway::HeldReport {
        self.gateway.held(&contracts())
    }

    pub async fn client(&self) -> Client {
        Client::connect(self.gateway.local_addr()).await
    }

    /// One request on a connection of its own.
    pub async fn get(&self, path: &str, user: Option<&str>) -> Answer {
        self.client().await.send("GET", path, user, "").await
    }

    pub async fn post(&self, path: &str, user: Option<&str>, body: &str) -> Answer {
        self.client().await.send("POST", path, user, body).await
    }

    /// A request that goes on while the test does.
    pub async fn spawn(
        &self,
        method: &'static str,
        path: &'static str,
        user: Option<&'static str>,
        body: &str,
    ) -> tokio::task::JoinHandle<Answer> {
        let mut client = self.client().await;
        let body = body.to_owned();
        tokio::spawn(async move { client.send(method, path, user, &body).await })
    }

    /// The value of a metric's line that begins so; 0 where there is none.
    pub fn metric(&self, line: &str) -> u64 {
        let text = self.metrics();
        let mut lines = text.lines().filter_map(|found| found.strip_prefix(line));
        let value = lines.next().map(|value| value.trim().parse().unwrap());
        value.unwrap_or(0)
    }

    pub fn metrics(&self) -> String {
        encoded(&self.gateway)
    }
}

/// A gateway's metrics, as they are scraped.
pub fn encoded(gateway: &Gateway) -> String {
    let mut registry = prometheus_client::registry::Registry::default();
    gateway.metrics(&mut registry);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    text
}

/// A gateway between two servers of any kind, with the lease running and writes
/// of the extraction going to the monolith.
pub fn between(knobs: Knobs, monolith: SocketAddr, service: SocketAddr) -> Gateway {
    let plan = plan(knobs, "127.0.0.1:0", monolith, service);
    let gateway = Gateway::start(&plan, FakeMover::new()).unwrap();
    gateway.renew_lease(Instant::now() + Duration::from_hours(1));
    gateway.publish(&routing(1, TO_MONOLITH, 0));
    gateway
}
