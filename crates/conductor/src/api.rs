//! The conductor's HTTP API: what the command line talks to.
//!
//! | call | answer |
//! |---|---|
//! | `GET /v1/me` | who calls: name, role, and whether a key proves it |
//! | `GET /v1/status` | [`Status`] |
//! | `GET /v1/journal?extraction=&after=&before=&limit=` | [`JournalPage`](crate::JournalPage): what has happened |
//! | `POST /v1/halt` | [`Status`]; stops all automatic steps, or ends that |
//! | `POST /v1/extractions/{name}/{verb}` | [`Reply`](crate::Reply), when it is done |
//! | `GET /v1/extractions/{name}/checklists` | all lists, as [`ChecklistStatus`](crate::status::ChecklistStatus) |
//! | `POST /v1/extractions/{name}/checklists` | the same, once what a [`CheckRequest`] names was checked |
//! | `GET /v1/extractions/{name}/shadow` | where both sides answer reads differently |
//! | `GET /v1/routes` | the gateway's routes, in the order of their priority |
//! | `POST /v1/explain` | what the gateway would do with a [`ExplainRequest`] |
//! | `POST /v1/reload` | `{}`, once the gateway goes by the plan as it now is |
//! | `GET /metrics` | OpenMetrics' text, or Prometheus' protobuf, without a token |
//! | `GET /health` | 200 |
//! | `GET /ready` | 200, or 503 and what goes wrong with each extraction |
//!
//! Verbs: `start`, `shift` (body `{"reads": "10%"}`; `"writes"`, too, where both
//! sides share the data; refused to a service that is not healthy without
//! `"unhealthy": true`, or where reads write there), `withdraw`, `verify`, `switch`, `rollback` (body
//! `{"unverified": true}`: without a proof that both sides agree; `{"unhealthy": true}`:
//! though the monolith does not say that it is healthy), `resume`, `recopy` (`{"owner": "monolith", "epoch": 2}`, as the status has them: whose rows
//! stay), `cancel` (`{"empty": true}`), `finish`; `pause`, `approve`,
//! `attest` (`{"item": "ticket", "note": "CHG-7"}`).
//! Everything but metrics, health and readiness needs a bearer: a personal key of the plan,
//! or the token of the state directory. Who may read (`viewer`), order (`operator`) and
//! approve (`approver`) is said by [`callers`]. Giving up waiting stops nothing.

mod callers;
mod checklists;
mod exposition;
mod failure;
mod messages;
mod steps;
mod verbs;

pub use exposition::Exposition;
pub use messages::{CheckRequest, ErrorKind, ErrorReply, ExplainRequest, HaltRequest, Parameters};

