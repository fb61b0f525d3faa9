//! The conductor's HTTP API: what the command line talks to.
//!
//! | call | answer |
//! |---|---|
//! | `GET /v1/status` | [`Status`] |
//! | `POST /v1/extractions/{name}/{verb}` | [`Reply`], when it is done |
//! | `GET /v1/extractions/{name}/shadow` | where both sides answer reads differently |
//! | `GET /v1/routes` | the gateway's routes, in the order of their priority |
//! | `POST /v1/explain` | what the gateway would do with a [`Question`] |
//! | `POST /v1/reload` | `{}`, once the gateway goes by the plan as it now is |
//! | `GET /metrics` | OpenMetrics' text, or Prometheus' protobuf, without a token |
//! | `GET /health` | 200 |
//!
//! Verbs: `start`, `shift` (body `{"reads": "10%"}`; `"writes"`, too, where both
//! sides share the data), `withdraw`, `verify`, `switch`, `rollback`, `cancel`. Everything but metrics and health needs the bearer
//! token of the state directory. Giving up waiting stops nothing.

use crate::{
    ports::Verification,
    status::{ExtractionStatus, Status},
    worker::{Asked, Refused, Shift, Worker},
};
use async_trait::async_trait;
use axum::{
    Json, Router,
    extract::{Path, Request, State},
    http::{StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use plan::{ExtractionName, Percent};
use protocol::{Side, finding::Finding};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};
use subtle::ConstantTimeEq;

/// How `/metrics` is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposition {
    /// OpenMetrics' text.
    Text,
    /// Prometheus' own messages, which have native histograms.
    Protobuf,
}

impl Exposition {
    /// The one that a scraper asks for.
    fn asked(accept: &str) -> Self {
        if accept.contains("application/vnd.google.protobuf")
            && accept.contains("proto=io.prometheus.client.MetricFamily")
        {
            Self::Protobuf
        } else {
            Self::Text
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Text => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Protobuf => {
                "application/vnd.google.protobuf; \
                 proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
        }
    }
}

/// Makes what `/metrics` answers.
pub type Metrics = Arc<dyn Fn(Exposition) -> Vec<u8> + Send + Sync>;

/// A request that somebody asks about.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// Its method.
    pub method: String,
    /// Its path and query, or a whole URL.
    pub url: String,
    /// Its headers, in their order.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// The client's address; the local one when left out.
    #[serde(default)]
    pub from: Option<std::net::IpAddr>,
    /// Its body, which counts where operations share a path.
    #[serde(default)]
    pub data: String,
}

/// What the gateway tells about its routes, and how it gets others.
#[async_trait]
pub trait Routes: Send + Sync {
    /// All, in the order in which they are tried.
    fn routes(&self) -> serde_json::Value;
    /// What comparing both sides' answers to an extraction's reads has found.
    fn shadow(&self, extraction: &ExtractionName) -> serde_json::Value;
    /// What would become of a request. The error is what its client would be
    /// told, or why the question makes no sense.
    fn explain(&self, question: &Question) -> Result<serde_json::Value, String>;
    /// Reads the plan again and goes by it. The error says why it goes by the
    /// old one.
    async fn reload(&self) -> Result<(), String>;
}

/// What the API serves.
#[derive(Clone)]
pub struct Control {
    /// By extraction.
    pub workers: BTreeMap<ExtractionName, Worker>,
    /// The bearer token.
    pub token: Arc<str>,
    /// The text of `/metrics`.
    pub metrics: Metrics,
    /// The gateway's routes.
    pub routes: Arc<dyn Routes>,
}

/// The answer to a verb.
#[derive(Debug, Serialize, Deserialize)]
pub struct Reply {
    /// How the extraction stands now.
    pub status: ExtractionStatus,
    /// What a verify found.
    pub verification: Option<Verification>,
}

/// The answer to a verb that was not carried out.
#[derive(Debug, Serialize, Deserialize)]
pub struct ErrorReply {
    /// What was wrong, and what to do.
    pub error: String,
    /// Whether anything was touched.
    pub kind: ErrorKind,
    /// What `check` found, where that was the reason.
    #[serde(default)]
    pub findings: Vec<Finding>,
}

/// Whether anything was touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorKind {
    /// Refused before anything was touched.
    Refused,
    /// Tried, and not done.
    Failed,
}

