//! Answers, limits, sockets and the end.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::{get as at_get, post as at_post};
use kit::{Json, Limits, Path, Problem, Query, Service, Stopping};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore};

use crate::support::{get, kit, post, raw, send, serving, started};

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Greeting {
    whom: String,
    #[serde(default)]
    times: u8,
}

async fn greet(Json(greeting): Json<Greeting>) -> Json<Greeting> {
    Json(greeting)
}

#[derive(Deserialize)]
struct Page {
    page: u32,
}

fn router() -> Router {
    Router::new()
        .route("/greetings", at_post(greet))
        .route(
            "/number/{id}",
            at_get(|Path(id): Path<u32>| async move { id.to_string() }),
        )
        .route(
            "/pages",
            at_get(|Query(page): Query<Page>| async move { page.page.to_string() }),
        )
        .route(
            "/panic",
            at_get(|| async {
                let nothing: Vec<&str> = Vec::new();
                nothing[nothing.len()]
            }),
        )
        .route("/axum", at_post(|_: axum::Json<Greeting>| async {}))
        .route(
            "/own",
            at_get(|| async { Problem::new(http::StatusCode::CONFLICT, "taken", "It is taken.") }),
        )
}

#[tokio::test]
async fn every_failure_is_a_problem() {
    let running = serving(router()).await;
    let good = post(&running, "/greetings", "{\"whom\": \"you\", \"times\": 2}").await;
    assert_eq!((good.status, &good.json()["times"]), (200, &2.into()));
    let table = [
        ("{\"whom\": ", 400, "malformed-json"),
        (
            "{\"whom\": \"you\", \"times\": 256}",
            422,
            "invalid-content",
        ),
        ("{\"whom\": \"you\", \"who\": 1}", 422, "invalid-content"),
        ("{\"whom\": \"a\\u0000\"}", 422, "invalid-content"),
    ];
    for (json, status, kind) in table {
        post(&running, "/greetings", json)
            .await
            .is_problem(status, kind);
    }
    let wrong = post(
        &running,
        "/greetings",
        "{\"whom\": \"you\", \"times\": 256}",
    )
    .await;
    assert_eq!(wrong.json()["errors"][0]["pointer"], "/times");
    let text = send(
        &running,
        "POST /greetings",
        "Content-Type: text/plain\r\n",
        "{}",
    )
    .await;
    text.is_problem(415, "unsupported-media-type");
    let untyped = send(&running, "POST /greetings", "", "{}").await;
    untyped.is_problem(415, "unsupported-media-type");
    get(&running, "/nothing").await.is_problem(404, "not-found");
    get(&running, "/number/x")
        .await
        .is_problem(404, "not-found");
    get(&running, "/number/%00")
        .await
        .is_problem(404, "not-found");
    get(&running, "/pages?page=x")
        .await
        .is_problem(422, "invalid-content");
    get(&running, "/pages?page=%00")
        .await
        .is_problem(422, "invalid-content");
    get(&running, "/own").await.is_problem(409, "taken");
    let method = get(&running, "/greetings").await;
    method.is_problem(405, "method-not-allowed");
    assert_eq!(method.header("allow"), Some("POST"));
    // An author who takes axum's own extractor still answers problems.
    post(&running, "/axum", "{")
        .await
        .is_problem(400, "malformed-request");
    running.stop().await;
}

#[tokio::test]
async fn a_panic_ends_one_request_only() {
    let running = serving(router()).await;
    for _ in 0..3 {
        get(&running, "/panic").await.is_problem(500, "internal");
    }
    assert_eq!(get(&running, "/number/7").await.body, "7");
    running.stop().await;
}

