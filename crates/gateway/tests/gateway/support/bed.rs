//! A gateway between a monolith and a service.

use super::{Answer, Client, DEADLINE, FakeMover, Knobs, Upstream, plan, shaped};
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

pub fn contracts() -> ExtractionName {
    ExtractionName::new("contracts").unwrap()
}

pub fn routing(epoch: u64, writes: Writes, reads: u16) -> Routing {
    let reads = Percent::from_basis_points(reads * 100).unwrap();
    let routing = ExtractionRouting {
        instance: None,
        epoch: Epoch(epoch),
        writes,
        reads,
        follows: true,
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
        Self::changed(knobs, |_| {}).await
    }

    /// Like [`Bed::unpublished`], with a change that no text of a plan says.
    pub async fn changed(knobs: Knobs, change: impl FnOnce(&mut Plan)) -> Self {
        Self::planned(|monolith, service| {
            let mut plan = plan(knobs, "127.0.0.1:0", monolith, service);
            change(&mut plan);
            plan
        })
        .await
    }

    /// Like [`Bed::unpublished`], by the plan that is made of the addresses of
    /// the monolith and the service.
    pub async fn planned(plan: impl FnOnce(SocketAddr, SocketAddr) -> Plan) -> Self {
        let monolith = Upstream::start("monolith").await;
        let service = Upstream::start("service").await;
        let plan = plan(monolith.address, service.address);
        Self::of(&plan, monolith, service)
    }

    /// Like [`Bed::unpublished`], with these settings of the monolith, the
    /// service and the gateway.
    pub async fn shaped(monolith: &str, service: &str, gateway: &str) -> Self {
        Self::planned(|old, new| {
            shaped(
                &format!("url: \"http://{old}\", {monolith}"),
                &format!("url: \"http://{new}\", {service}"),
                gateway,
            )
        })
        .await
    }

    /// Like [`Bed::shaped`], with writes going to the monolith and reads to the
    /// service, and its start settled.
    pub async fn shaped_and_settled(monolith: &str, service: &str, gateway: &str) -> Self {
        let bed = Self::shaped(monolith, service, gateway).await;
        bed.settle(TO_MONOLITH, 100).await;
        bed
    }

    /// A gateway in front of upstreams that are there already.
    pub fn of(plan: &Plan, monolith: Upstream, service: Upstream) -> Self {
        let mover = FakeMover::new();
        let gateway = with_lease(plan, Arc::clone(&mover) as Arc<dyn Positions>);
        Self {
            gateway,
            monolith,
            service,
            mover,
        }
    }

    /// Another gateway with the same mover.
    pub fn another(&self, plan: &Plan) -> Gateway {
        with_lease(plan, Arc::clone(&self.mover) as Arc<dyn Positions>)
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

    /// What upstreams answered with 5xx: how often, who, and what was asked.
    pub fn failed_answers(&self) -> Vec<String> {
        let all = self.gateway.failed_answers().into_iter();
        let text = |(kind, count): (gateway::FailedKind, u64)| {
            let asked = if kind.is_read { "read" } else { "write" };
            let (upstream, method, path) = (kind.upstream, kind.method, kind.path);
            format!("{count} {upstream} {method} {path} {asked}")
        };
        all.map(text).collect()
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
    let gateway = with_lease(&plan, FakeMover::new());
    gateway.publish(&routing(1, TO_MONOLITH, 0));
    gateway
}

/// A gateway with a lease that outlasts the test, and nothing published.
pub fn with_lease(plan: &Plan, positions: Arc<dyn Positions>) -> Gateway {
    let gateway = Gateway::start(plan, positions).unwrap();
    gateway.renew_lease(Instant::now() + Duration::from_hours(1));
    gateway
}
