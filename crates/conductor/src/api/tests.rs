//! Which calls there are, and who may make them.

use super::*;
use crate::{
    journal::{Journal, OrderEvent, OrderOutcome},
    request::RequestError,
    status::{ExtractionStatus, FailedRoute, HealthStatus},
};
use async_trait::async_trait;
use plan::People;
use protocol::rollout::Actor;
use serde_json::json;
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

#[derive(Default)]
struct NoRoutes {
    people: Arc<People>,
    /// How often it was asked to have them shifted though their reads write.
    waived: Arc<AtomicUsize>,
}

#[async_trait]
impl Routes for NoRoutes {
    fn plan_digest(&self) -> Arc<str> {
        "digest".into()
    }

    fn people(&self) -> Arc<People> {
        Arc::clone(&self.people)
    }

    fn routes(&self) -> serde_json::Value {
        serde_json::json!([])
    }

    fn health(&self, _: &ExtractionName) -> Option<HealthStatus> {
        None
    }

    fn waive_writing_reads(&self, _: &ExtractionName) -> Vec<FailedRoute> {
        self.waived.fetch_add(1, Ordering::SeqCst);
        vec![FailedRoute::default()]
    }

    async fn service_problem(&self, _: &ExtractionName) -> Option<String> {
        None
    }

    fn shadow(&self, _: &ExtractionName) -> serde_json::Value {
        serde_json::json!({ "compared": 1, "examples": [{ "monolith": "secret" }] })
    }

    fn explain(&self, _: &ExplainRequest) -> Result<serde_json::Value, String> {
        Err("not asked".to_owned())
    }

    async fn reload(&self) -> Result<ReloadReply, String> {
        Ok(ReloadReply {
            steps: Vec::new(),
            flags: vec!["new_contracts".to_owned()],
        })
    }
}

async fn ask(address: std::net::SocketAddr, line: &str, token: &str) -> String {
    send(address, line, token, "").await
}