#[tokio::test]
async fn bodies_are_bounded_said_or_not() {
    let limits = Limits {
        body_bytes: 64,
        ..Limits::default()
    };
    let running = started(&[], Service::new(router()).limits(limits)).await;
    let long = format!("{{\"whom\": \"{}\"}}", "x".repeat(100));
    let said = post(&running, "/greetings", &long).await;
    said.is_problem(413, "body-too-large");
    // Also where nobody would have read it.
    let unread = send(&running, "GET /number/1", "", &long).await;
    unread.is_problem(413, "body-too-large");
    let chunked = format!(
        "POST /greetings HTTP/1.1\r\nHost: greeter\r\nConnection: close\r\n\
         Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n\
         {:x}\r\n{long}\r\n0\r\n\r\n",
        long.len()
    );
    raw(&running, chunked.as_bytes())
        .await
        .is_problem(413, "body-too-large");
    let short = post(&running, "/greetings", "{\"whom\": \"you\"}").await;
    assert_eq!(short.status, 200);
    running.stop().await;
}

#[tokio::test]
async fn bodies_that_break_off_or_never_come_are_problems() {
    let running = serving(router()).await;
    let head = "POST /greetings HTTP/1.1\r\nHost: greeter\r\nConnection: close\r\n\
                Content-Type: application/json\r\n";
    let broken = format!("{head}Transfer-Encoding: chunked\r\n\r\nno length\r\n");
    let broken = raw(&running, broken.as_bytes()).await;
    broken.is_problem(400, "malformed-request");
    // This one takes as long as a sender has.
    let missing = format!("{head}Content-Length: 10\r\n\r\n{{");
    let missing = raw(&running, missing.as_bytes()).await;
    missing.is_problem(408, "request-timeout");
    running.stop().await;
}

#[tokio::test]
async fn heads_are_bounded() {
    let running = serving(router()).await;
    let long = format!("X-Long: {}\r\n", "x".repeat(300 << 10));
    let refused = send(&running, "GET /number/1", &long, "").await.status;
    // Where all of it was on its way, the refusal can be lost with the rest.
    assert!(matches!(refused, 431 | 0), "{refused}");
    let many = "X-Many: 1\r\n".repeat(200);
    assert_eq!(send(&running, "GET /number/1", &many, "").await.status, 431);
    assert_eq!(
        raw(&running, b"\x16\x03\x01 no request\r\n\r\n")
            .await
            .status,
        400
    );
    assert_eq!(get(&running, "/number/1").await.status, 200);
    running.stop().await;
}

#[tokio::test]
async fn more_than_there_is_room_for_is_told_to_come_again() {
    let (entered, gate) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
    let (inside, closed) = (Arc::clone(&entered), Arc::clone(&gate));
    let waiting = at_get(move || async move {
        inside.notify_one();
        let _ = closed.acquire().await;
        "through"
    });
    let limits = Limits {
        concurrency: 1,
        ..Limits::default()
    };
    let service = Service::new(Router::new().route("/wait", waiting)).limits(limits);
    let running = started(&[], service).await;
    let (first, ()) = tokio::join!(get(&running, "/wait"), async {
        entered.notified().await;
        let refused = get(&running, "/wait").await;
        refused.is_problem(503, "busy");
        assert_eq!(refused.header("retry-after"), Some("1"));
        // Who watches over the service must not take it for dead.
        assert_eq!(get(&running, "/health/live").await.status, 200);
        gate.add_permits(1);
    });
    assert_eq!(first.body, "through");
    running.stop().await;
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_given_up() {
    let limits = Limits {
        request_timeout: Duration::from_millis(50),
        ..Limits::default()
    };
    let endless = at_get(|| async { std::future::pending::<String>().await });
    let service = Service::new(Router::new().route("/endless", endless)).limits(limits);
    let running = started(&[], service).await;
    get(&running, "/endless").await.is_problem(503, "timed-out");
    running.stop().await;
}

#[tokio::test]
async fn who_takes_nothing_of_an_answer_is_cut_off() {
    const LARGE: usize = 64 << 10;
    // Longer than the service has patience with such a reader.
    const TIMEOUT: Duration = Duration::from_mins(2);
    let answers = Arc::new(());
    let held = Arc::clone(&answers);
    let endless = at_get(move || {
        let held = Arc::clone(&held);
        let more = futures_util::stream::repeat_with(move || {
            let _ = &held;
            Ok::<_, std::io::Error>(vec![b'x'; LARGE])
        });
        std::future::ready(axum::body::Body::from_stream(more))
    });
    let running = serving(Router::new().route("/endless", endless)).await;
    let nobody = Arc::strong_count(&answers);
    let address = running.address().to_string();
    let mut reader = TcpStream::connect(address).await.unwrap();
    let request = b"GET /endless HTTP/1.1\r\nHost: greeter\r\n\r\n";
    reader.write_all(request).await.unwrap();
    // It takes some, and from then on nothing.
    let mut some = vec![0; 8 * LARGE];
    reader.read_exact(&mut some).await.unwrap();
    assert_eq!(Arc::strong_count(&answers), nobody + 1);
    let given_up = || Ok((Arc::strong_count(&answers) == nobody).then_some(()));
    testbed::deadline::poll("the answer to be given up", TIMEOUT, given_up)
        .await
        .unwrap();
    running.stop().await;
}

#[tokio::test]
async fn a_unix_socket_does_as_well() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("greeter.sock");
    let host = format!("unix:{}", path.display());
    // What a killed process leaves behind is no hindrance.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let running = started(&[("SERVICE_HOST", &host)], Service::new(router())).await;
    assert_eq!(get(&running, "/number/7").await.body, "7");
    // A socket that somebody listens on is not taken away.
    let second = kit::server::start(kit(&[("SERVICE_HOST", &host)]), Service::default());
    assert!(second.await.is_err());
    assert_eq!(get(&running, "/number/8").await.body, "8");
    running.stop().await;
    assert!(!path.exists());
}

