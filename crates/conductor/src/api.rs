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
//! | `GET /v1/extractions/{name}/retire` | [`RetireStatus`](crate::status::RetireStatus): whether the old side is used |
//! | `GET /v1/extractions/{name}/shadow` | where both sides answer reads differently |
//! | `GET /v1/extractions/{name}/verification` | what the last verify found, row by row; `null`: none is known |
//! | `GET /v1/flags` | what is said of each feature flag |
//! | `GET /v1/routes` | the gateway's routes, in the order of their priority |
//! | `POST /v1/explain` | what the gateway would do with a [`ExplainRequest`] |
//! | `POST /v1/reload` | how the steps differ from before, once all goes by the plan as it now is |
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
//! `attest` (`{"item": "ticket", "note": "CHG-7"}`; `"text"`, the item's as it was read); `brown-out`
//! (`{"for_ms": 600000, "sunset_ms": ..}`), `end-brown-out`; `rehearse`. Each but `attest` and `end-brown-out` takes `expected`, how it stood when
//! that was decided on (`{"phase": "following", "epoch": 3}`), and is refused where it has changed since.
//! Everything but metrics, health and readiness needs a bearer: a personal key of the plan,
//! or the token of the state directory. Who may read (`viewer`), order (`operator`) and
//! approve (`approver`) is said by [`callers`]. Giving up waiting stops nothing.

mod brown_outs;
mod callers;
mod checklists;
mod exposition;
mod failure;
mod messages;
mod record;
mod routes;
mod steps;
mod verbs;

pub use callers::Identity;
pub use exposition::Exposition;
pub use messages::{
    CheckRequest, ErrorKind, ErrorReply, ExplainRequest, HaltRequest, Parameters, ReloadReply,
    ReloadRequest,
};

pub use plan::Role;
pub use routes::Routes;

use crate::{
    checklist::ChecklistHandle,
    halt::{Halt, HaltError},
    journal::{Journal, JournalPage, JournalQuery},
    outlook,
    request::{self, Reply, RequestError, Resumed},
    retire::RetireHandle,
    rollout::RolloutHandle,
    status::{ExtractionStatus, FailedRoute, RolloutStatus, Status},
    worker::Worker,
};
use axum::{
    Extension, Json, Router,
    body::Bytes,
    extract::{Path, Query, State},
    http::{StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use callers::{Admission, Caller, admit};
use failure::{CallError, conflict, failure, forbidden};
use plan::ExtractionName;
use protocol::rollout::Actor;
use record::{GivenOrder, recorded};
use serde_json::Map;
use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
};

/// Makes what `/metrics` answers.
pub type Metrics = Arc<dyn Fn(Exposition) -> Vec<u8> + Send + Sync>;

/// What the API serves.
#[derive(Clone)]
pub struct ApiState {
    /// By extraction.
    pub workers: BTreeMap<ExtractionName, Worker>,
    /// Those that go through the steps of the plan.
    pub rollouts: BTreeMap<ExtractionName, RolloutHandle>,
    /// What is answered to the checklists of each.
    pub checklists: BTreeMap<ExtractionName, ChecklistHandle>,
    /// Whether the old side of each is used.
    pub retirements: BTreeMap<ExtractionName, RetireHandle>,
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
        .route("/v1/flags", get(flags))
        .route("/v1/extractions/{name}/shadow", get(shadow))
        .route("/v1/extractions/{name}/checklists", get(checklists))
        .route("/v1/extractions/{name}/retire", get(retirement))
        .route("/v1/extractions/{name}/verification", get(verification))
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
    let stopped =
        |(name, rollout): (&ExtractionName, &RolloutHandle)| stopped_text(name, &rollout.status());
    let stopped: String = api.rollouts.iter().filter_map(stopped).collect();
    if wrong.is_empty() {
        (StatusCode::OK, format!("ok\n{stopped}"))
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, wrong + &stopped)
    }
}

/// Steps that wait for a person are named, and hinder nobody.
fn stopped_text(name: &ExtractionName, rollout: &RolloutStatus) -> Option<String> {
    if rollout.state != "stopped" {
        return None;
    }
    let why = rollout.why.as_deref().unwrap_or("nobody knows why");
    Some(format!(
        "{name}: its steps have stopped: {}\n",
        why.replace('\n', " ")
    ))
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
        grafana: api.routes.grafana().map(|address| address.to_string()),
    }
}

