//! The gateway of this process, as the conductor sees gateways.

use async_trait::async_trait;
use conductor::ports::{Gateways, HoldReport};
use gateway::Gateway;
use plan::ExtractionName;
use protocol::{Epoch, GatewayId, routing::Routing};
use std::{
    collections::BTreeSet,
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

#[expect(clippy::cast_precision_loss, reason = "no hold lasts 2^53 ms")]
fn milliseconds(count: u64) -> f64 {
    count as f64
}
