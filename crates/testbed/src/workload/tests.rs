//! The workload against a server that misbehaves in known ways: each must be
//! counted as what it is.

use super::{Finished, Outcome, Settings, Workload};
use crate::deadline;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::future::ready;
use std::time::Duration;
use tokio::net::TcpListener;

/// How the server answers writes and reads of a single contract.
#[derive(Debug, Clone, Copy, PartialEq)]
enum ServerBehaviour {
    Proper,
    /// Reads show the contract as it was before.
    Stale,
    /// Reads do not find it.
    Forgetful,
    /// Writes fail without a word on whether they were done.
    Failing,
    /// Writes are refused, surely not done.
    Refusing,
    /// Writes are read, then the connection is closed.
    Silent,
}

fn answer(
    request: &Request<Incoming>,
    manners: ServerBehaviour,
) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let reply = |status: u16, body: &Value| {
        let body = Full::new(Bytes::from(body.to_string()));
        Response::builder()
            .status(status)
            .body(body)
            .map_err(std::io::Error::other)
    };
    let path = request.uri().path();
    let is_one = path.starts_with("/api/contracts/");
    let contract = |version: u64| json!({"id": 1, "version": version, "contract": 1});
    match (request.method(), manners) {
        (&Method::GET, ServerBehaviour::Stale) if is_one => reply(200, &contract(1)),
        (&Method::GET, ServerBehaviour::Forgetful) if is_one => reply(404, &json!({})),
        (&Method::GET, _) if is_one => reply(200, &contract(2)),
        (&Method::GET, _) => reply(200, &json!({"results": [contract(2)]})),
        (_, ServerBehaviour::Failing) => reply(502, &json!({})),
        (_, ServerBehaviour::Refusing) => {
            let mut refusal = reply(503, &json!({}))?;
            refusal.headers_mut().insert("retry-after", 1.into());
            Ok(refusal)
        }
        (_, ServerBehaviour::Silent) => Err(std::io::Error::other("silent")),
        (&Method::POST, _) => reply(201, &contract(2)),
        (_, _) => reply(200, &contract(2)),
    }
}

/// Lets clients work against such a server until it has seen enough.
async fn work(manners: ServerBehaviour) -> Finished {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service_fn(move |request| ready(answer(&request, manners)));
            let http = hyper::server::conn::http1::Builder::new();
            tokio::spawn(http.serve_connection(TokioIo::new(stream), service));
        }
    });
    let settings = Settings {
        clients: 8,
        anonymous: 1,
        rate: 2000.0,
        ..Settings::default()
    };
    let workload = Workload::start(&url, settings, "only").await.unwrap();
    let view = workload.view();
    deadline::poll("400 requests", Duration::from_secs(20), || {
        Ok((view.total().requests >= 400).then_some(()))
    })
    .await
    .unwrap();
    let finished = workload.stop().await.unwrap();
    server.abort();
    finished
}

fn count(finished: &Finished, outcome: Outcome) -> usize {
    finished
        .writes
        .iter()
        .filter(|write| write.outcome == outcome)
        .count()
}

#[tokio::test]
async fn a_server_with_manners_gives_nothing_to_complain_about() {
    let finished = work(ServerBehaviour::Proper).await;
    assert_eq!(finished.failures, [""; 0]);
    assert_eq!(
        count(&finished, Outcome::Acknowledged),
        finished.writes.len()
    );
    assert_eq!(
        finished.total.writes_acknowledged,
        finished.writes.len() as u64
    );
}

#[tokio::test]
async fn old_and_missing_versions_of_an_own_write_are_stale() {
    for manners in [ServerBehaviour::Stale, ServerBehaviour::Forgetful] {
        let finished = work(manners).await;
        assert!(
            finished.total.stale_reads > 10,
            "{manners:?}: {:?}",
            finished.total
        );
        let text = finished.failures.join("\n");
        assert!(text.contains("own write made 2"), "{manners:?}: {text}");
    }
}

#[tokio::test]
async fn writes_without_a_clear_answer_are_unknown_and_failed() {
    for manners in [ServerBehaviour::Failing, ServerBehaviour::Silent] {
        let finished = work(manners).await;
        assert_eq!(
            count(&finished, Outcome::Unknown),
            finished.writes.len(),
            "{manners:?}"
        );
        assert_eq!(
            finished.total.failed,
            finished.writes.len() as u64,
            "{manners:?}"
        );
    }
}

#[tokio::test]
async fn writes_that_were_surely_not_sent_are_refused_and_failed() {
    let finished = work(ServerBehaviour::Refusing).await;
    assert_eq!(count(&finished, Outcome::Refused), finished.writes.len());
    assert_eq!(finished.total.failed, finished.writes.len() as u64);
}