async fn journal(
    State(api): State<ApiState>,
    Query(query): Query<JournalQuery>,
) -> Result<Json<JournalPage>, CallError> {
    let page = record::open(&api.journal)?.page(&query).await;
    page.map(Json)
        .map_err(|error| record::unavailable(error.to_string()))
}

/// With what the worker does not know itself.
fn with_outside(
    api: &ApiState,
    name: &ExtractionName,
    status: ExtractionStatus,
) -> ExtractionStatus {
    outlook::with(ExtractionStatus {
        health: api.routes.health(name),
        shadow_percent: api.routes.shadow_percent(name),
        refusals: api.routes.refusals(name),
        keys: api.routes.keys(name),
        rollout: api.rollouts.get(name).map(RolloutHandle::status),
        brown_out: api
            .retirements
            .get(name)
            .and_then(|one| one.brown_out().status()),
        ..status
    })
}

async fn routes(State(api): State<ApiState>) -> Json<serde_json::Value> {
    Json(api.routes.routes())
}

async fn explain(
    State(api): State<ApiState>,
    Json(question): Json<ExplainRequest>,
) -> Result<Json<serde_json::Value>, CallError> {
    api.routes.explain(&question).map(Json).map_err(bad_request)
}

async fn reload(
    State(api): State<ApiState>,
    Extension(caller): Extension<Arc<Caller>>,
    body: Bytes,
) -> Result<Json<ReloadReply>, CallError> {
    let asked = match body.as_ref() {
        b"" => ReloadRequest::default(),
        body => serde_json::from_slice(body).map_err(|error| bad_request(error.to_string()))?,
    };
    let given = GivenOrder {
        extraction: None,
        by: caller.actor(asked.by.as_deref()).map_err(forbidden)?,
        verb: "reload",
        parameters: Map::new(),
        plan: &api.routes.plan_digest(),
    };
    let routes = Arc::clone(&api.routes);
    let work = async move {
        let unprocessable = |error| {
            let code = StatusCode::UNPROCESSABLE_ENTITY;
            failure(code, ErrorKind::Refused, error, Vec::new())
        };
        let brought = routes.reload().await.map_err(unprocessable)?;
        Ok((routes.plan_digest(), brought))
    };
    let result = |(plan, brought): &(Arc<str>, ReloadReply)| {
        let mut kept = Map::from_iter([("plan".to_owned(), plan.as_ref().into())]);
        // By whom a flag was changed is looked up by this.
        if !brought.flags.is_empty() {
            kept.insert("flags".to_owned(), brought.flags.clone().into());
        }
        kept
    };
    let (_, brought) = recorded(&api.journal, given, work, result).await?;
    Ok(Json(brought))
}

async fn flags(State(api): State<ApiState>) -> Json<serde_json::Value> {
    Json(api.routes.flags())
}

/// What the last verify found.
async fn verification(
    State(api): State<ApiState>,
    Extension(caller): Extension<Arc<Caller>>,
    Path(name): Path<String>,
) -> Result<Response, CallError> {
    let (name, _) = known(&api, &name)?;
    let found = record::open(&api.journal)?.verification(name).await;
    let mut found = found.map_err(|error| record::unavailable(error.to_string()))?;
    let report = found.as_mut().map(|found| &mut found.report);
    if caller.role() < Role::Operator
        && let Some(keys) = report.and_then(|report| report.get_mut("differences"))
    {
        // They have the keys of rows.
        *keys = serde_json::json!([]);
    }
    Ok(Json(found).into_response())
}

async fn shadow(
    State(api): State<ApiState>,
    Extension(caller): Extension<Arc<Caller>>,
    Path(name): Path<String>,
) -> Result<Json<serde_json::Value>, CallError> {
    let (name, _) = known(&api, &name)?;
    let mut report = api.routes.shadow(name);
    if caller.role() < Role::Operator
        && let Some(examples) = report.get_mut("examples")
    {
        // They have paths, and values where the plan wants them shown.
        *examples = serde_json::json!([]);
    }
    Ok(Json(report))
}