use crate::{
    checklist::ChecklistHandle,
    halt::Halt,
    journal::{Journal, JournalQuery},
    ports::Predecessor,
    request::{self, Reply, RequestError},
    rollout::RolloutHandle,
    status::{ExtractionStatus, FailedRoute, HealthStatus, KeyStatus, RefusalStatus, Status},
    worker::Worker,
};
use async_trait::async_trait;
use axum::{
    Extension, Json, Router,
    extract::{Path, Query, State},
    http::{StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use callers::{Admission, Caller, admit};
use failure::{failure, forbidden};
use plan::{ExtractionName, People, Role};
use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
};

/// Makes what `/metrics` answers.
pub type Metrics = Arc<dyn Fn(Exposition) -> Vec<u8> + Send + Sync>;

/// What the gateway tells about its routes, and how it gets others.
#[async_trait]
pub trait Routes: Send + Sync {
    /// Who has a personal key by the plan as it now is.
    fn people(&self) -> Arc<People> {
        Arc::default()
    }
    /// All, in the order in which they are tried.
    fn routes(&self) -> serde_json::Value;
    /// How both sides of an extraction are; `None`: it is not the plan's any more.
    fn health(&self, extraction: &ExtractionName) -> Option<HealthStatus>;
    /// Of how many reads the client was known.
    fn keys(&self, _: &ExtractionName) -> Option<KeyStatus> {
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
    /// What would become of a request. The error is what its client would be
    /// told, or why the question makes no sense.
    fn explain(&self, question: &ExplainRequest) -> Result<serde_json::Value, String>;
    /// Reads the plan again and goes by it. The error says why it goes by the
    /// old one.
    async fn reload(&self) -> Result<(), String>;
}

/// What is said where nothing is decided any more.
const STOPPING: &str = "banyan is stopping; ask again when it runs";

/// What the API serves.
#[derive(Clone)]
pub struct ApiState {
    /// By extraction.
    pub workers: BTreeMap<ExtractionName, Worker>,
    /// Those that go through the steps of the plan.
    pub rollouts: BTreeMap<ExtractionName, RolloutHandle>,
    /// What is answered to the checklists of each.
    pub checklists: BTreeMap<ExtractionName, ChecklistHandle>,
    /// What stops all of them.
    pub halt: Option<Halt>,
    /// What has happened. A call under way keeps no other process from it.
    pub journal: Weak<Journal>,
    /// The bearer token.
    pub token: Arc<str>,
    /// The text of `/metrics`.
    pub metrics: Metrics,
    /// The gateway's routes.
    pub routes: Arc<dyn Routes>,
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
pub fn router(api: ApiState) -> ApiRouter {
    let needs = |role| {
        let routes = Arc::clone(&api.routes);
        let admission = Admission {
            role,
            token: Arc::clone(&api.token),
            people: Arc::new(move || routes.people()),
        };
        middleware::from_fn_with_state(admission, admit)
    };
    let reads = Router::new()
        .route("/v1/me", get(me))
        .route("/v1/status", get(status))
        .route("/v1/journal", get(journal))
        .route("/v1/routes", get(routes))
        .route("/v1/explain", post(explain))
        .route("/v1/extractions/{name}/shadow", get(shadow))
        .route("/v1/extractions/{name}/checklists", get(checklists))
        .layer(needs(Role::Viewer));
    let orders = Router::new()
        .route("/v1/reload", post(reload))
        .route("/v1/halt", post(halt))
        .route("/v1/extractions/{name}/checklists", post(check_items))
        .route("/v1/extractions/{name}/{verb}", post(verb))
        .layer(needs(Role::Operator));
    Router::new()
        .merge(reads)
        .merge(orders)
        .route("/metrics", get(metrics))
        .route("/health", get(|| async { "ok\n" }))
        .route("/ready", get(ready))
        .with_state(api)
}

async fn me(Extension(caller): Extension<Arc<Caller>>) -> Response {
    Json(caller.identity()).into_response()
}

async fn metrics(State(api): State<ApiState>, headers: axum::http::HeaderMap) -> impl IntoResponse {
    let accept = headers.get(header::ACCEPT);
    let accept = accept.and_then(|value| value.to_str().ok());
    let exposition = Exposition::asked(accept.unwrap_or_default());
    let kind = exposition.content_type();
    ([(header::CONTENT_TYPE, kind)], (api.metrics)(exposition))
}

/// Whether hand-overs can go on: for who deploys, not for who balances the gateways, which
/// route on by the last decision.
async fn ready(State(api): State<ApiState>) -> (StatusCode, String) {
    let wrong = |(name, worker): (&ExtractionName, &Worker)| {
        let trouble = worker.status().trouble?;
        Some(format!("{name}: {trouble}\n"))
    };
    let wrong: String = api.workers.iter().filter_map(wrong).collect();
    if wrong.is_empty() {
        (StatusCode::OK, "ok\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, wrong)
    }
}

async fn status(State(api): State<ApiState>) -> Json<Status> {
    Json(whole_status(&api))
}

fn whole_status(api: &ApiState) -> Status {
    let whole =
        |(name, worker): (&ExtractionName, &Worker)| with_outside(api, name, worker.status());
    Status {
        extractions: api.workers.iter().map(whole).collect(),
        predecessors: api.routes.predecessors(),
        halted: api.halt.as_ref().and_then(Halt::reason),
    }
}

async fn journal(State(api): State<ApiState>, Query(query): Query<JournalQuery>) -> Response {
    let unreadable = |error: String| {
        let code = StatusCode::SERVICE_UNAVAILABLE;
        failure(code, ErrorKind::Failed, error, Vec::new())
    };
    let Some(journal) = api.journal.upgrade() else {
        return unreadable(STOPPING.to_owned());
    };
    match journal.page(&query).await {
        Ok(page) => Json(page).into_response(),
        Err(error) => unreadable(error.to_string()),
    }
}

/// With what the worker does not know itself.
fn with_outside(
    api: &ApiState,
    name: &ExtractionName,
    status: ExtractionStatus,
) -> ExtractionStatus {
    ExtractionStatus {
        health: api.routes.health(name),
        refusals: api.routes.refusals(name),
        keys: api.routes.keys(name),
        rollout: api.rollouts.get(name).map(RolloutHandle::status),
        ..status
    }
}

async fn routes(State(api): State<ApiState>) -> Json<serde_json::Value> {
    Json(api.routes.routes())
}

async fn explain(State(api): State<ApiState>, Json(question): Json<ExplainRequest>) -> Response {
    match api.routes.explain(&question) {
        Ok(explanation) => Json(explanation).into_response(),
        Err(error) => failure(
            StatusCode::BAD_REQUEST,
            ErrorKind::Refused,
            error,
            Vec::new(),
        ),
    }
}

async fn reload(State(api): State<ApiState>) -> Response {
    match api.routes.reload().await {
        Ok(()) => Json(serde_json::json!({})).into_response(),
        Err(error) => failure(
            StatusCode::UNPROCESSABLE_ENTITY,
            ErrorKind::Refused,
            error,
            Vec::new(),
        ),
    }
}

async fn shadow(
    State(api): State<ApiState>,
    Extension(caller): Extension<Arc<Caller>>,
    Path(name): Path<String>,
) -> Response {
    let found = ExtractionName::new(&name).ok();
    let Some(found) = found.filter(|found| api.workers.contains_key(found)) else {
        return unknown(&api, &name);
    };
    let mut report = api.routes.shadow(&found);
    if caller.role() < Role::Operator
        && let Some(examples) = report.get_mut("examples")
    {
        // They have paths, and values where the plan wants them shown.
        *examples = serde_json::json!([]);
    }
    Json(report).into_response()
}

fn unknown(api: &ApiState, name: &str) -> Response {
    let known: Vec<_> = api.workers.keys().map(ToString::to_string).collect();
    let known = match known.as_slice() {
        [] => "it has none".to_owned(),
        known => format!("it has {}", known.join(", ")),
    };
    let error = format!(
        "the plan that the running `banyan serve` goes by has no extraction `{name}`; {known}. If it \
         is in the file by now: `banyan serve --take-over`"
    );
    failure(StatusCode::NOT_FOUND, ErrorKind::Refused, error, Vec::new())
}

async fn checklists(State(api): State<ApiState>, Path(name): Path<String>) -> Response {
    match lists(&api, &name) {
        Some(lists) => Json(lists.status()).into_response(),
        None => unknown(&api, &name),
    }
}

async fn check_items(
    State(api): State<ApiState>,
    Path(name): Path<String>,
    Json(asked): Json<CheckRequest>,
) -> Response {
    match lists(&api, &name) {
        Some(lists) => checklists::check(lists, &asked).await,
        None => unknown(&api, &name),
    }
}

fn lists<'a>(api: &'a ApiState, name: &str) -> Option<&'a ChecklistHandle> {
    api.checklists.get(&ExtractionName::new(name).ok()?)
}

/// Halts all rollouts, or ends that.
async fn halt(
    State(api): State<ApiState>,
    Extension(caller): Extension<Arc<Caller>>,
    Json(asked): Json<HaltRequest>,
) -> Response {
    let refused = |why: String| failure(StatusCode::CONFLICT, ErrorKind::Refused, why, Vec::new());
    let by = match caller.actor(asked.by.as_deref()) {
        Ok(Some(by)) => by.to_string(),
        Ok(None) => return refused(steps::NOBODY.to_owned()),
        Err(why) => return forbidden(why),
    };
    let note = match steps::noted(&asked.note) {
        Ok(note) => note,
        Err(why) => return refused(why),
    };
    let Some(halt) = &api.halt else {
        return refused("there is nothing to halt".to_owned());
    };
    let is_done = if asked.off {
        halt.end(&by).await
    } else {
        halt.begin(&by, note).await
    };
    if is_done {
        return Json(whole_status(&api)).into_response();
    }
    let error = "it could not be written down: the log of `banyan serve` says why".to_owned();
    let code = StatusCode::SERVICE_UNAVAILABLE;
    failure(code, ErrorKind::Failed, error, Vec::new())
}

async fn verb(
    State(api): State<ApiState>,
    Extension(caller): Extension<Arc<Caller>>,
    Path((name, verb)): Path<(String, String)>,
    body: Option<Json<Parameters>>,
) -> Response {
    if let Some(why) = caller.refusal(&format!("`{verb}`"), verbs::needed_role(&verb)) {
        return forbidden(why);
    }
    let found = ExtractionName::new(&name).ok();
    let Some((name, worker)) = found.and_then(|found| api.workers.get_key_value(&found)) else {
        return unknown(&api, &name);
    };
    let parameters = body.map(|Json(parameters)| parameters).unwrap_or_default();
    let by = match caller.actor(parameters.by.as_deref()) {
        Ok(by) => by,
        Err(why) => return forbidden(why),
    };
    if verb == "attest" {
        return match checklists::attest(api.checklists.get(name), by, &parameters).await {
            Ok(()) => Json(Reply::with(with_outside(&api, name, worker.status()))).into_response(),
            Err(error) => failure(StatusCode::CONFLICT, ErrorKind::Refused, error, Vec::new()),
        };
    }
    let rollout = api.rollouts.get(name);
    match steps::order(rollout, worker, (name, &verb), by, &parameters).await {
        steps::Ordered::NoOrder => {}
        steps::Ordered::Done => {
            let status = with_outside(&api, name, worker.status());
            return Json(Reply::with(status)).into_response();
        }
        steps::Ordered::Refused(error) => {
            return failure(StatusCode::CONFLICT, ErrorKind::Refused, error, Vec::new());
        }
    }
    let asked = match verbs::request(&verb, &parameters) {
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
    let waived = match shifts_to_a_sick_service(&api, name, worker, asked, &parameters).await {
        Ok(waived) => waived,
        Err(error) => return failure(StatusCode::CONFLICT, ErrorKind::Refused, error, Vec::new()),
    };
    match worker.request(asked).await {
        Ok(mut reply) => {
            reply.status = with_outside(&api, name, reply.status);
            reply.waived = waived;
            Json(reply).into_response()
        }
        Err(refused) => {
            let error = refused.to_string();
            match refused {
                RequestError::State(_)
                | RequestError::SharedData(_)
                | RequestError::NotShared
                | RequestError::OwnerChanged { .. } => {
                    failure(StatusCode::CONFLICT, ErrorKind::Refused, error, Vec::new())
                }
                RequestError::Findings(findings) => failure(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    ErrorKind::Refused,
                    error,
                    findings,
                ),
                RequestError::Failed(_) => failure(
                    StatusCode::SERVICE_UNAVAILABLE,
                    ErrorKind::Failed,
                    error,
                    Vec::new(),
                ),
            }
        }
    }
}

/// Why more is not to go to the service. Where that is wanted all the same: the routes
/// that are shifted though their reads write.
async fn shifts_to_a_sick_service(
    api: &ApiState,
    name: &ExtractionName,
    worker: &Worker,
    request: request::Request,
    parameters: &Parameters,
) -> Result<Vec<FailedRoute>, String> {
    let request::Request::Shift(shift) = request else {
        return Ok(Vec::new());
    };
    let now = worker.status();
    if !shift.raises(now.reads_percent, now.writes_percent) {
        return Ok(Vec::new());
    }
    if parameters.unhealthy {
        return Ok(api.routes.waive_writing_reads(name));
    }
    let routes = api.routes.writing_reads(name);
    if let Some(error) = writing_reads_text(&routes) {
        return Err(error);
    }
    let Some(problem) = api.routes.service_problem(name).await else {
        return Ok(Vec::new());
    };
    Err(format!(
        "the service is not healthy: {problem}. Nothing was shifted. See to it first, or shift all \
         the same with `--unhealthy`"
    ))
}

/// Why reads are not to go to a service whose fence refuses some of them.
fn writing_reads_text(routes: &[FailedRoute]) -> Option<String> {
    let first = routes.first()?;
    let named = routes
        .iter()
        .map(|one| format!("{} {} ({})", one.method, one.path, one.answers));
    Some(format!(
        "some reads write: the service's fence refused statements while it answered 5xx on {}. \
         Nothing was shifted. Give the route `{}` of the plan `as: writes`, so that the owner gets \
         it, and `banyan reload`; where the service was mended instead, shift in ten minutes, or all \
         the same with `--unhealthy`",
        named.collect::<Vec<_>>().join(", "),
        first.path
    ))
}

#[cfg(test)]
mod tests;
