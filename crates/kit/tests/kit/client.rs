//! The client against services that fail in every way.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::any;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use kit::client::Policy;
use kit::server::Running;
use kit::{Client, ClientError, context};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore};

use crate::support::{TIMEOUT, client, client_at, serving};

/// What a service of these tests does: fails so many times, then answers.
#[derive(Debug, Default)]
struct Script {
    asked: AtomicUsize,
    failures: AtomicUsize,
}

async fn scripted(failures: usize, status: StatusCode) -> (Running, Arc<Script>) {
    let script = Arc::new(Script::default());
    script.failures.store(failures, Ordering::Relaxed);
    let shared = Arc::clone(&script);
    let answer = move || {
        let script = Arc::clone(&shared);
        async move {
            script.asked.fetch_add(1, Ordering::Relaxed);
            let left = script
                .failures
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                    left.checked_sub(1)
                });
            if left.is_ok() { status } else { StatusCode::OK }
        }
    };
    let running = serving(Router::new().fallback(any(answer))).await;
    (running, script)
}

impl Script {
    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

/// Listens, and does something with each connection once it has a request.
/// Counts the requests.
async fn rude(close: bool) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut some = [0; 1024];
            if stream.read(&mut some).await.is_ok_and(|read| read > 0) {
                counted.fetch_add(1, Ordering::Relaxed);
            }
            if !close {
                // Says something, and never the rest.
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-")
                    .await
                    .unwrap();
                held.push(stream);
            }
        }
    });
    (address, asked)
}

fn quick() -> Policy {
    Policy {
        timeout: Duration::from_millis(600),
        attempt_timeout: Duration::from_millis(200),
        ..Policy::default()
    }
}

#[tokio::test]
async fn what_is_idempotent_is_tried_again() {
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let (running, script) = scripted(2, StatusCode::SERVICE_UNAVAILABLE).await;
        let client = client(&[], &running, Policy::default());
        let answer = client.request(method, "/x").send().await.unwrap();
        assert_eq!((answer.status, script.asked()), (StatusCode::OK, 3));
        running.stop().await;
    }
}

#[tokio::test]
async fn what_may_have_had_an_effect_is_not() {
    for method in [Method::POST, Method::PATCH] {
        let (running, script) = scripted(2, StatusCode::SERVICE_UNAVAILABLE).await;
        let client = client(&[], &running, Policy::default());
        let answer = client.request(method.clone(), "/x").send().await.unwrap();
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(script.asked(), 1);
        assert!(answer.successful().unwrap_err().may_have_had_effect());
        running.stop().await;

        for close in [true, false] {
            let (address, asked) = rude(close).await;
            let client = client_at(&[], &format!("http://{address}"), quick());
            let request = client.request(method.clone(), "/x").json(&1);
            let error = request.send().await.unwrap_err();
            assert!(error.may_have_had_effect(), "{error}");
            assert_eq!(asked.load(Ordering::Relaxed), 1, "close: {close}");
        }
    }
}