/// An extraction of the plan, and its worker.
fn known<'a>(api: &'a ApiState, name: &str) -> Result<(&'a ExtractionName, &'a Worker), CallError> {
    let found = ExtractionName::new(name).ok();
    if let Some(found) = found.and_then(|found| api.workers.get_key_value(&found)) {
        return Ok(found);
    }
    let known: Vec<_> = api.workers.keys().map(ToString::to_string).collect();
    let known = match known.as_slice() {
        [] => "it has none".to_owned(),
        known => format!("it has {}", known.join(", ")),
    };
    let error = format!(
        "the plan that the running `banyan serve` goes by has no extraction `{name}`; {known}. If it \
         is in the file by now: `banyan serve --take-over`"
    );
    let code = StatusCode::NOT_FOUND;
    Err(failure(code, ErrorKind::Refused, error, Vec::new()))
}

async fn checklists(
    State(api): State<ApiState>,
    Path(name): Path<String>,
) -> Result<Response, CallError> {
    Ok(Json(lists(&api, &name)?.status()).into_response())
}

async fn retirement(
    State(api): State<ApiState>,
    Path(name): Path<String>,
) -> Result<Response, CallError> {
    let (name, _) = known(&api, &name)?;
    let shared = || conflict("both sides share its data: no table of it is an old one".to_owned());
    let one = api.retirements.get(name).ok_or_else(shared)?;
    Ok(Json(one.status()).into_response())
}

async fn check_items(
    State(api): State<ApiState>,
    Extension(caller): Extension<Arc<Caller>>,
    Path(name): Path<String>,
    Json(asked): Json<CheckRequest>,
) -> Result<Response, CallError> {
    let lists = lists(&api, &name)?.clone();
    let given = GivenOrder {
        extraction: Some(known(&api, &name)?.0),
        by: caller.actor(None).map_err(forbidden)?,
        verb: "check",
        parameters: record::parameters(&asked),
        plan: &api.routes.plan_digest(),
    };
    let work = async move {
        lists.check(&asked.of).await.map_err(conflict)?;
        Ok(lists.status())
    };
    let status = recorded(&api.journal, given, work, |_| Map::new()).await?;
    Ok(Json(status).into_response())
}

fn lists<'a>(api: &'a ApiState, name: &str) -> Result<&'a ChecklistHandle, CallError> {
    let (name, _) = known(api, name)?;
    let nobody = || conflict("nobody answers checklists here".to_owned());
    api.checklists.get(name).ok_or_else(nobody)
}

/// Halts all rollouts, or ends that.
async fn halt(
    State(api): State<ApiState>,
    Extension(caller): Extension<Arc<Caller>>,
    Json(asked): Json<HaltRequest>,
) -> Result<Json<Status>, CallError> {
    let by = caller.actor(asked.by.as_deref()).map_err(forbidden)?;
    let by = by.ok_or_else(|| conflict(steps::NOBODY.to_owned()))?;
    let note = steps::noted(&asked.note).map_err(conflict)?.to_owned();
    let given = GivenOrder {
        extraction: None,
        by: Some(by.clone()),
        verb: "halt",
        parameters: record::parameters(&asked),
        plan: &api.routes.plan_digest(),
    };
    let halt = api.halt.clone();
    let work = async move {
        let halt = halt.ok_or_else(|| conflict("there is nothing to halt".to_owned()))?;
        let by = by.to_string();
        let done = if asked.off {
            halt.end(&by, asked.expected).await
        } else {
            halt.begin(&by, &note).await
        };
        done.map_err(|error| match error {
            HaltError::Changed { .. } => conflict(error.to_string()),
            HaltError::Unwritten => record::unavailable(error.to_string()),
        })
    };
    recorded(&api.journal, given, work, |()| Map::new()).await?;
    Ok(Json(whole_status(&api)))
}

async fn verb(
    State(api): State<ApiState>,
    Extension(caller): Extension<Arc<Caller>>,
    Path((name, verb)): Path<(String, String)>,
    body: Option<Json<Parameters>>,
) -> Result<Json<Reply>, CallError> {
    let refusal = caller.refusal(&format!("`{verb}`"), verbs::needed_role(&verb));
    if let Some(why) = refusal {
        return Err(forbidden(why));
    }
    let (name, worker) = known(&api, &name)?;
    let parameters = body.map(|Json(parameters)| parameters).unwrap_or_default();
    let by = caller.actor(parameters.by.as_deref()).map_err(forbidden)?;
    let order = VerbOrder {
        request: verbs::request(&verb, &parameters).map_err(bad_request)?,
        name: name.clone(),
        worker: worker.clone(),
        by: by.clone(),
        verb: verb.clone(),
        parameters,
        api: api.clone(),
    };
    let given = GivenOrder {
        extraction: Some(name),
        by,
        verb: &verb,
        parameters: record::parameters(&order.parameters),
        plan: &api.routes.plan_digest(),
    };
    let work = carry_out(order);
    let reply = recorded(&api.journal, given, work, Reply::kept).await?;
    Ok(Json(reply))
}

