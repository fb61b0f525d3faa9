//! What the API needs of the process that it is in.

use super::messages::{ExplainRequest, ReloadReply};
use crate::{
    ports::Predecessor,
    status::{FailedRoute, HealthStatus, KeyStatus, RefusalStatus},
};
use async_trait::async_trait;
use plan::{ExtractionName, People};
use std::sync::Arc;

/// What the gateway tells about its routes, and how it gets others.
#[async_trait]
pub trait Routes: Send + Sync {
    /// A digest of the text of the plan as it now is.
    fn plan_digest(&self) -> Arc<str> {
        Arc::default()
    }
    /// Whether the plan names an old way to an extraction's old side: whom a brown-out could
    /// refuse.
    fn has_old_ways(&self, _: &ExtractionName) -> bool {
        true
    }
    /// Who has a personal key by the plan as it now is.
    fn people(&self) -> Arc<People> {
        Arc::default()
    }
    /// Where Grafana's pages are.
    fn grafana(&self) -> Option<Arc<str>> {
        None
    }
    /// All, in the order in which they are tried.
    fn routes(&self) -> serde_json::Value;
    /// How both sides of an extraction are; `None`: it is not the plan's any more.
    fn health(&self, extraction: &ExtractionName) -> Option<HealthStatus>;
    /// Of how many reads the client was known.
    fn keys(&self, _: &ExtractionName) -> Option<KeyStatus> {
        None
    }
    /// The share of an extraction's reads of which copies are compared.
    fn shadow_percent(&self, _: &ExtractionName) -> Option<f64> {
        None
    }
    /// What the fences of an extraction have refused.
    fn refusals(&self, _: &ExtractionName) -> Vec<RefusalStatus> {
        Vec::new()
    }
    /// Routes of an extraction whose reads write at the service, as its fence and its
    /// answers show.
    fn writing_reads(&self, _: &ExtractionName) -> Vec<FailedRoute> {
        Vec::new()
    }
    /// Has the routes whose reads write now shifted all the same, until the process
    /// ends; says which.
    fn waive_writing_reads(&self, _: &ExtractionName) -> Vec<FailedRoute> {
        Vec::new()
    }
    /// Asks an extraction's service whether it can work; says what is wrong. It is not
    /// unhealthy before as many checks in a row have failed as the plan's `fall`.
    async fn service_problem(&self, extraction: &ExtractionName) -> Option<String>;
    /// Earlier processes that still answer requests.
    fn predecessors(&self) -> Vec<Predecessor> {
        Vec::new()
    }
    /// What comparing both sides' answers to an extraction's reads has found.
    fn shadow(&self, extraction: &ExtractionName) -> serde_json::Value;
    /// What is said of each feature flag now.
    fn flags(&self) -> serde_json::Value {
        serde_json::json!([])
    }
    /// What would become of a request. The error is what its client would be
    /// told, or why the question makes no sense.
    fn explain(&self, question: &ExplainRequest) -> Result<serde_json::Value, String>;
    /// Reads the plan again and goes by it; says how its steps differ from before. The
    /// error says why it goes by the old one.
    async fn reload(&self) -> Result<ReloadReply, String>;
}
