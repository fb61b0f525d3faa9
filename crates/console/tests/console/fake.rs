//! An API that answers what a test wants, in the shapes of the real one.

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use conductor::{
    JournalQuery,
    api::{ErrorKind, ErrorReply},
    outlook,
    status::{ChecklistStatus, ItemStatus, RetireStatus, Status},
};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

#[derive(Default)]
pub struct Fake {
    pub status: Mutex<Status>,
    pub refusal: Mutex<Option<String>>,
    pub orders: Mutex<Vec<(String, Value)>>,
}

impl Fake {
    pub fn router(self: &Arc<Self>) -> Router {
        Router::new()
            .route("/v1/me", get(me))
            .route("/v1/status", get(status))
            .route("/v1/journal", get(journal))
            .route("/v1/flags", get(flags))
            .route("/v1/routes", get(|| async { Json(json!([])) }))
            .route("/v1/extractions/{name}/checklists", get(checklists))
            .route(
                "/v1/extractions/{name}/verification",
                get(|| async { Json(Value::Null) }),
            )
            .route("/v1/extractions/{name}/shadow", get(shadow))
            .route("/v1/extractions/{name}/retire", get(retirement))
            .route("/v1/halt", post(halt))
            .route("/v1/extractions/{name}/{verb}", post(order))
            .with_state(Arc::clone(self))
    }
}

fn role(headers: &HeaderMap) -> Option<&'static str> {
    match headers.get(header::AUTHORIZATION)?.to_str().ok()? {
        "Bearer token" => Some("approver"),
        "Bearer olaf-key" => Some("operator"),
        "Bearer vera-key" => Some("viewer"),
        _ => None,
    }
}

fn refused(code: StatusCode, error: &str) -> Response {
    let reply = ErrorReply {
        error: error.to_owned(),
        kind: ErrorKind::Refused,
        findings: Vec::new(),
    };
    (code, Json(reply)).into_response()
}

async fn me(headers: HeaderMap) -> Response {
    match role(&headers) {
        Some(role) => Json(json!({ "name": null, "role": role, "proven": false })).into_response(),
        None => refused(StatusCode::UNAUTHORIZED, "the key is missing or wrong"),
    }
}

async fn status(State(fake): State<Arc<Fake>>, headers: HeaderMap) -> Response {
    match role(&headers) {
        Some(_) => {
            let mut status = fake.status.lock().unwrap().clone();
            let extractions = status.extractions.into_iter();
            status.extractions = extractions.map(outlook::with).collect();
            Json(status).into_response()
        }
        None => refused(StatusCode::UNAUTHORIZED, "the key is missing or wrong"),
    }
}

async fn order(
    State(fake): State<Arc<Fake>>,
    Path((name, verb)): Path<(String, String)>,
    headers: HeaderMap,
    Json(parameters): Json<Value>,
) -> Response {
    if role(&headers) == Some("viewer") {
        return refused(StatusCode::FORBIDDEN, "needs the role `operator`");
    }
    if let Some(why) = fake.refusal.lock().unwrap().clone() {
        return refused(StatusCode::CONFLICT, &why);
    }
    let epoch = fake.status.lock().unwrap().extractions[0].epoch;
    if parameters["expected"]["epoch"].as_u64().unwrap_or(epoch) != epoch {
        return refused(StatusCode::CONFLICT, "its epoch was another one");
    }
    let order = (format!("{verb} {name}"), parameters);
    fake.orders.lock().unwrap().push(order);
    let one = fake.status.lock().unwrap().extractions[0].clone();
    let resumed = (verb == "resume").then_some("steps");
    Json(json!({ "status": one, "verification": null, "resumed": resumed })).into_response()
}

