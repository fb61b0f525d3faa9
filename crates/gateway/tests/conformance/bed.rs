//! A gateway in front of a recording upstream.

use crate::upstream::Upstream;
use gateway::{Gateway, Positions, Sample};
use plan::{ExtractionName, Percent, Plan};
use protocol::{
    Epoch, Lsn, Side,
    routing::{ExtractionRouting, Routing, Writes},
};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::watch;

/// What rows ask for; it stays with the monolith.
pub const STAYS: &str = "/x";

/// The same below a route of an extraction, whose writes are read before they
/// are sent.
pub const EXTRACTED: &str = "/api/items/x";

/// All is applied at once.
struct Applied;

impl Positions for Applied {
    fn sample(&self, _: &ExtractionName, _: Side) -> Sample {
        Box::pin(async { Some(Lsn(0)) })
    }

    fn applied(&self, _: &ExtractionName, _: Side) -> watch::Receiver<Lsn> {
        watch::Sender::new(Lsn(0)).subscribe()
    }
}

/// A gateway with the defaults, both of whose sides are one upstream.
pub struct Bed {
    pub gateway: Gateway,
    pub upstream: Upstream,
}

impl Bed {
    pub fn start() -> Self {
        let upstream = Upstream::start();
        let gateway = before(upstream.address, "");
        Self { gateway, upstream }
    }
}

/// A gateway whose sides are this upstream, with these settings.
pub fn before(upstream: SocketAddr, settings: &str) -> Gateway {
    let url = format!("http://{upstream}");
    let text = format!(
        r#"
monolith: {{ url: "{url}", {settings} database: "postgres://u:p@127.0.0.1:1/m" }}
services:
  items: {{ url: "{url}", database: "postgres://u:p@127.0.0.1:1/s" }}
gateway: {{ listen: "127.0.0.1:0", workers: 1 }}
extractions:
  items:
    service: items
    routes: [{{ path: /api/items/* }}]
    data: {{ mode: replicate, schema: s, tables: {{ public.t: {{}} }} }}
    rollout: {{ key: {{ header: x-user-id }} }}
"#
    );
    let plan = Plan::parse(&text, |_| None).unwrap();
    let gateway = Gateway::start(&plan, Arc::new(Applied)).unwrap();
    gateway.renew_lease(Instant::now() + Duration::from_hours(1));
    let routing = ExtractionRouting {
        instance: None,
        epoch: Epoch(1),
        writes: Writes::To(Side::Monolith),
        reads: Percent::from_basis_points(0).unwrap(),
        follows: true,
    };
    let name = ExtractionName::new("items").unwrap();
    let extractions = BTreeMap::from([(name, routing)]);
    gateway.publish(&Routing { extractions });
    gateway
}
