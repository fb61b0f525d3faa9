//! Measures what gates of the plan ask for outside of Banyan.

#[cfg(test)]
mod asking;
mod command;
mod http_exchange;
mod prometheus;
mod webhook;

pub(crate) use command::is_there;

use async_trait::async_trait;
use conductor::ports::{Gauges, Measurement, Occasion};
use http_exchange::HttpClient;
use plan::{GateSource, MeasuredGate, PrometheusQuery};
use std::time::Duration;
use tokio::time::timeout;

/// Asks Prometheus, webhooks and commands.
pub(crate) struct Outside {
    http: HttpClient,
}

impl Outside {
    pub(crate) fn new() -> Self {
        Self {
            http: HttpClient::new(),
        }
    }

    /// Whether Prometheus answers a query at all; the error says why not.
    pub(crate) async fn reaches(
        &self,
        query: &PrometheusQuery,
        limit: Duration,
    ) -> Result<(), String> {
        let asked = prometheus::measure(&self.http, query);
        within(limit, asked).await.map(drop)
    }
}

#[async_trait]
impl Gauges for Outside {
    async fn measure(
        &self,
        gate: &MeasuredGate,
        occasion: &Occasion,
    ) -> Result<Measurement, String> {
        match &gate.source {
            GateSource::Prometheus(query) => {
                let asked = prometheus::measure(&self.http, query);
                within(gate.timeout, asked).await
            }
            GateSource::Webhook(webhook) => {
                let asked = webhook::measure(&self.http, webhook, occasion);
                within(gate.timeout, asked).await
            }
            GateSource::Command(words) => {
                let variables = [
                    ("BANYAN_GATE", gate.name.as_str()),
                    ("BANYAN_STEP", occasion.step.as_str()),
                    ("BANYAN_EXTRACTION", occasion.extraction.as_str()),
                ];
                command::measure(words, &variables, gate.timeout).await
            }
        }
    }
}

async fn within<T>(
    limit: Duration,
    asked: impl Future<Output = Result<T, String>>,
) -> Result<T, String> {
    let answered = timeout(limit, asked).await;
    answered.unwrap_or_else(|_| Err(format!("no answer within {limit:?}")))
}