/// Of a plan whose old side is quiet for two of its three days.
async fn retirement() -> Json<RetireStatus> {
    const DAY: i64 = 86_400_000;
    let status = json!({
        "enough": false, "wanted_ms": 3 * DAY, "trouble": null,
        "tables": {
            "since_ms": 1_790_000_000_000_i64, "quiet_ms": 2 * DAY, "enough": false,
            "because": "public.contracts was read 1 times, and 0 rows of it written"
        },
        "routes": {
            "since_ms": 1_780_000_000_000_i64, "quiet_ms": 9 * DAY, "enough": true,
            "because": "it was looked at from then on"
        },
        "counts": {
            "statistics": "7424242424242424242", "at": 1_790_000_000_000_i64,
            "tables": { "public.contracts": { "reads": 1_234, "writes": 0 } }
        },
        "callers": [{ "route": "GET /v0/contracts/*", "agent": "old-job", "requests": 9, "refused": 4 }]
    });
    Json(serde_json::from_value(status).unwrap())
}

/// Olaf's order, which was refused; and a reload that brought a flag.
async fn journal(Query(query): Query<JournalQuery>) -> Json<Value> {
    let events = [
        json!({ "event": "ordered", "by": { "key-holder": "olaf" }, "verb": "shift",
            "parameters": { "reads": "50%" }, "plan": "5f0a" }),
        json!({ "event": "order-ended", "order": 1,
            "outcome": { "refused": { "why": "the service is <b>not</b> healthy" } } }),
        json!({ "event": "ordered", "by": { "person": "ada" }, "verb": "reload",
            "parameters": {}, "plan": "5f0a" }),
        json!({ "event": "order-ended", "order": 3,
            "outcome": { "done": { "result": { "plan": "77c1", "flags": ["new_contracts"] } } } }),
    ];
    let names = ["contracts", "contracts", "*", "*"];
    let entries = (1_i64..).zip(names).zip(events);
    let entries = entries.map(|((seq, extraction), event)| {
        json!({ "seq": seq, "at_ms": 1_790_000_000_000_i64 + seq, "version": 1,
            "extraction": extraction, "event": event, "hash": format!("{seq:064}") })
    });
    let is_wanted = |entry: &Value| {
        let seq = entry["seq"].as_i64().unwrap();
        let name = query.extraction.as_deref();
        seq > query.after
            && query.before.is_none_or(|before| seq < before)
            && name.is_none_or(|name| entry["extraction"] == name)
    };
    let entries: Vec<_> = entries.filter(is_wanted).collect();
    Json(json!({ "entries": entries, "head": null }))
}

async fn flags() -> Json<Value> {
    let planned = json!({
        "everybody": "monolith", "users_to_monolith": 0, "users_to_service": 2
    });
    Json(json!([{
        "name": "new_contracts", "extractions": ["contracts"], "planned": planned,
        "stored": { "everybody": "service", "users_to_monolith": 0, "users_to_service": 0 },
        "stored_changed_ms": 1_790_000_000_000_i64, "is_stale": false
    }]))
}

async fn shadow() -> Json<Value> {
    let counts = json!({
        "equal": 3, "different": 1, "unanswered": 0, "volatile": 0, "lagged": 0, "unknown": 0,
        "skipped": 0, "dropped": 0
    });
    Json(json!({
        "share": "1%", "compared": 4, "differing": 0.25, "reads": counts,
        "writes": { "equal": 0, "different": 0, "unanswered": 0, "dropped": 0 },
        "routes": { "/api/contracts/": counts },
        "fields": [{
            "route": "/api/contracts/", "field": "$.seen", "differed": 1, "changed": 0,
            "volatile": false
        }],
        "examples": [], "read_writes": {},
        "declared": [{ "place": "$.links", "by": "ada", "because": "each host names itself" }]
    }))
}

async fn checklists() -> Json<[ChecklistStatus; 1]> {
    let item = ItemStatus {
        name: "team-trained".to_owned(),
        text: "the team runs the service by itself".to_owned(),
        state: "open".to_owned(),
        ..ItemStatus::default()
    };
    Json([ChecklistStatus {
        name: "decommissioning".to_owned(),
        done: false,
        items: vec![item],
    }])
}

async fn halt(State(fake): State<Arc<Fake>>, Json(asked): Json<Value>) -> Response {
    let mut status = fake.status.lock().unwrap();
    if asked["expected"].as_str() != status.halted.as_deref() {
        return refused(StatusCode::CONFLICT, "it is another halt by now");
    }
    status.halted = None;
    Json(status.clone()).into_response()
}
