//! Which calls there are, and who may make them.

use super::*;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

#[derive(Default)]
struct NoRoutes {
    people: Arc<People>,
}

#[async_trait]
impl Routes for NoRoutes {
    fn people(&self) -> Arc<People> {
        Arc::clone(&self.people)
    }

    fn routes(&self) -> serde_json::Value {
        serde_json::json!([])
    }

    fn health(&self, _: &ExtractionName) -> Option<HealthStatus> {
        None
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
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let api = ApiState {
        workers,
        checklists: BTreeMap::new(),
        rollouts: BTreeMap::new(),
        halt: None,
        journal: Arc::downgrade(journal),
        token: "right".into(),
        metrics: Arc::new(|_| Vec::new()),
        routes: Arc::new(NoRoutes {
            people: Arc::new(people),
        }),
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