#[tokio::test]
async fn the_end_waits_for_what_is_under_way() {
    let (entered, gate) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
    let (inside, closed) = (Arc::clone(&entered), Arc::clone(&gate));
    let waiting = at_get(move || async move {
        inside.notify_one();
        let _ = closed.acquire().await;
        "through"
    });
    let last = Arc::new(Notify::new());
    let done = Arc::clone(&last);
    let service = Service::new(Router::new().route("/wait", waiting))
        .at_stop(async move { done.notify_one() });
    let running = started(&[], service).await;
    let kit::settings::Address::Tcp { host, port } = running.address().clone() else {
        panic!("it listens on TCP");
    };
    let stream = TcpStream::connect((host.as_str(), port)).await.unwrap();
    let asking = tokio::spawn(talk_on(stream, "/wait"));
    entered.notified().await;
    let stopping = tokio::spawn(running.stop());
    // Nobody new gets in ...
    while TcpStream::connect((host.as_str(), port)).await.is_ok() {
        tokio::task::yield_now().await;
    }
    // ... and who is in gets out.
    gate.add_permits(1);
    let answer = asking.await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with("through"),
        "{answer}"
    );
    stopping.await.unwrap();
    last.notified().await;
}

async fn talk_on(mut stream: TcpStream, path: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let text = format!("GET {path} HTTP/1.1\r\nHost: greeter\r\n\r\n");
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut all = String::new();
    // Without `Connection: close`: it is the stopping server that closes.
    stream.read_to_string(&mut all).await.unwrap();
    all
}

#[tokio::test]
async fn what_works_in_the_background_ends_with_the_service() {
    let kit = kit(&[]);
    let stopping: Stopping = kit.stopping.clone();
    let ended = Arc::new(Notify::new());
    let told = Arc::clone(&ended);
    let service = Service::default().background("relay", async move {
        stopping.told().await;
        told.notify_one();
        Ok::<_, kit::Fault>(())
    });
    let running = kit::server::start(kit, service).await.unwrap();
    running.stop().await;
    ended.notified().await;
}

#[tokio::test]
async fn what_fails_in_the_background_is_told() {
    let failing = Service::default().background("relay", async { Err("it broke") });
    let mut running = started(&[], failing).await;
    assert_eq!(running.failed().await.to_string(), "it broke");
    running.stop().await;
    let ending = Service::default().background("relay", async { Ok::<_, kit::Fault>(()) });
    let mut running = started(&[], ending).await;
    assert_eq!(running.failed().await.to_string(), "relay ended");
    running.stop().await;
}