/// The parameters of a verb.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// For `shift`.
    #[serde(default)]
    pub reads: Option<String>,
    /// For `shift`, where both sides share the data.
    #[serde(default)]
    pub writes: Option<String>,
}

/// The routes of the API, ready to be served.
pub type ApiRouter = Router;

/// Serves the API until the listener fails.
pub async fn serve(listener: tokio::net::TcpListener, router: ApiRouter) -> std::io::Result<()> {
    axum::serve(listener, router).await
}

/// Fills bytes for a token, from the operating system.
pub fn random(bytes: &mut [u8]) -> std::io::Result<()> {
    getrandom::fill(bytes).map_err(std::io::Error::other)
}

/// The routes of the API.
pub fn router(control: Control) -> ApiRouter {
    let guarded = Router::new()
        .route("/v1/status", get(status))
        .route("/v1/routes", get(routes))
        .route("/v1/explain", post(explain))
        .route("/v1/reload", post(reload))
        .route("/v1/extractions/{name}/shadow", get(shadow))
        .route("/v1/extractions/{name}/{verb}", post(verb))
        .layer(middleware::from_fn_with_state(control.clone(), authorized));
    Router::new()
        .merge(guarded)
        .route("/metrics", get(metrics))
        .route("/health", get(|| async { "ok\n" }))
        .with_state(control)
}

async fn authorized(State(control): State<Control>, request: Request, next: Next) -> Response {
    let given = request.headers().get(header::AUTHORIZATION);
    let given = given.and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    if given.is_some_and(|token| bool::from(token.ct_eq(control.token.as_bytes()))) {
        return next.run(request).await;
    }
    let error = "the token is missing or wrong; it is in the state directory's control.json";
    failure(
        StatusCode::UNAUTHORIZED,
        ErrorKind::Refused,
        error.to_owned(),
        Vec::new(),
    )
}

async fn metrics(
    State(control): State<Control>,
    headers: axum::http::HeaderMap,
) -> impl IntoResponse {
    let accept = headers.get(header::ACCEPT);
    let accept = accept.and_then(|value| value.to_str().ok());
    let exposition = Exposition::asked(accept.unwrap_or_default());
    let kind = exposition.content_type();
    (
        [(header::CONTENT_TYPE, kind)],
        (control.metrics)(exposition),
    )
}

async fn status(State(control): State<Control>) -> Json<Status> {
    Json(Status {
        extractions: control.workers.values().map(Worker::status).collect(),
    })
}

async fn routes(State(control): State<Control>) -> Json<serde_json::Value> {
    Json(control.routes.routes())
}

async fn explain(State(control): State<Control>, Json(question): Json<Question>) -> Response {
    match control.routes.explain(&question) {
        Ok(explanation) => Json(explanation).into_response(),
        Err(error) => failure(
            StatusCode::BAD_REQUEST,
            ErrorKind::Refused,
            error,
            Vec::new(),
        ),
    }
}

async fn reload(State(control): State<Control>) -> Response {
    match control.routes.reload().await {
        Ok(()) => Json(serde_json::json!({})).into_response(),
        Err(error) => failure(
            StatusCode::UNPROCESSABLE_ENTITY,
            ErrorKind::Refused,
            error,
            Vec::new(),
        ),
    }
}

async fn shadow(State(control): State<Control>, Path(name): Path<String>) -> Response {
    match ExtractionName::new(&name) {
        Ok(found) if control.workers.contains_key(&found) => {
            Json(control.routes.shadow(&found)).into_response()
        }
        _ => unknown(&control, &name),
    }
}

fn unknown(control: &Control, name: &str) -> Response {
    let known: Vec<_> = control.workers.keys().map(ToString::to_string).collect();
    let error = format!(
        "the plan has no extraction `{name}`; it has {}",
        known.join(", ")
    );
    failure(StatusCode::NOT_FOUND, ErrorKind::Refused, error, Vec::new())
}

