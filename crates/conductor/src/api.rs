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
mod order;
mod record;
mod routes;
mod state;
mod steps;
mod verbs;
use crate::{
    halt::HaltError,
    journal::{JournalPage, JournalQuery},
    request::Reply,
    rollout::RolloutHandle,
    status::{RolloutStatus, Status},
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
pub use callers::Identity;
use callers::{Admission, Caller, admit};
pub use exposition::Exposition;
use failure::{CallError, bad_request, conflict, failure, forbidden};
pub use messages::{
    CheckRequest, ErrorKind, ErrorReply, ExplainRequest, HaltRequest, Parameters, ReloadReply,
    ReloadRequest,
};
use order::{VerbOrder, carry_out};
use plan::ExtractionName;
pub use plan::Role;
use record::{GivenOrder, recorded};
pub use routes::Routes;
use serde_json::Map;
pub use state::{ApiState, Metrics};
use std::sync::Arc;

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
    Json(api.whole_status())
}

async fn journal(
    State(api): State<ApiState>,
    Query(query): Query<JournalQuery>,
) -> Result<Json<JournalPage>, CallError> {
    let page = record::open(&api.journal)?.page(&query).await;
    page.map(Json)
        .map_err(|error| record::unavailable(error.to_string()))
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
    let (name, _) = api.known(&name)?;
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
    let (name, _) = api.known(&name)?;
    let mut report = api.routes.shadow(name);
    if caller.role() < Role::Operator
        && let Some(examples) = report.get_mut("examples")
    {
        // They have paths, and values where the plan wants them shown.
        *examples = serde_json::json!([]);
    }
    Ok(Json(report))
}

async fn checklists(
    State(api): State<ApiState>,
    Path(name): Path<String>,
) -> Result<Response, CallError> {
    Ok(Json(api.lists(&name)?.status()).into_response())
}

async fn retirement(
    State(api): State<ApiState>,
    Path(name): Path<String>,
) -> Result<Response, CallError> {
    let (name, _) = api.known(&name)?;
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
    let lists = api.lists(&name)?.clone();
    let given = GivenOrder {
        extraction: Some(api.known(&name)?.0),
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
            halt.end(&by, &note, asked.expected).await
        } else {
            halt.begin(&by, &note).await
        };
        done.map_err(|error| match error {
            HaltError::Changed { .. } => conflict(error.to_string()),
            HaltError::Unwritten => record::unavailable(error.to_string()),
        })
    };
    recorded(&api.journal, given, work, |()| Map::new()).await?;
    Ok(Json(api.whole_status()))
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
    let (name, worker) = api.known(&name)?;
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

#[cfg(test)]
mod tests;
