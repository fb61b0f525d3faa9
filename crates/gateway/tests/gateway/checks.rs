//! Health checks of upstreams that are not asked by HTTP/1 over TCP.

use crate::support::*;
use bytes::Bytes;
use gateway::{CheckError, Gateway};
use http::{Response, StatusCode, Version};
use http_body_util::Empty;
use hyper::{
    rt::{Read, Write},
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use plan::Plan;
use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, UnixListener},
};

/// What a server speaks and whether it says that it can work.
#[derive(Clone)]
struct Patient {
    speaks: Version,
    sick: Arc<AtomicBool>,
}

impl Patient {
    fn new(speaks: Version) -> Self {
        let sick = Arc::default();
        Self { speaks, sick }
    }

    fn serve(&self, stream: impl Read + Write + Unpin + Send + 'static) {
        let Self { speaks, sick } = self.clone();
        tokio::spawn(async move {
            let service = service_fn(|request: http::Request<_>| {
                assert_eq!(
                    (request.version(), request.uri().path()),
                    (speaks, "/health")
                );
                let status = if sick.load(Ordering::Relaxed) {
                    StatusCode::INTERNAL_SERVER_ERROR
                } else {
                    StatusCode::NO_CONTENT
                };
                let answer = Response::builder().status(status);
                async { Ok::<_, Infallible>(answer.body(Empty::<Bytes>::new()).unwrap()) }
            });
            if speaks == Version::HTTP_2 {
                let server = http2::Builder::new(TokioExecutor::new());
                server.serve_connection(stream, service).await
            } else {
                let server = http1::Builder::new();
                server.serve_connection(stream, service).await
            }
        });
    }
}

/// A plan with this monolith.
fn plan(monolith: &str) -> Plan {
    let text = format!(
        r#"
monolith: {{ {monolith}, database: "postgres://u:p@127.0.0.1:1/m" }}
services:
  contracts: {{ url: "http://127.0.0.1:2", database: "postgres://u:p@127.0.0.1:1/s" }}
gateway: {{ listen: "127.0.0.1:0", workers: 1 }}
extractions:
  contracts:
    service: contracts
    routes: [{{ path: /contracts }}]
    data: {{ mode: replicate, schema: s, tables: {{ public.t: {{}} }} }}
"#
    );
    Plan::parse(&text, |_| None).unwrap()
}

/// An upstream that is well, sick and well again, as the gateway finds out by
/// itself and as somebody is told who asks.
async fn follow(patient: &Patient, upstream: &str) {
    let plan = plan(&format!(
        "{upstream}, health: {{ path: /health, interval: 10ms, rise: 1, fall: 1 }}"
    ));
    let gateway = Gateway::start(&plan, FakeMover::new()).unwrap();
    let state = || {
        let instance = &gateway.upstreams()[0].instances[0];
        let passed = instance.last_check.as_ref().map(|check| check.passed);
        (instance.healthy, passed)
    };
    let asked = || gateway::check_health(&plan.monolith, &plan.gateway.host_addresses);
    until("it is well", || state() == (true, Some(true))).await;
    asked().await.unwrap();
    patient.sick.store(true, Ordering::Relaxed);
    until("it is sick", || state() == (false, Some(false))).await;
    let why = asked().await.unwrap_err();
    assert!(
        matches!(why.error, CheckError::Status(status) if status == 500),
        "{why}"
    );
    assert!(
        why.asked.starts_with("GET ") && why.asked.ends_with("/health"),
        "{why}"
    );
    let told = || gateway.upstreams().remove(0).instances.remove(0);
    assert!(
        told()
            .problem
            .is_some_and(|problem| problem.contains("answers 500"))
    );
    assert!(told().since.is_some());
    patient.sick.store(false, Ordering::Relaxed);
    until("it is well again", || state() == (true, Some(true))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn upstreams_on_unix_sockets_are_checked() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("upstream");
    let listener = UnixListener::bind(&path).unwrap();
    let patient = Patient::new(Version::HTTP_11);
    let server = patient.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            server.serve(TokioIo::new(stream));
        }
    });
    follow(&patient, &format!("url: \"unix:{}\"", path.display())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn upstreams_that_speak_http2_are_checked() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let patient = Patient::new(Version::HTTP_2);
    let server = patient.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            server.serve(TokioIo::new(stream));
        }
    });
    let upstream = format!("url: \"http://{address}\", protocol: h2c");
    follow(&patient, &upstream).await;
}

/// One that the plan says nothing of must at least be there.
#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_without_a_check_has_to_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let plan = plan(&format!("url: \"http://{address}\""));
    let asked = || gateway::check_health(&plan.monolith, &plan.gateway.host_addresses);
    // Whatever it answers, it does.
    let serving = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    asked().await.unwrap();
    serving.abort();
    let _ = serving.await;
    let why = asked().await.unwrap_err();
    assert!(matches!(why.error, CheckError::Connect(_)), "{why}");
    let present = gateway::check_presence(&plan.monolith, &plan.gateway.host_addresses);
    assert!(matches!(
        present.await.unwrap_err().error,
        CheckError::Connect(_)
    ));
}

/// One that takes connections and answers none of them is there, and not healthy.
#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_is_slow_is_told_from_one_that_is_dead() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let health = "health: { path: /health, timeout: 20ms }";
    let plan = plan(&format!("url: \"http://{address}\", {health}"));
    let resolve = &plan.gateway.host_addresses;
    let why = gateway::check_health(&plan.monolith, resolve).await;
    let why = why.unwrap_err();
    assert_eq!(
        why.to_string(),
        format!("GET http://{address}/health takes connections, but has not answered within 20ms")
    );
    gateway::check_presence(&plan.monolith, resolve)
        .await
        .unwrap();
}

/// One that never answers does not keep the others from being asked.
#[tokio::test(flavor = "multi_thread")]
async fn all_instances_are_asked_at_once() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let [first, second] = [&silent, &listener].map(|one| one.local_addr().unwrap());
    let patient = Patient::new(Version::HTTP_11);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            patient.serve(TokioIo::new(stream));
        }
    });
    let health = "health: { path: /health, timeout: 1h }";
    let plan = plan(&format!(
        "urls: [\"http://{first}\", \"http://{second}\"], {health}"
    ));
    let asked = gateway::check_health(&plan.monolith, &plan.gateway.host_addresses);
    tokio::time::timeout(DEADLINE, asked)
        .await
        .unwrap()
        .unwrap();
}