/// A verb that somebody has ordered.
struct VerbOrder {
    api: ApiState,
    name: ExtractionName,
    worker: Worker,
    by: Option<Actor>,
    verb: String,
    /// `None`: the extraction itself is not asked.
    request: Option<request::Request>,
    parameters: Parameters,
}

async fn carry_out(order: VerbOrder) -> Result<Reply, CallError> {
    let VerbOrder {
        api,
        name,
        worker,
        by,
        verb,
        request,
        parameters,
    } = order;
    if verb == "attest" {
        if parameters.expected.is_some() {
            let why = "`attest` is bound to the item's `text`, and to no state: `expected` is for \
                       the other verbs";
            return Err(bad_request(why.to_owned()));
        }
        let lists = api.checklists.get(&name);
        let attested = checklists::attest(lists, by, &parameters).await;
        attested.map_err(conflict)?;
        return Ok(Reply::with(with_outside(&api, &name, worker.status())));
    }
    if brown_outs::is_one(&verb) {
        let retirement = api.retirements.get(&name);
        let plan = (api.routes.plan_digest(), api.routes.has_old_ways(&name));
        let ordered = brown_outs::order(retirement, &verb, by, parameters, plan).await;
        ordered.map_err(conflict)?;
        return Ok(Reply::with(with_outside(&api, &name, worker.status())));
    }
    let rollout = api.rollouts.get(&name);
    match steps::order(rollout, &worker, (&name, &verb), by, &parameters).await {
        steps::Ordered::NoOrder => {}
        steps::Ordered::Done => {
            let status = with_outside(&api, &name, worker.status());
            return Ok(Reply {
                resumed: (verb == "resume").then_some(Resumed::Steps),
                ..Reply::with(status)
            });
        }
        steps::Ordered::Refused(why) => return Err(conflict(why)),
    }
    let Some(request) = request else {
        return Err(bad_request(format!(
            "`{verb}` is for the steps of the plan"
        )));
    };
    let raises = raises(&worker, request);
    if raises
        && !parameters.unhealthy
        && let Some(why) = sick_service(&api, &name).await
    {
        return Err(conflict(why));
    }
    let mut reply = worker
        .request_if(request, parameters.expected)
        .await
        .map_err(not_carried_out)?;
    reply.status = with_outside(&api, &name, reply.status);
    reply.resumed = (request == request::Request::Resume).then_some(Resumed::Streams);
    if raises && parameters.unhealthy {
        // Not before it was taken: one that is refused switches no protection off.
        reply.waived = api.routes.waive_writing_reads(&name);
    }
    Ok(reply)
}

fn not_carried_out(refused: RequestError) -> CallError {
    let error = refused.to_string();
    match refused {
        RequestError::State(_)
        | RequestError::SharedData(_)
        | RequestError::NotShared
        | RequestError::OwnerChanged { .. }
        | RequestError::Changed(_) => conflict(error),
        RequestError::Findings(findings) => {
            let code = StatusCode::UNPROCESSABLE_ENTITY;
            failure(code, ErrorKind::Refused, error, findings)
        }
        RequestError::Failed(_) => record::unavailable(error),
    }
}

fn bad_request(why: String) -> CallError {
    failure(StatusCode::BAD_REQUEST, ErrorKind::Refused, why, Vec::new())
}

/// Whether more goes to the service by it.
fn raises(worker: &Worker, request: request::Request) -> bool {
    let request::Request::Shift(shift) = request else {
        return false;
    };
    let now = worker.status();
    shift.raises(now.reads_percent, now.writes_percent)
}

/// Why more is not to go to the service.
async fn sick_service(api: &ApiState, name: &ExtractionName) -> Option<String> {
    let routes = api.routes.writing_reads(name);
    if let Some(why) = writing_reads_text(&routes) {
        return Some(why);
    }
    let problem = api.routes.service_problem(name).await?;
    Some(format!(
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