async fn verb(
    State(control): State<Control>,
    Path((name, verb)): Path<(String, String)>,
    body: Option<Json<Parameters>>,
) -> Response {
    let worker = ExtractionName::new(&name)
        .ok()
        .and_then(|name| control.workers.get(&name));
    let Some(worker) = worker else {
        return unknown(&control, &name);
    };
    let parameters = body.map(|Json(parameters)| parameters).unwrap_or_default();
    let asked = match asked(&verb, &parameters) {
        Ok(asked) => asked,
        Err(error) => {
            return failure(
                StatusCode::BAD_REQUEST,
                ErrorKind::Refused,
                error,
                Vec::new(),
            );
        }
    };
    match worker.ask(asked).await {
        Ok((status, verification)) => Json(Reply {
            status,
            verification,
        })
        .into_response(),
        Err(refused) => {
            let error = refused.to_string();
            match refused {
                Refused::State(_) | Refused::Shared(_) | Refused::NotShared => {
                    failure(StatusCode::CONFLICT, ErrorKind::Refused, error, Vec::new())
                }
                Refused::Findings(findings) => failure(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    ErrorKind::Refused,
                    error,
                    findings,
                ),
                Refused::Failed(_) => failure(
                    StatusCode::SERVICE_UNAVAILABLE,
                    ErrorKind::Failed,
                    error,
                    Vec::new(),
                ),
            }
        }
    }
}

fn asked(verb: &str, parameters: &Parameters) -> Result<Asked, String> {
    match verb {
        "start" => Ok(Asked::Start),
        "verify" => Ok(Asked::Verify),
        "switch" => Ok(Asked::HandOver(Side::Service)),
        "rollback" => Ok(Asked::HandOver(Side::Monolith)),
        "cancel" => Ok(Asked::Cancel),
        "withdraw" => Ok(Asked::Withdraw),
        "shift" => shift(parameters).map(Asked::Shift),
        other => Err(format!("there is no verb `{other}`")),
    }
}

fn shift(parameters: &Parameters) -> Result<Shift, String> {
    let share = |text: &Option<String>| text.as_deref().map(Percent::parse).transpose();
    match (share(&parameters.reads)?, share(&parameters.writes)?) {
        (Some(reads), None) => Ok(Shift::Reads(reads)),
        (None, Some(writes)) => Ok(Shift::Writes(writes)),
        (Some(reads), Some(writes)) => Ok(Shift::Both { reads, writes }),
        (None, None) => Err("`shift` needs a share: reads, writes, or both".to_owned()),
    }
}

fn failure(code: StatusCode, kind: ErrorKind, error: String, findings: Vec<Finding>) -> Response {
    (
        code,
        Json(ErrorReply {
            error,
            kind,
            findings,
        }),
    )
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
    };

    #[test]
    fn a_shift_names_at_least_one_share() {
        let shifted = |reads: Option<&str>, writes: Option<&str>| {
            shift(&Parameters {
                reads: reads.map(str::to_owned),
                writes: writes.map(str::to_owned),
            })
        };
        let five = Percent::parse("5%").unwrap();
        assert_eq!(shifted(Some("5%"), None), Ok(Shift::Reads(five)));
        assert_eq!(shifted(None, Some("5%")), Ok(Shift::Writes(five)));
        let both = Shift::Both {
            reads: five,
            writes: five,
        };
        assert_eq!(shifted(Some("5%"), Some("5%")), Ok(both));
        assert!(shifted(None, None).unwrap_err().contains("needs a share"));
        assert!(shifted(Some("5%"), Some("5")).is_err());
    }

    struct NoRoutes;

    #[async_trait]
    impl Routes for NoRoutes {
        fn routes(&self) -> serde_json::Value {
            serde_json::json!([])
        }

        fn shadow(&self, _: &ExtractionName) -> serde_json::Value {
            serde_json::json!({})
        }

        fn explain(&self, _: &Question) -> Result<serde_json::Value, String> {
            Err("not asked".to_owned())
        }

        async fn reload(&self) -> Result<(), String> {
            Ok(())
        }
    }

    async fn ask(address: std::net::SocketAddr, line: &str, token: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let text = format!(
            "{line} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
             content-length: 0\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn every_call_is_found_and_needs_the_token() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let control = Control {
            workers: BTreeMap::new(),
            token: "right".into(),
            metrics: Arc::new(|_| Vec::new()),
            routes: Arc::new(NoRoutes),
        };
        tokio::spawn(serve(listener, router(control)));
        for (line, wanted) in [
            ("GET /v1/status", "200"),
            ("GET /v1/routes", "200"),
            ("GET /v1/extractions/a/shadow", "no extraction `a`"),
            ("POST /v1/extractions/a/switch", "no extraction `a`"),
        ] {
            let answer = ask(address, line, "right").await;
            assert!(answer.contains(wanted), "{line}: {answer}");
            let answer = ask(address, line, "wrong").await;
            assert!(answer.starts_with("HTTP/1.1 401"), "{line}: {answer}");
        }
    }
}
