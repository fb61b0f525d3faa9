//! An external service: a real server that answers what it is told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use http::StatusCode;
use parking_lot::Mutex;
use serde_json::{Value, json};
use testbed::deadline;
use tokio::sync::Notify;

use crate::scene::TIMEOUT;

/// What it answers.
#[derive(Debug, Clone)]
pub enum Says {
    Status(u16),
    /// After a while.
    Slowly(Duration),
    /// Never.
    Nothing,
    /// Another address.
    Elsewhere(String),
    /// A text that should be a catalogue.
    Text(String),
    /// The same, once it is let go.
    Held(Arc<Notify>, String),
}

#[derive(Debug)]
struct Shared {
    health: Mutex<Says>,
    panels: Mutex<Says>,
    asked_health: AtomicUsize,
    asked_panels: AtomicUsize,
}

#[derive(Debug, Clone)]
pub struct Upstream {
    pub url: String,
    shared: Arc<Shared>,
}

impl Upstream {
    pub async fn start() -> Self {
        let shared = Arc::new(Shared {
            health: Mutex::new(Says::Status(200)),
            panels: Mutex::new(Says::Text(catalogue(&[]))),
            asked_health: AtomicUsize::new(0),
            asked_panels: AtomicUsize::new(0),
        });
        let router = Router::new()
            .route("/api/health", get(health))
            .route("/api/reference-panels", get(panels))
            .with_state(Arc::clone(&shared));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/api", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, shared }
    }

    pub fn health(&self, says: Says) {
        *self.shared.health.lock() = says;
    }

    pub fn panels(&self, says: Says) {
        *self.shared.panels.lock() = says;
    }

    pub fn asked_health(&self) -> usize {
        self.shared.asked_health.load(Ordering::SeqCst)
    }

    pub fn asked_panels(&self) -> usize {
        self.shared.asked_panels.load(Ordering::SeqCst)
    }

    pub async fn until_asked_panels(&self, times: usize) {
        let asked = || Ok((self.asked_panels() >= times).then_some(()));
        deadline::poll("the catalogue to be asked for", TIMEOUT, asked)
            .await
            .unwrap();
    }

    /// What the registry is told of it; it is asked only when somebody says so.
    pub fn told(&self, name: &str) -> Value {
        json!({
            "name": name, "url": self.url, "kind": "imputation",
            "check_interval_seconds": 86_400, "sync_interval_seconds": 604_800,
        })
    }
}

/// A catalogue of panels, by id and number of samples.
pub fn catalogue(panels: &[(&str, u64)]) -> String {
    let panel = |(id, samples): &(&str, u64)| json!({ "id": id, "name": id, "samples": samples });
    json!({ "panels": panels.iter().map(panel).collect::<Vec<_>>() }).to_string()
}

async fn health(State(shared): State<Arc<Shared>>) -> Response {
    shared.asked_health.fetch_add(1, Ordering::SeqCst);
    let says = shared.health.lock().clone();
    say(says).await
}

async fn panels(State(shared): State<Arc<Shared>>) -> Response {
    shared.asked_panels.fetch_add(1, Ordering::SeqCst);
    let says = shared.panels.lock().clone();
    say(says).await
}

async fn say(says: Says) -> Response {
    match says {
        Says::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Says::Slowly(time) => {
            tokio::time::sleep(time).await;
            StatusCode::OK.into_response()
        }
        Says::Nothing => std::future::pending().await,
        Says::Elsewhere(url) => Redirect::temporary(&url).into_response(),
        Says::Text(text) => text.into_response(),
        Says::Held(go, text) => {
            go.notified().await;
            text.into_response()
        }
    }
}