async fn send(address: std::net::SocketAddr, line: &str, token: &str, body: &str) -> String {
    let length = body.len();
    let kind = if body.is_empty() {
        ""
    } else {
        "content-type: application/json\r\n"
    };
    let mut stream = TcpStream::connect(address).await.unwrap();
    let text = format!(
        "{line} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
         {kind}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

async fn served(workers: BTreeMap<ExtractionName, Worker>) -> std::net::SocketAddr {
    served_to(People::new(), workers, &nothing().await.1).await
}

/// A journal that is as new as its directory.
async fn nothing() -> (tempfile::TempDir, Arc<Journal>) {
    let directory = tempfile::tempdir().unwrap();
    let journal = Journal::open(directory.path()).await.unwrap();
    (directory, Arc::new(journal))
}

async fn served_to(
    people: People,
    workers: BTreeMap<ExtractionName, Worker>,
    journal: &Arc<Journal>,
) -> std::net::SocketAddr {
    let routes = NoRoutes {
        people: Arc::new(people),
        ..NoRoutes::default()
    };
    served_by(routes, workers, journal).await
}

async fn served_by(
    routes: NoRoutes,
    workers: BTreeMap<ExtractionName, Worker>,
    journal: &Arc<Journal>,
) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let api = ApiState {
        workers,
        checklists: BTreeMap::new(),
        retirements: BTreeMap::new(),
        rollouts: BTreeMap::new(),
        halt: None,
        journal: Arc::downgrade(journal),
        token: "right".into(),
        metrics: Arc::new(|_| Vec::new()),
        routes: Arc::new(routes),
    };
    tokio::spawn(serve(listener, router(api)));
    address
}

#[tokio::test]
async fn every_call_is_found_and_needs_the_token() {
    let address = served(BTreeMap::new()).await;
    for (line, wanted) in [
        ("GET /v1/status", "200"),
        ("GET /v1/routes", "200"),
        ("POST /v1/extractions/a/pause", "no extraction `a`"),
        ("GET /v1/extractions/a/shadow", "no extraction `a`"),
        ("POST /v1/extractions/a/switch", "no extraction `a`"),
    ] {
        let answer = ask(address, line, "right").await;
        assert!(answer.contains(wanted), "{line}: {answer}");
        let answer = ask(address, line, "wrong").await;
        assert!(answer.starts_with("HTTP/1.1 401"), "{line}: {answer}");
    }
}

fn somebody(name: &str, role: Role) -> (String, plan::Person) {
    let key = plan::Secret::new(&format!("{name}-0123456789")).unwrap();
    (name.to_owned(), plan::Person { role, key })
}

#[tokio::test]
async fn each_call_needs_its_role() {
    use Role::{Approver, Operator, Viewer};
    let people = [
        somebody("vera", Viewer),
        somebody("olaf", Operator),
        somebody("anna", Approver),
    ];
    let (worker, _requests, _status) = Worker::new(None);
    let workers = BTreeMap::from([(ExtractionName::new("a").unwrap(), worker)]);
    let (_directory, journal) = nothing().await;
    let address = served_to(People::from(people), workers, &journal).await;
    let callers = [
        ("vera-0123456789", Viewer),
        ("olaf-0123456789", Operator),
        ("anna-0123456789", Approver),
        // Where somebody has a key, the token of the state directory approves nothing.
        ("right", Operator),
    ];
    for (line, needed) in [
        ("GET /v1/me", Viewer),
        ("GET /v1/status", Viewer),
        ("GET /v1/journal", Viewer),
        ("GET /v1/flags", Viewer),
        ("GET /v1/extractions/a/verification", Viewer),
        ("GET /v1/routes", Viewer),
        ("POST /v1/explain", Viewer),
        ("GET /v1/extractions/a/shadow", Viewer),
        ("POST /v1/reload", Operator),
        ("POST /v1/halt", Operator),
        ("POST /v1/extractions/a/pause", Operator),
        ("POST /v1/extractions/a/nonsense", Operator),
        ("POST /v1/extractions/b/switch", Operator),
        ("POST /v1/extractions/a/approve", Approver),
        // The same, written otherwise.
        ("POST /v1/extractions/a/appro%76e", Approver),
        ("POST /v1/extractions/%61/approve", Approver),
    ] {
        for (key, role) in callers {
            let answer = ask(address, line, key).await;
            let is_refused = answer.starts_with("HTTP/1.1 403");
            assert_eq!(
                is_refused,
                role < needed,
                "{line} as {role} ({key}): {answer}"
            );
            assert!(!answer.starts_with("HTTP/1.1 401"), "{line}: {answer}");
            assert!(!answer.contains("0123456789"), "{line}: {answer}");
        }
    }
    let me = ask(address, "GET /v1/me", "anna-0123456789").await;
    let wanted = r#"{"name":"anna","role":"approver","proven":true}"#;
    assert!(me.ends_with(wanted), "{me}");
    let me = ask(address, "GET /v1/me", "right").await;
    let wanted = r#"{"name":null,"role":"operator","proven":false}"#;
    assert!(me.ends_with(wanted), "{me}");
}

#[tokio::test]
async fn values_are_not_for_who_only_reads() {
    let people = [
        somebody("vera", Role::Viewer),
        somebody("olaf", Role::Operator),
    ];
    let (worker, _requests, _status) = Worker::new(None);
    let workers = BTreeMap::from([(ExtractionName::new("a").unwrap(), worker)]);
    let (_directory, journal) = nothing().await;
    let address = served_to(People::from(people), workers, &journal).await;
    for (key, is_shown) in [("vera-0123456789", false), ("olaf-0123456789", true)] {
        let answer = ask(address, "GET /v1/extractions/a/shadow", key).await;
        assert!(answer.contains(r#""compared":1"#), "{answer}");
        assert_eq!(answer.contains("secret"), is_shown, "{key}: {answer}");
    }
}

#[test]
fn readiness_names_steps_that_have_stopped() {
    let name = ExtractionName::new("contracts").unwrap();
    let rollout = |state: &str| RolloutStatus {
        state: state.to_owned(),
        why: Some("gate `p95` failed".to_owned()),
        ..RolloutStatus::default()
    };
    assert_eq!(stopped_text(&name, &rollout("running")), None);
    assert_eq!(
        stopped_text(&name, &rollout("stopped")).unwrap(),
        "contracts: its steps have stopped: gate `p95` failed\n"
    );
}

#[tokio::test]
async fn readiness_says_what_goes_wrong() {
    let (worker, _requests, status) = Worker::new(None);
    let address = served(BTreeMap::from([(
        ExtractionName::new("contracts").unwrap(),
        worker,
    )]))
    .await;
    let well = ask(address, "GET /ready", "").await;
    assert!(well.starts_with("HTTP/1.1 200"), "{well}");
    let full = "the disk is full".to_owned();
    status.send_modify(|status| status.trouble = Some(full));
    let unwell = ask(address, "GET /ready", "").await;
    assert!(unwell.starts_with("HTTP/1.1 503"), "{unwell}");
    assert!(
        unwell.ends_with("contracts: the disk is full\n"),
        "{unwell}"
    );
    // Whoever lives may be left alone.
    let alive = ask(address, "GET /health", "").await;
    assert!(alive.starts_with("HTTP/1.1 200"), "{alive}");
}

#[tokio::test]
async fn the_journal_is_read_in_pages() {
    let (_directory, journal) = nothing().await;
    let name = ExtractionName::new("a").unwrap();
    let event = serde_json::json!({ "event": "prepared" });
    journal.append(&name, &[&event, &event]).await.unwrap();
    let address = served_to(People::new(), BTreeMap::new(), &journal).await;
    let page = async |query: &str| {
        let line = format!("GET /v1/journal{query}");
        let answer = ask(address, &line, "right").await;
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str::<serde_json::Value>(body).unwrap_or_default()
    };
    let all = page("").await;
    assert_eq!(all["entries"][1]["seq"], 2);
    assert_eq!(all["entries"][1]["extraction"], "a");
    assert_eq!(all["entries"][1]["event"], event);
    assert_eq!(all["entries"][1]["hash"], all["head"]["hash"]);
    assert_eq!(all["head"]["seq"], 2);
    assert_eq!(page("?after=1&limit=1").await["entries"][0]["seq"], 2);
    assert_eq!(
        page("?extraction=b").await["entries"],
        serde_json::json!([])
    );
    drop(journal);
    let gone = page("").await;
    assert!(
        gone["error"].as_str().unwrap().contains("is stopping"),
        "{gone}"
    );
}

/// The orders in a journal, as they are written down.
async fn orders(journal: &Journal) -> Vec<(String, OrderEvent)> {
    let page = journal.page(&JournalQuery::default()).await.unwrap();
    let read = |entry: &crate::JournalEntry| {
        let event = serde_json::from_str(entry.event.get()).unwrap();
        (entry.extraction.clone(), event)
    };
    page.entries.iter().map(read).collect()
}

/// Who, what, with what; and what came of it.
#[tokio::test]
async fn each_order_is_written_down_with_its_end() {
    let people = People::from([
        somebody("olaf", Role::Operator),
        somebody("vera", Role::Viewer),
    ]);
    let (worker, mut requests, _status) = Worker::new(None);
    let name = ExtractionName::new("a").unwrap();
    let workers = BTreeMap::from([(name, worker)]);
    let (_directory, journal) = nothing().await;
    let address = served_to(people, workers, &journal).await;
    tokio::spawn(async move {
        let refused = RequestError::Failed("the disk is full".to_owned());
        for result in [Ok(Reply::with(ExtractionStatus::default())), Err(refused)] {
            requests.recv().await.unwrap().reply(result);
        }
    });
    let (olaf, token) = ("olaf-0123456789", "right");
    let shift = r#"{ "reads": "5%", "by": "ada" }"#;
    for (line, key, body, wanted) in [
        ("POST /v1/extractions/a/shift", token, shift, "200"),
        ("POST /v1/extractions/a/verify", olaf, "{}", "503"),
        (
            "POST /v1/extractions/a/pause",
            olaf,
            r#"{ "note": "lunch" }"#,
            "409",
        ),
        ("POST /v1/reload", token, "", "200"),
        // None of these is an order: who gives it may not, or nobody knows what it is.
        ("POST /v1/extractions/a/shift", olaf, shift, "403"),
        (
            "POST /v1/extractions/a/start",
            "vera-0123456789",
            "{}",
            "403",
        ),
        ("POST /v1/extractions/a/dance", olaf, "{}", "400"),
        ("POST /v1/extractions/a/shift", olaf, "{}", "400"),
        ("POST /v1/extractions/b/start", olaf, "{}", "404"),
        ("POST /v1/halt", token, "{}", "409"),
    ] {
        let answer = send(address, line, key, body).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {wanted}")),
            "{line}: {answer}"
        );
    }
    let long = format!(r#"{{ "note": "{}" }}"#, "x".repeat(5000));
    let answer = send(address, "POST /v1/extractions/a/start", olaf, &long).await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    let ordered = |by: Option<Actor>, verb: &str, parameters| OrderEvent::Ordered {
        by,
        verb: verb.to_owned(),
        parameters: serde_json::from_value(parameters).unwrap(),
        plan: "digest".to_owned(),
    };
    let ended = |order, outcome| OrderEvent::Ended { order, outcome };
    let done = |result| OrderOutcome::Done {
        result: serde_json::from_value(result).unwrap(),
    };
    let ada = Some(Actor::Person("ada".to_owned()));
    let by_olaf = || Some(Actor::KeyHolder("olaf".to_owned()));
    let no_steps = "`a` has no steps in the plan (`rollout.steps`), so that each one is a \
                    person's anyway";
    let wanted = [
        ("a", ordered(ada, "shift", json!({ "reads": "5%" }))),
        ("a", ended(1, done(json!({})))),
        ("a", ordered(by_olaf(), "verify", json!({}))),
        (
            "a",
            ended(
                3,
                OrderOutcome::Failed {
                    why: "the disk is full".to_owned(),
                },
            ),
        ),
        ("a", ordered(by_olaf(), "pause", json!({ "note": "lunch" }))),
        (
            "a",
            ended(
                5,
                OrderOutcome::Refused {
                    why: no_steps.to_owned(),
                },
            ),
        ),
        ("*", ordered(None, "reload", json!({}))),
        (
            "*",
            ended(
                7,
                done(json!({ "plan": "digest", "flags": ["new_contracts"] })),
            ),
        ),
    ];
    let wanted = wanted.map(|(of, event)| (of.to_owned(), event));
    assert_eq!(orders(&journal).await, wanted);
}

/// What an order is bound to goes to the loop that takes it, which alone knows how it
/// stands then.
#[tokio::test]
async fn what_an_order_expects_is_compared_by_who_takes_it() {
    let (worker, mut requests, _status) = Worker::new(None);
    let name = ExtractionName::new("a").unwrap();
    let workers = BTreeMap::from([(name, worker)]);
    let (_directory, journal) = nothing().await;
    let address = served_to(People::new(), workers, &journal).await;
    tokio::spawn(async move {
        let now = ExtractionStatus {
            phase: "following".to_owned(),
            epoch: 6,
            ..ExtractionStatus::default()
        };
        while let Some(pending) = requests.recv().await {
            let result = pending
                .is_late(&now)
                .map_or_else(|| Ok(Reply::with(ExtractionStatus::default())), Err);
            pending.reply(result);
        }
    });
    for (expected, wanted) in [
        (r#"{ "phase": "following", "epoch": 6 }"#, "200"),
        (r#"{ "phase": "following", "epoch": 4 }"#, "409"),
        (r#"{ "phase": "switched" }"#, "409"),
        ("null", "200"),
        (r#"{ "epochs": 6 }"#, "422"),
    ] {
        let body = format!(r#"{{ "expected": {expected} }}"#);
        let line = "POST /v1/extractions/a/switch";
        let answer = send(address, line, "right", &body).await;
        let is_wanted = answer.starts_with(&format!("HTTP/1.1 {wanted}"));
        assert!(is_wanted, "{expected}: {answer}");
    }
    let refused = orders(&journal).await.into_iter().nth(3).unwrap();
    let why = format!("{refused:?}");
    assert!(why.contains("its epoch was 4 and is 6"), "{why}");
    // Without steps it is the streams that a resume is for, and it says so.
    let line = "POST /v1/extractions/a/resume";
    let answer = send(address, line, "right", "{}").await;
    assert!(answer.contains(r#""resumed":"streams""#), "{answer}");
    let kept = orders(&journal).await.pop().unwrap();
    assert!(format!("{kept:?}").contains("streams"), "{kept:?}");
}

/// It is bound to the text of its item.
#[tokio::test]
async fn what_does_not_go_with_an_attestation_is_refused() {
    let (worker, _requests, _status) = Worker::new(None);
    let workers = BTreeMap::from([(ExtractionName::new("a").unwrap(), worker)]);
    let (_directory, journal) = nothing().await;
    let address = served_to(People::new(), workers, &journal).await;
    let line = "POST /v1/extractions/a/attest";
    let body = r#"{ "by": "ada", "item": "ticket", "note": "x", "expected": { "epoch": 1 } }"#;
    let answer = send(address, line, "right", body).await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(answer.contains("is bound to the item's `text`"), "{answer}");
}

/// What is refused switches no protection off.
#[tokio::test]
async fn routes_are_waived_for_a_shift_that_was_taken() {
    let (worker, mut requests, _status) = Worker::new(None);
    let workers = BTreeMap::from([(ExtractionName::new("a").unwrap(), worker)]);
    let (_directory, journal) = nothing().await;
    let routes = NoRoutes::default();
    let waived = Arc::clone(&routes.waived);
    let address = served_by(routes, workers, &journal).await;
    tokio::spawn(async move {
        let now = ExtractionStatus {
            epoch: 6,
            ..ExtractionStatus::default()
        };
        while let Some(pending) = requests.recv().await {
            let late = pending.is_late(&now);
            let status = ExtractionStatus::default();
            pending.reply(late.map_or_else(|| Ok(Reply::with(status)), Err));
        }
    });
    for (epoch, wanted, count) in [(4, "409", 0), (6, "200", 1)] {
        let body = json!({ "reads": "5%", "unhealthy": true, "expected": { "epoch": epoch } });
        let line = "POST /v1/extractions/a/shift";
        let answer = send(address, line, "right", &body.to_string()).await;
        let is_wanted = answer.starts_with(&format!("HTTP/1.1 {wanted} "));
        assert!(is_wanted, "{answer}");
        assert_eq!(waived.load(Ordering::SeqCst), count, "{answer}");
    }
}

/// What nobody waits for has its end, too, and what cannot be written down is not done.
#[tokio::test]
async fn an_order_ends_without_its_caller_and_is_none_without_a_journal() {
    let (worker, mut requests, _status) = Worker::new(None);
    let name = ExtractionName::new("a").unwrap();
    let workers = BTreeMap::from([(name.clone(), worker)]);
    let (directory, journal) = nothing().await;
    let address = served_to(People::new(), workers, &journal).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = "POST /v1/extractions/a/start HTTP/1.1\r\nhost: x\r\n\
                authorization: Bearer right\r\ncontent-length: 0\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let pending = requests.recv().await.unwrap();
    // It hangs up, and the connection's end says that it was noticed.
    stream.shutdown().await.unwrap();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    assert!(rest.is_empty(), "{rest:?}");
    pending.reply(Ok(Reply::with(ExtractionStatus::default())));
    let until_ended = async {
        while orders(&journal).await.len() < 2 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    let limit = std::time::Duration::from_secs(20);
    tokio::time::timeout(limit, until_ended).await.unwrap();

    drop(journal);
    let answer = send(address, "POST /v1/extractions/a/start", "right", "{}").await;
    assert!(answer.contains("is stopping"), "{answer}");
    assert!(requests.try_recv().is_err());
    let journal = Journal::open(directory.path()).await.unwrap();
    journal
        .read(&ExtractionName::new("a").unwrap())
        .await
        .unwrap();
}

#[tokio::test]
async fn keys_of_rows_are_not_for_who_only_reads() {
    let people = [
        somebody("vera", Role::Viewer),
        somebody("olaf", Role::Operator),
    ];
    let name = ExtractionName::new("a").unwrap();
    let (worker, _requests, _status) = Worker::new(None);
    let (_directory, journal) = nothing().await;
    let workers = BTreeMap::from([(name.clone(), worker)]);
    let address = served_to(People::from(people), workers, &journal).await;
    let line = "GET /v1/extractions/a/verification";
    let none = ask(address, line, "olaf-0123456789").await;
    assert!(none.ends_with("null"), "{none}");
    let found = crate::ports::Verification {
        rows: 7,
        differences: 1,
        tables: Vec::new(),
        report: serde_json::json!({ "differences": [{ "key": [["id", "4711"]] }] }),
    };
    let kind = crate::journal::ReportKind::Verification;
    journal.keep_report(&name, kind, &found).await.unwrap();
    for (key, sees) in [("vera-0123456789", false), ("olaf-0123456789", true)] {
        let answer = ask(address, line, key).await;
        assert!(answer.contains("\"rows\":7"), "{answer}");
        assert_eq!(answer.contains("4711"), sees, "{answer}");
    }
    // Nor in what has happened, which everybody reads and nobody takes back.
    let entries = ask(address, "GET /v1/journal", "olaf-0123456789").await;
    assert!(!entries.contains("4711"), "{entries}");
}
