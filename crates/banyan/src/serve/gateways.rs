//! The gateway of this process, as the conductor sees gateways.

use async_trait::async_trait;
use conductor::{
    api::{Question, Routes},
    ports::{Gateways, HoldReport},
};
use gateway::Gateway;
use http::{Request, header, header::Entry};
use plan::ExtractionName;
use protocol::{Epoch, GatewayId, routing::Routing};
use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr},
    time::{Duration, Instant},
};

/// The longest that a report waits for held requests to be released.
const RELEASE: Duration = Duration::from_millis(500);

/// How often it looks.
const LOOK: Duration = Duration::from_millis(5);

pub(super) struct LocalGateway {
    gateway: Gateway,
}

impl LocalGateway {
    pub(super) fn new(gateway: Gateway) -> Self {
        Self { gateway }
    }
}

#[async_trait]
impl Gateways for LocalGateway {
    fn live(&self) -> BTreeSet<GatewayId> {
        // It lives as long as this process, and so does the conductor.
        BTreeSet::from([self.gateway.id()])
    }

    fn publish(&self, routing: Routing) {
        self.gateway.publish(&routing);
    }

    fn renew_lease(&self, lease: Duration) {
        self.gateway.renew_lease(Instant::now() + lease);
    }

    async fn held(&self, gateway: GatewayId, extraction: &ExtractionName, epoch: Epoch) {
        if gateway == self.gateway.id() {
            self.gateway.drained(extraction, epoch).await;
        }
        // Any other is of an earlier process: its lease has ended with it.
    }

    async fn hold_report(&self, extraction: &ExtractionName) -> HoldReport {
        let until = Instant::now() + RELEASE;
        let mut report = self.gateway.held(extraction);
        while report.now > 0 && Instant::now() < until {
            tokio::time::sleep(LOOK).await;
            report = self.gateway.held(extraction);
        }
        HoldReport {
            held_requests: report.released,
            hold_ms_max: milliseconds(report.hold_ms_max),
            hold_ms_p50: milliseconds(report.hold_ms_p50),
        }
    }
}

impl Routes for LocalGateway {
    fn routes(&self) -> serde_json::Value {
        serde_json::json!(self.gateway.routes())
    }

    fn explain(&self, question: &Question) -> Result<serde_json::Value, String> {
        let from = question.from.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let mut request = Request::builder()
            .method(question.method.as_str())
            .uri(question.url.as_str());
        for (name, value) in &question.headers {
            request = request.header(name, value);
        }
        let mut request = request
            .body(())
            .map_err(|error| format!("that is no request: {error}"))?;
        let host = request
            .uri()
            .authority()
            .map(|host| host.as_str().to_owned());
        let host = host.unwrap_or_else(|| "localhost".to_owned());
        if let (Entry::Vacant(missing), Ok(host)) =
            (request.headers_mut().entry(header::HOST), host.parse())
        {
            missing.insert(host);
        }
        let explanation = self.gateway.explain(request, from)?;
        Ok(serde_json::json!(explanation))
    }
}

#[expect(clippy::cast_precision_loss, reason = "no hold lasts 2^53 ms")]
fn milliseconds(count: u64) -> f64 {
    count as f64
}