#[tokio::test]
async fn a_key_names_the_effect_and_allows_a_repeat() {
    let (running, script) = scripted(1, StatusCode::BAD_GATEWAY).await;
    let client = client(&[], &running, Policy::default());
    let answer = client
        .post("/x")
        .idempotency_key("k-1")
        .send()
        .await
        .unwrap();
    assert_eq!((answer.status, script.asked()), (StatusCode::OK, 2));
    running.stop().await;

    let (address, asked) = rude(true).await;
    let client = client_at(&[], &format!("http://{address}"), quick());
    let broken = client.post("/x").idempotency_key("k-1").send().await;
    assert!(
        matches!(broken, Err(ClientError::Broken { .. })),
        "{broken:?}"
    );
    assert_eq!(asked.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn what_never_left_may_always_be_tried_again() {
    let free = testbed::ports::free().unwrap();
    let url = format!("http://127.0.0.1:{free}");
    let error = client_at(&[], &url, quick())
        .post("/x")
        .send()
        .await
        .unwrap_err();
    assert!(matches!(error, ClientError::Connect { .. }), "{error}");
    assert!(!error.may_have_had_effect());
}

#[tokio::test]
async fn answers_that_are_no_trouble_are_final() {
    for status in [
        StatusCode::NOT_FOUND,
        StatusCode::CONFLICT,
        StatusCode::INTERNAL_SERVER_ERROR,
    ] {
        let (running, script) = scripted(9, status).await;
        let client = client(&[], &running, Policy::default());
        assert_eq!(client.get("/x").send().await.unwrap().status, status);
        assert_eq!(script.asked(), 1);
        running.stop().await;
    }
}

#[tokio::test]
async fn who_fails_is_left_alone_for_a_moment() {
    let (running, script) = scripted(usize::MAX, StatusCode::SERVICE_UNAVAILABLE).await;
    let client = client(&[], &running, Policy::default());
    let mut sent = 0;
    loop {
        match client.get("/x").send().await {
            Ok(answer) => assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE),
            Err(ClientError::Open(_)) => break,
            Err(error) => panic!("{error}"),
        }
        sent += 1;
    }
    assert!(
        sent <= 10 && script.asked() <= sent * 3,
        "{} of {sent}",
        script.asked()
    );
    let before = script.asked();
    assert!(matches!(
        client.get("/x").send().await,
        Err(ClientError::Open(_))
    ));
    assert_eq!(script.asked(), before, "nobody is asked any more");
    running.stop().await;
}

#[tokio::test]
async fn repeats_are_no_more_than_the_budget() {
    // Every third fails once: too seldom for the breaker.
    let (running, script) = scripted(0, StatusCode::SERVICE_UNAVAILABLE).await;
    let client = client(&[], &running, Policy::default());
    let mut repeats = 0;
    for _ in 0..60 {
        script.failures.store(1, Ordering::Relaxed);
        let before = script.asked();
        client.get("/x").send().await.unwrap();
        repeats += script.asked() - before - 1;
        script.failures.store(0, Ordering::Relaxed);
        for _ in 0..2 {
            client.get("/x").send().await.unwrap();
        }
    }
    // Ten saved up, and a tenth of the 180.
    assert!((10..=28).contains(&repeats), "{repeats}");
    running.stop().await;
}

#[tokio::test]
async fn an_answer_that_never_ends_is_given_up() {
    let (address, asked) = rude(false).await;
    let client = client_at(&[], &format!("http://{address}"), quick());
    let error = client.get("/x").send().await.unwrap_err();
    assert!(matches!(error, ClientError::TimedOut(_)), "{error}");
    // An attempt leaves time for another one.
    assert!(asked.load(Ordering::Relaxed) >= 2);
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_refused() {
    let running = serving(Router::new().route("/x", any(|| async { "x".repeat(2000) }))).await;
    let policy = Policy {
        response_bytes: 1000,
        attempts: 1,
        ..Policy::default()
    };
    let refused = client(&[], &running, policy).get("/x").send().await;
    assert!(
        matches!(refused, Err(ClientError::Broken { .. })),
        "{refused:?}"
    );
    running.stop().await;
}

#[tokio::test]
async fn more_than_there_is_room_for_waits_and_more_than_may_wait_is_refused() {
    let (entered, gate) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
    let (inside, closed) = (Arc::clone(&entered), Arc::clone(&gate));
    let slow = any(move || async move {
        inside.notify_one();
        let _ = closed.acquire().await;
    });
    let running = serving(Router::new().route("/x", slow)).await;
    let policy = Policy {
        concurrency: 1,
        waiting: 1,
        timeout: TIMEOUT,
        attempt_timeout: TIMEOUT,
        ..Policy::default()
    };
    let client = client(&[], &running, policy);
    let ask = |client: &Client| tokio::spawn(client.get("/x").send());
    let first = ask(&client);
    entered.notified().await;
    // One of two waits, the other one is refused; which one is all the same.
    let (second, third) = (ask(&client), ask(&client));
    let (refused, waiting) = tokio::select! {
        second = async { second.await.unwrap() } => (second, None),
        third = async { third.await.unwrap() } => (third, Some(())),
    };
    let _ = waiting;
    assert!(matches!(refused, Err(ClientError::Full(_))), "{refused:?}");
    gate.add_permits(2);
    assert_eq!(first.await.unwrap().unwrap().status, StatusCode::OK);
    running.stop().await;
}

#[tokio::test]
async fn a_kept_answer_does_when_nobody_answers() {
    let fails = Arc::new(AtomicBool::new(false));
    let state = Arc::clone(&fails);
    let answer = any(move || {
        let fails = state.load(Ordering::Relaxed);
        async move {
            if fails {
                Err(StatusCode::BAD_GATEWAY)
            } else {
                Ok("fresh")
            }
        }
    });
    let running = serving(Router::new().route("/x", answer)).await;
    let client = client(&[], &running, Policy::default());
    let minute = Duration::from_mins(1);
    let get = || client.get("/x").or_stale(minute);
    let fresh = get().send().await.unwrap();
    assert!(!fresh.is_stale && fresh.body == "fresh");
    let user = HeaderValue::from_static("Bearer x");
    assert!(get().on_behalf_of(user.clone()).send().await.unwrap().body == "fresh");
    fails.store(true, Ordering::Relaxed);
    let kept = get().send().await.unwrap();
    assert!(kept.is_stale && kept.body == "fresh");
    // Not for who did not ask for it, nor what was shown to somebody, nor
    // what is too old.
    assert_eq!(
        client.get("/x").send().await.unwrap().status,
        StatusCode::BAD_GATEWAY
    );
    let theirs = get().on_behalf_of(user).send().await;
    assert!(!theirs.is_ok_and(|answer| answer.is_stale));
    let old = client.get("/x").or_stale(Duration::ZERO).send().await;
    assert!(!old.is_ok_and(|answer| answer.is_stale));
    running.stop().await;
    assert!(
        get().send().await.unwrap().is_stale,
        "also when nobody listens"
    );
}

#[tokio::test]
async fn what_a_request_carries_goes_on() {
    let echo = any(|headers: HeaderMap, peer: kit::Peer| async move {
        let text = |name| {
            headers
                .get(name)
                .and_then(|value: &HeaderValue| value.to_str().ok())
        };
        let correlation = text("x-correlation-id").unwrap_or_default().to_owned();
        let trace = text("traceparent").unwrap_or_default().to_owned();
        kit::Json((correlation, trace, peer.service))
    });
    let secret = ("SERVICE_TOKEN_SECRET", "between us");
    let service = kit::Service::new(Router::new().route("/echo", echo));
    // The tests' client calls it `other`, and so it must be called.
    let identity = kit::Identity::new("other", "1", 0);
    let settings = kit::settings::read(&identity, &|name| {
        (name == secret.0).then(|| secret.1.to_owned())
    });
    let other = kit::Kit::new(identity, settings.unwrap());
    let running = kit::server::start(other, service).await.unwrap();
    let client = client(&[secret], &running, Policy::default());
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let headers: HeaderMap = [("x-correlation-id", "abc"), ("traceparent", parent)]
        .map(|(name, value)| {
            (
                http::HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        })
        .into_iter()
        .collect();
    let context = context::Context::read(&headers);
    let answer = context.scope(client.get("/echo?a=b").send()).await.unwrap();
    let (correlation, trace, peer): (String, String, String) = answer.json().unwrap();
    assert_eq!((correlation.as_str(), peer.as_str()), ("abc", "greeter"));
    assert!(
        trace.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"),
        "{trace}"
    );
    running.stop().await;
}

#[tokio::test]
async fn nothing_that_is_no_request_is_sent() {
    let (running, script) = scripted(0, StatusCode::OK).await;
    let client = client(&[], &running, Policy::default());
    let wrong = [
        client.get("/a b"),
        client.get("x"),
        client.post("/").idempotency_key("a\nb"),
    ];
    for request in wrong {
        let refused = request.send().await;
        assert!(
            matches!(refused, Err(ClientError::Invalid(..))),
            "{refused:?}"
        );
    }
    assert_eq!(script.asked(), 0);
    running.stop().await;
}
