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
use plan::{GateSource, MeasuredGate, PrometheusQuery, Webhook};
use std::time::Duration;
use tokio::{net::TcpStream, time::timeout};

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

    /// What Prometheus finds by a query now, a value of each series. The error says why it
    /// has no answer.
    pub(crate) async fn values(
        &self,
        query: &PrometheusQuery,
        limit: Duration,
    ) -> Result<Vec<f64>, String> {
        let asked = prometheus::measure(&self.http, query);
        let Measurement::Series(all) = within(limit, asked).await? else {
            return Ok(Vec::new());
        };
        let last = all.iter().filter_map(|series| series.last());
        Ok(last.map(|sample| sample.value).collect())
    }

    /// Whether somebody listens for a webhook. Nothing is asked: that may have effects.
    pub(crate) async fn listens(webhook: &Webhook, limit: Duration) -> Result<(), String> {
        let host = webhook.url.host_str().unwrap_or_default();
        // Of an address of six groups.
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = webhook.url.port_or_known_default().unwrap_or_default();
        let connected = async {
            let stream = TcpStream::connect((host, port)).await;
            stream.map(drop).map_err(|error| error.to_string())
        };
        within(limit, connected).await
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
