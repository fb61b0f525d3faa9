//! The console over an API that answers what a test wants.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use axum::{
    Json, Router,
    body::{Body, to_bytes},
    extract::{Path, Query, State},
    http::{HeaderMap, Request, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use conductor::{
    JournalQuery,
    api::{ErrorKind, ErrorReply},
    outlook,
    status::{
        ChecklistStatus, ExtractionStatus, ItemStatus, NextVerb, RetireStatus, RolloutStatus,
        Status, VerifyStatus,
    },
};
use futures_util::StreamExt;
use serde_json::{Value, json};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// What the API says, and what it was asked.
#[derive(Default)]
struct Fake {
    status: Mutex<Status>,
    refusal: Mutex<Option<String>>,
    orders: Mutex<Vec<(String, Value)>>,
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
        }
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

struct Bed {
    router: Router,
    fake: Arc<Fake>,
    stop: CancellationToken,
}

/// What a page answered.
struct Page {
    code: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Bed {
    fn new() -> Self {
        let contracts = ExtractionStatus {
            name: "contracts".to_owned(),
            phase: "following".to_owned(),
            owner: "monolith".to_owned(),
            reads_percent: 10.0,
            last_verify: Some(VerifyStatus::default()),
            ..ExtractionStatus::default()
        };
        let fake = Arc::new(Fake {
            status: Mutex::new(Status {
                extractions: vec![contracts],
                ..Status::default()
            }),
            ..Fake::default()
        });
        let api = Router::new()
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
            .with_state(Arc::clone(&fake));
        let stop = CancellationToken::new();
        let router = web_console::router(web_console::Settings {
            api,
            token: "token".into(),
            stop: stop.clone(),
        });
        Self { router, fake, stop }
    }

    async fn send(&self, request: Request<Body>) -> Page {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (code, headers) = (response.status(), response.headers().clone());
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        let text = String::from_utf8(body.to_vec()).unwrap();
        Page {
            code,
            headers,
            text,
        }
    }

    async fn get(&self, path: &str, cookie: &str) -> Page {
        self.send(read(path, cookie)).await
    }

    async fn post(&self, path: &str, cookie: &str, form: &str) -> Page {
        let request = Request::post(path)
            .header(header::HOST, "localhost:7600")
            .header(header::COOKIE, cookie)
            .header("sec-fetch-site", "same-origin")
            .body(Body::from(form.to_owned()))
            .unwrap();
        self.send(request).await
    }

    /// What the form of a page says of how it stood, as a field of its own.
    async fn expected(&self, page: &str, cookie: &str) -> String {
        let page = self.get(page, cookie).await.text;
        let (_, rest) = page.split_once("name=\"expected\" value=\"").unwrap();
        let shown = rest.split('"').next().unwrap();
        let json = shown.replace("&#34;", "\"");
        let value: String = url::form_urlencoded::byte_serialize(json.as_bytes()).collect();
        format!("expected={value}")
    }

    /// Signs in by key; the cookie, and the secret that forms carry.
    async fn sign_in(&self, key: &str) -> (String, String) {
        let form = self.get("/console/sign-in", "").await;
        let form_cookie = cookie(&form);
        let fields = format!("csrf={}&key={key}&name=olaf", csrf(&form));
        let answer = self.post("/console/sign-in", &form_cookie, &fields).await;
        assert_eq!(answer.code, StatusCode::SEE_OTHER, "{}", answer.text);
        let cookie = cookie(&answer);
        let page = self.get("/console/freeze", &cookie).await;
        let csrf = csrf(&page);
        (cookie, csrf)
    }
}

fn read(path: &str, cookie: &str) -> Request<Body> {
    Request::get(path)
        .header(header::HOST, "localhost:7600")
        .header(header::COOKIE, cookie)
        .body(Body::empty())
        .unwrap()
}

fn cookie(page: &Page) -> String {
    let kept = page.headers[header::SET_COOKIE].to_str().unwrap();
    for part in ["Path=/console", "HttpOnly", "SameSite=Strict"] {
        assert!(kept.contains(part), "{kept}");
    }
    kept.split(';').next().unwrap().to_owned()
}

fn csrf(page: &Page) -> String {
    let (_, rest) = page.text.split_once("name=\"csrf\" value=\"").unwrap();
    rest.split('"').next().unwrap().to_owned()
}

const SHIFT: &str = "/console/extractions/contracts/order/shift";

#[tokio::test]
async fn every_answer_is_guarded() {
    let bed = Bed::new();
    let (cookie, _) = bed.sign_in("token").await;
    for path in [
        "/console",
        "/console/sign-in",
        "/console/extractions/contracts",
        "/console/extractions/contracts/points",
        "/console/extractions/contracts/evidence",
        "/console/extractions/contracts/retire",
        SHIFT,
        "/console/freeze",
        "/console/differences",
        "/console/routes",
        "/console/approvals",
        "/console/report",
        "/console/flags",
        "/console/assets/console.css",
        "/console/assets/none",
        "/console/none",
        "/console/extractions/contracts/none",
        "/console/extractions/contracts/decisions/none",
        "/console/extractions/none",
    ] {
        let page = bed.get(path, &cookie).await;
        let policy = page.headers[header::CONTENT_SECURITY_POLICY]
            .to_str()
            .unwrap();
        assert!(
            policy.starts_with("default-src 'none'") && !policy.contains("unsafe"),
            "{path}: {policy}"
        );
        assert_eq!(page.headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert_eq!(page.headers[header::REFERRER_POLICY], "no-referrer");
        for inline in [
            " style=",
            "<style",
            " onclick=",
            "javascript:",
            "http://",
            "https://",
        ] {
            let is_page = page.text.starts_with("<!doctype");
            assert!(!is_page || !page.text.contains(inline), "{path}: {inline}");
        }
    }
}

#[tokio::test]
async fn what_is_not_there_gets_a_page_with_the_way_back() {
    let bed = Bed::new();
    let (cookie, _) = bed.sign_in("token").await;
    let not_found = StatusCode::NOT_FOUND;
    for (path, code, text) in [
        ("/console/none", not_found, "no page /console/none"),
        (
            "/console/a/b/c/%3Cb%3E",
            not_found,
            "no page /console/a/b/c/",
        ),
        (
            "/console/extractions/none",
            not_found,
            "no extraction `none`",
        ),
        (
            "/console/extractions/contracts/decisions/none",
            StatusCode::BAD_REQUEST,
            "none",
        ),
    ] {
        // What is not there is not there for anybody.
        for cookie in [&cookie, ""] {
            let page = bed.get(path, cookie).await;
            if page.code == StatusCode::SEE_OTHER {
                continue;
            }
            assert_eq!(page.code, code, "{path}");
            assert!(page.text.starts_with("<!doctype html>"), "{path}");
            assert!(page.text.contains(text), "{path}: {}", page.text);
            assert!(page.text.contains("href=\"/console\">Back"), "{path}");
        }
    }
    let page = bed.post("/console/flags", &cookie, "").await;
    assert_eq!(page.code, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(page.headers[header::ALLOW], "GET,HEAD");
    let text = "/console/flags does not take POST";
    assert!(page.text.contains(text), "{}", page.text);
}

#[tokio::test]
async fn a_viewer_sees_what_is_missing_until_the_old_side_may_go() {
    let bed = Bed::new();
    let (cookie, _) = bed.sign_in("vera-key").await;
    let one = bed
        .get("/console/extractions/contracts", &cookie)
        .await
        .text;
    let path = "/console/extractions/contracts/retire";
    assert!(one.contains(path), "{one}");
    let page = bed.get(path, &cookie).await;
    assert_eq!(page.code, StatusCode::OK, "{}", page.text);
    for text in [
        "Nobody may use the old side for 3 d.",
        "at the earliest, in 24 h. One item of the checklist is open.",
        "2 d of 3 d",
        "public.contracts was read 1 times",
        "long enough",
        "1,234",
        "the team runs the service by itself",
        "not yet",
        "banyan retire contracts --to",
        "remove-old-tables.sql",
    ] {
        assert!(page.text.contains(text), "{text}: {}", page.text);
    }
    // Nothing of it is done from here.
    assert!(!page.text.contains("order/retire"), "{}", page.text);
}

#[tokio::test]
async fn flags_and_declarations_say_who_and_why() {
    let bed = Bed::new();
    let (cookie, _) = bed.sign_in("vera-key").await;
    let flags = bed.get("/console/flags", &cookie).await.text;
    for text in [
        "everybody to the monolith; 2 users to the service",
        "By the plan <code>77c1</code>, reloaded by <b>ada</b>",
        "which does not say by whom",
    ] {
        assert!(flags.contains(text), "{text}: {flags}");
    }
    let found = bed.get("/console/differences", &cookie).await.text;
    for text in [
        "each host names itself",
        "Declare it volatile",
        "- place: &#34;$.seen&#34;",
        "by: &#34;olaf&#34;",
    ] {
        assert!(found.contains(text), "{text}: {found}");
    }
}

#[tokio::test]
async fn each_decision_leads_to_what_it_went_by() {
    let bed = Bed::new();
    let (cookie, _) = bed.sign_in("vera-key").await;
    let one = "/console/extractions/contracts";
    let log = bed.get(one, &cookie).await.text;
    for seq in [1, 2] {
        let link = format!("href=\"{one}/decisions/{seq}\"");
        assert!(log.contains(&link), "{link}: {log}");
    }
    let refused = bed.get(&format!("{one}/decisions/2"), &cookie).await.text;
    for text in [
        "not&#60;/b&#62; healthy",
        "<dt>The order</dt>",
        &format!("href=\"{one}/decisions/1\""),
        &format!("{:064}", 2),
    ] {
        assert!(refused.contains(text), "{text}: {refused}");
    }
    let order = bed.get(&format!("{one}/decisions/1"), &cookie).await.text;
    for text in ["<code>5f0a</code>", "<dt>What came of it</dt>", "By olaf."] {
        assert!(order.contains(text), "{text}: {order}");
    }
    let none = bed.get(&format!("{one}/decisions/3"), &cookie).await;
    assert_eq!(none.code, StatusCode::NOT_FOUND, "it is of all extractions");
}

#[tokio::test]
async fn grafana_is_linked_where_the_plan_names_it() {
    let bed = Bed::new();
    let (cookie, _) = bed.sign_in("vera-key").await;
    let paths = ["/console", "/console/extractions/contracts"];
    for path in paths {
        let page = bed.get(path, &cookie).await.text;
        assert!(!page.contains("Grafana"), "{page}");
    }
    let address = "https://ops.example/grafana".to_owned();
    bed.fake.status.lock().unwrap().grafana = Some(address);
    for path in paths {
        let page = bed.get(path, &cookie).await.text;
        let link = "<a href=\"https://ops.example/grafana/d/banyan-migration\" rel=\"noreferrer\">";
        assert!(page.contains(link), "{page}");
    }
}

#[tokio::test]
async fn another_name_for_this_address_reads_nothing() {
    let bed = Bed::new();
    let (cookie, _) = bed.sign_in("token").await;
    let asked = |host: &str| {
        let mut request = read("/console", &cookie);
        let host = host.parse().unwrap();
        request.headers_mut().insert(header::HOST, host);
        bed.send(request)
    };
    let foreign = asked("rebound.example:7600").await;
    assert_eq!(foreign.code, StatusCode::MISDIRECTED_REQUEST);
    assert!(!foreign.text.contains("contracts"), "{}", foreign.text);
    assert_eq!(asked("[::1]:7600").await.code, StatusCode::OK);
}

#[tokio::test]
async fn nobody_sees_anything_before_they_have_signed_in() {
    let bed = Bed::new();
    for path in [
        "/console",
        "/console/live",
        "/console/extractions/contracts",
        SHIFT,
    ] {
        for cookie in ["", "banyan_console=", "banyan_console=0123"] {
            let page = bed.get(path, cookie).await;
            assert_eq!(page.code, StatusCode::SEE_OTHER, "{path}");
            assert_eq!(page.headers[header::LOCATION], "/console/sign-in");
        }
    }
    let form = bed.get("/console/sign-in", "").await;
    let fields = format!("csrf={}&key=wrong", csrf(&form));
    let answer = bed.post("/console/sign-in", &cookie(&form), &fields).await;
    assert_eq!(answer.code, StatusCode::UNAUTHORIZED);
    assert!(answer.text.contains("not known here"), "{}", answer.text);
    // Another site's form has not the secret of ours.
    let forged = bed.post("/console/sign-in", "", "csrf=&key=token").await;
    assert_eq!(forged.code, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn pages_say_how_it_stands_and_what_comes_next() {
    let bed = Bed::new();
    let (cookie, csrf) = bed.sign_in("olaf-key").await;
    let all = bed.get("/console", &cookie).await.text;
    assert!(
        all.contains("The monolith owns its data still; contracts needs you."),
        "{all}"
    );
    let one = bed
        .get("/console/extractions/contracts", &cookie)
        .await
        .text;
    for text in [
        "Shift to 50 %",
        "10 % of the readers are at the",
        "olaf, operator",
    ] {
        assert!(one.contains(text), "{text}: {one}");
    }
    let gone = bed.get("/console/extractions/none", &cookie).await;
    assert_eq!(gone.code, StatusCode::NOT_FOUND);
    assert!(gone.text.contains("no extraction"), "{}", gone.text);

    let out = bed
        .post("/console/sign-out", &cookie, &format!("csrf={csrf}"))
        .await;
    assert_eq!(out.code, StatusCode::SEE_OTHER);
    let after = bed.get("/console", &cookie).await;
    assert_eq!(after.code, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn only_a_form_of_the_session_orders_anything() {
    let bed = Bed::new();
    let (cookie, secret) = bed.sign_in("olaf-key").await;
    let (_, of_another) = bed.sign_in("olaf-key").await;
    for forged in [
        "reads=50%25".to_owned(),
        "csrf=&reads=50%25".to_owned(),
        format!("csrf={of_another}&reads=50%25"),
    ] {
        let page = bed.post(SHIFT, &cookie, &forged).await;
        assert_eq!(page.code, StatusCode::FORBIDDEN, "{forged}");
    }
    let expected = bed.expected(SHIFT, &cookie).await;
    let fields = format!("csrf={secret}&reads=50&{expected}");
    let mut foreign = read(SHIFT, &cookie);
    *foreign.method_mut() = "POST".parse().unwrap();
    let site = "cross-site".parse().unwrap();
    foreign.headers_mut().insert("sec-fetch-site", site);
    *foreign.body_mut() = Body::from(fields.clone());
    assert_eq!(bed.send(foreign).await.code, StatusCode::FORBIDDEN);
    assert!(bed.fake.orders.lock().unwrap().is_empty());

    let done = bed.post(SHIFT, &cookie, &fields).await;
    assert_eq!(done.code, StatusCode::SEE_OTHER, "{}", done.text);
    let orders = bed.fake.orders.lock().unwrap().clone();
    let [(order, parameters)] = orders.as_slice() else {
        panic!("{orders:?}");
    };
    assert_eq!(order, "shift contracts");
    assert_eq!(parameters["reads"], "50%");
    assert_eq!(parameters["by"], "olaf");
    let after = bed
        .get("/console/extractions/contracts", &cookie)
        .await
        .text;
    assert!(
        after.contains("Shift readers of contracts: 10 %"),
        "{after}"
    );
}

const ORDER: &str = "/console/extractions/contracts/order";

/// A page of before a colleague's rollback orders nothing, and one without what it showed
/// does not either.
#[tokio::test]
async fn a_page_orders_what_it_showed() {
    let bed = Bed::new();
    let (cookie, secret) = bed.sign_in("olaf-key").await;
    let switch = format!("{ORDER}/switch");
    let expected = bed.expected(&switch, &cookie).await;
    bed.fake.status.lock().unwrap().extractions[0].epoch = 2;
    let fields = format!("csrf={secret}&{expected}");
    let late = bed.post(&switch, &cookie, &fields).await;
    assert_eq!(late.code, StatusCode::CONFLICT);
    assert!(late.text.contains("its epoch was"), "{}", late.text);
    for page in ["switch", "start", "finish", "rollback", "resume"] {
        let without = format!("csrf={secret}&name=contracts");
        let page = bed
            .post(&format!("{ORDER}/{page}"), &cookie, &without)
            .await;
        assert_eq!(page.code, StatusCode::BAD_REQUEST, "{}", page.text);
    }
    assert!(bed.fake.orders.lock().unwrap().is_empty());
    // What takes harm back comes through however late it is.
    for verb in ["withdraw", "pause", "verify"] {
        let path = format!("{ORDER}/{verb}");
        let page = bed.post(&path, &cookie, &format!("csrf={secret}")).await;
        assert_eq!(page.code, StatusCode::SEE_OTHER, "{verb}: {}", page.text);
    }
    let expected = bed.expected(&switch, &cookie).await;
    let fields = format!("csrf={secret}&{expected}");
    let done = bed.post(&switch, &cookie, &fields).await;
    assert_eq!(done.code, StatusCode::SEE_OTHER, "{}", done.text);
    let (_, parameters) = bed.fake.orders.lock().unwrap().pop().unwrap();
    let expected = &parameters["expected"];
    assert_eq!(expected["phase"], "following");
    assert_eq!(expected["epoch"], 2);
    assert_eq!(expected["reads_percent"], 10.0);
}

/// A button that asks nothing carries it, too.
#[tokio::test]
async fn a_button_orders_what_its_page_showed() {
    let bed = Bed::new();
    let (cookie, _) = bed.sign_in("olaf-key").await;
    bed.fake.status.lock().unwrap().extractions[0].phase = "planned".to_owned();
    let expected = bed
        .expected("/console/extractions/contracts", &cookie)
        .await;
    assert!(expected.contains("planned"), "{expected}");
}

/// A step that a colleague lets begin between the look and the click is not approved by
/// that click, nor is the next one.
#[tokio::test]
async fn what_is_approved_is_the_step_that_was_shown() {
    let bed = Bed::new();
    let (cookie, _) = bed.sign_in("token").await;
    let waits = |step: usize, of: &str| RolloutStatus {
        state: "running".to_owned(),
        step: Some(step),
        decisions: u64::try_from(step).unwrap(),
        steps: vec!["reads 10%".to_owned(), "switch".to_owned()],
        asks: Some(NextVerb::Approve {
            step,
            of: Some(of.to_owned()),
        }),
        ..RolloutStatus::default()
    };
    let stands = |rollout| bed.fake.status.lock().unwrap().extractions[0].rollout = Some(rollout);
    stands(waits(1, "the report"));
    let page = bed.get("/console/approvals", &cookie).await.text;
    let (_, rest) = page.split_once("order/approve?").unwrap();
    let query = rest.split('"').next().unwrap();
    let link = format!("{ORDER}/approve?{query}");
    let asks = bed.get(&link, &cookie).await.text;
    for text in ["1 of 2 (reads 10%)", "<dd>the report</dd>"] {
        assert!(asks.contains(text), "{text}: {asks}");
    }
    stands(waits(2, "the rehearsal"));
    let asks = bed.get(&link, &cookie).await;
    assert_eq!(asks.code, StatusCode::CONFLICT, "{}", asks.text);
    let why = "its steps were running in step 1 and are running in step 2";
    assert!(asks.text.contains(why), "{}", asks.text);
    let wrong = format!("{ORDER}/approve?expected=x");
    assert_eq!(bed.get(&wrong, &cookie).await.code, StatusCode::BAD_REQUEST);
}

/// One name, two things: the button and the page say which, and so does the outcome.
#[tokio::test]
async fn a_resume_says_what_goes_on() {
    let bed = Bed::new();
    let (cookie, secret) = bed.sign_in("olaf-key").await;
    let of = "/console/extractions/contracts";
    let resume = format!("{ORDER}/resume");
    bed.fake.status.lock().unwrap().extractions[0].trouble = Some("its slot is gone".to_owned());
    let page = bed.get(of, &cookie).await.text;
    assert!(page.contains("Try again now"), "{page}");
    let asks = bed.get(&resume, &cookie).await.text;
    let has_step = |page: &str| page.contains("name=\"step\"");
    assert!(!has_step(&asks), "{asks}");
    bed.fake.status.lock().unwrap().extractions[0].rollout = Some(RolloutStatus {
        state: "stopped".to_owned(),
        step: Some(1),
        steps: vec!["reads 10%".to_owned(), "switch".to_owned()],
        why: Some("gate `p99` failed".to_owned()),
        asks: Some(NextVerb::Resume { step: Some(2) }),
        resume_step: Some(2),
        ..RolloutStatus::default()
    });
    let page = bed.get(of, &cookie).await.text;
    for text in ["Resume the steps", "It has stopped: gate `p99` failed."] {
        assert!(page.contains(text), "{page}");
    }
    let asks = bed.get(&resume, &cookie).await.text;
    assert!(
        has_step(&asks) && asks.contains("value=\"2\" selected"),
        "{asks}"
    );
    let expected = bed.expected(&resume, &cookie).await;
    let fields = format!("csrf={secret}&{expected}&step=2");
    let done = bed.post(&resume, &cookie, &fields).await;
    assert_eq!(done.code, StatusCode::SEE_OTHER, "{}", done.text);
    let page = bed.get(of, &cookie).await.text;
    assert!(page.contains("the steps of the plan go on."), "{page}");
}

/// A page of before lifts no freeze that a colleague has begun since.
#[tokio::test]
async fn who_lifts_a_freeze_has_seen_it() {
    const FREEZE: &str = "/console/freeze";
    let bed = Bed::new();
    let (cookie, secret) = bed.sign_in("olaf-key").await;
    let halted = |why: &str| bed.fake.status.lock().unwrap().halted = Some(why.to_owned());
    halted("halted by ben: incident 6");
    let page = bed.get(FREEZE, &cookie).await.text;
    let shown = r#"name="halted" value="halted by ben: incident 6""#;
    assert!(page.contains(shown), "{page}");
    halted("halted by ada: incident 7");
    let lift = async |halted: &str| {
        let fields = format!("csrf={secret}&off=yes&halted={halted}");
        bed.post(FREEZE, &cookie, &fields).await.code
    };
    assert_eq!(lift("").await, StatusCode::BAD_REQUEST);
    let late = lift("halted+by+ben:+incident+6").await;
    assert_eq!(late, StatusCode::CONFLICT);
    let done = lift("halted+by+ada:+incident+7").await;
    assert_eq!(done, StatusCode::SEE_OTHER);
}

/// What is lost for good is not lost by a click, nor by a wrong name.
#[tokio::test]
async fn what_is_lost_for_good_is_named() {
    let bed = Bed::new();
    let (cookie, secret) = bed.sign_in("olaf-key").await;
    for (verb, loses) in [
        ("finish", "The way back is lost"),
        ("cancel", "The copy is lost"),
        ("recopy", "nothing brings those rows back"),
    ] {
        let path = format!("{ORDER}/{verb}");
        let asks = bed.get(&path, &cookie).await.text;
        assert!(
            asks.contains(loses) && asks.contains("name=\"name\" required"),
            "{asks}"
        );
        let expected = bed.expected(&path, &cookie).await;
        for typed in ["", "&name=", "&name=contract", "&name=Contracts"] {
            let fields = format!("csrf={secret}&{expected}{typed}");
            let page = bed.post(&path, &cookie, &fields).await;
            assert_eq!(page.code, StatusCode::BAD_REQUEST, "{verb} {typed}");
            assert!(page.text.contains("wants the name typed"), "{}", page.text);
        }
        let fields = format!("csrf={secret}&{expected}&name=contracts");
        let page = bed.post(&path, &cookie, &fields).await;
        assert_eq!(page.code, StatusCode::SEE_OTHER, "{verb}: {}", page.text);
    }
}

#[tokio::test]
async fn refusals_are_the_apis_own() {
    let bed = Bed::new();
    let (cookie, secret) = bed.sign_in("vera-key").await;
    let one = bed
        .get("/console/extractions/contracts", &cookie)
        .await
        .text;
    let needs = "Needs the role operator; yours is viewer.";
    assert!(
        one.contains(needs) && !one.contains("<a id=\"order-"),
        "{one}"
    );
    let ask = bed.get(SHIFT, &cookie).await.text;
    assert!(ask.contains(needs) && ask.contains("disabled"), "{ask}");
    let expected = bed.expected(SHIFT, &cookie).await;
    let fields = format!("csrf={secret}&reads=50%25&{expected}");
    let page = bed.post(SHIFT, &cookie, &fields).await;
    assert_eq!(page.code, StatusCode::FORBIDDEN);
    assert!(
        page.text.contains("needs the role `operator`"),
        "{}",
        page.text
    );

    let (cookie, secret) = bed.sign_in("olaf-key").await;
    let why = "the service is not healthy: <b>503</b>. See to it first";
    *bed.fake.refusal.lock().unwrap() = Some(why.to_owned());
    let fields = format!("csrf={secret}&reads=50%25&{expected}");
    let page = bed.post(SHIFT, &cookie, &fields).await;
    assert_eq!(page.code, StatusCode::CONFLICT);
    let text = &page.text;
    assert!(
        text.contains("See to it first") && !text.contains("<b>"),
        "{text}"
    );
}

#[tokio::test]
async fn a_way_in_is_good_once() {
    let bed = Bed::new();
    let invited = |bearer: &'static str| {
        let request = Request::post("/v1/console/sign-ins")
            .header(header::AUTHORIZATION, format!("Bearer {bearer}"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(r#"{"by":"anna"}"#))
            .unwrap();
        bed.send(request)
    };
    assert_eq!(invited("wrong").await.code, StatusCode::UNAUTHORIZED);
    let answer: Value = serde_json::from_str(&invited("token").await.text).unwrap();
    let path = answer["path"].as_str().unwrap();
    let mut look = read(path, "");
    *look.method_mut() = "HEAD".parse().unwrap();
    assert_eq!(bed.send(look).await.code, StatusCode::OK);
    let entered = bed.get(path, "").await;
    let page = bed.get("/console", &cookie(&entered)).await;
    assert!(page.text.contains("anna, approver"), "{}", page.text);
    let again = bed.get(path, "").await;
    assert_eq!(again.code, StatusCode::GONE);
    assert!(!again.headers.contains_key(header::SET_COOKIE));
}

/// A session without a name could order nothing that is kept with one.
#[tokio::test]
async fn nobody_comes_in_without_a_name() {
    let bed = Bed::new();
    for by in [r#"{"by":null}"#, r#"{"by":""}"#, r#"{"by":"  "}"#, "{}"] {
        let request = Request::post("/v1/console/sign-ins")
            .header(header::AUTHORIZATION, "Bearer token")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(by))
            .unwrap();
        let answer = bed.send(request).await;
        assert_eq!(answer.code, StatusCode::BAD_REQUEST, "{}", answer.text);
        assert!(answer.text.contains("set BANYAN_USER"), "{}", answer.text);
    }
    let form = bed.get("/console/sign-in", "").await;
    let fields = format!("csrf={}&key=token&name=+", csrf(&form));
    let answer = bed.post("/console/sign-in", &cookie(&form), &fields).await;
    assert_eq!(answer.code, StatusCode::UNAUTHORIZED);
    assert!(answer.text.contains("type yours"), "{}", answer.text);
}

#[tokio::test]
async fn a_page_comes_again_when_it_has_changed_and_ends_with_its_process() {
    let bed = Bed::new();
    let (cookie, _) = bed.sign_in("token").await;
    let request = read("/console/extractions/contracts/live", &cookie);
    let response = bed.router.clone().oneshot(request).await.unwrap();
    assert_eq!(
        response.headers()[header::CONTENT_TYPE],
        "text/event-stream"
    );
    let mut events = response.into_body().into_data_stream();
    let mut next = async || {
        let event = tokio::time::timeout(Duration::from_secs(20), events.next());
        let event = event.await.unwrap();
        event.map(|event| String::from_utf8(event.unwrap().to_vec()).unwrap())
    };
    let first = next().await.unwrap();
    assert!(
        first.contains("event: page") && first.contains("Shift to 50 %"),
        "{first}"
    );
    bed.fake.status.lock().unwrap().extractions[0].reads_percent = 50.0;
    let second = next().await.unwrap();
    assert!(second.contains("Shift to 100 %"), "{second}");
    bed.stop.cancel();
    let last = next().await.unwrap();
    assert!(last.contains("event: over"), "{last}");
    assert_eq!(next().await, None);
    let page = bed.get("/console", &cookie).await;
    assert_eq!(page.code, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(page.headers[header::CONNECTION], "close");
}
