//! HTTP/2 towards clients, with PyPI's h2 as the peer (`tests/h2_suite`).

use crate::support::*;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::json;
use std::{
    convert::Infallible,
    future::pending,
    net::SocketAddr,
    path::Path,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpListener,
    process::Command,
    sync::Notify,
};

type Body = UnsyncBoxBody<Bytes, Infallible>;

const LARGE_BYTES: usize = 8 << 20;

fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).boxed_unsync()
}

/// What the upstream and the test share with the suite.
#[derive(Clone, Default)]
struct Suite {
    /// Requests whose bodies never came whole.
    cut_off: Arc<AtomicUsize>,
    /// It has been told that the gateway goes.
    goodbye: Arc<Notify>,
}

/// What the suite asks for, by path.
async fn answer(request: Request<Incoming>, suite: Suite) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    let path = path.strip_prefix("/api/contracts").unwrap_or(path);
    assert!(!path.contains("smuggled"), "{path}");
    let unread = Unread(suite.cut_off);
    let collected = match path {
        "/stall" => pending().await,
        _ => body.collect().await,
    };
    let Ok(body) = collected else {
        return Response::new(full("cut off"));
    };
    let cut_off = unread.all_came();
    let trailers = body.trailers().cloned().unwrap_or_default();
    let body = body.to_bytes();
    match path {
        "/echo" => Response::new(full(body)),
        "/large" => Response::new(full(vec![b'l'; LARGE_BYTES])),
        "/nothing" => {
            let mut response = Response::new(full(""));
            *response.status_mut() = http::StatusCode::NO_CONTENT;
            response
        }
        "/slow" => {
            suite.goodbye.notified().await;
            Response::new(full("at last"))
        }
        "/hop" => Response::builder()
            .header("connection", "x-hop")
            .header("keep-alive", "timeout=5")
            .header("x-hop", "1")
            .header("upgrade", "h2c")
            .body(full("hop"))
            .unwrap(),
        "/trailers" => {
            let sum =
                HeaderMap::from_iter([("x-sum".parse().unwrap(), HeaderValue::from_static("7"))]);
            let frames = [
                Ok(Frame::data(Bytes::from_static(b"body"))),
                Ok(Frame::trailers(sum)),
            ];
            let body = StreamBody::new(futures_util::stream::iter(frames));
            Response::builder()
                .header("trailer", "x-sum")
                .body(body.boxed_unsync())
                .unwrap()
        }
        "/echo-trailers" => {
            let mine = trailers.get("x-mine").map(|mine| mine.to_str().unwrap());
            Response::new(full(
                json!({ "body": body.len(), "x-mine": mine }).to_string(),
            ))
        }
        "/counts" => Response::new(full(
            json!({ "cut-off": cut_off.load(Ordering::SeqCst) }).to_string(),
        )),
        _ => {
            let all = |name| -> Vec<String> {
                let values = parts.headers.get_all(name).iter();
                values
                    .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
                    .collect()
            };
            let headers: serde_json::Map<_, _> = parts
                .headers
                .keys()
                .map(|name| (name.to_string(), json!(all(name))))
                .collect();
            let seen = json!({
                "method": parts.method.as_str(),
                "path": parts.uri.to_string(),
                "headers": headers,
            });
            Response::new(full(seen.to_string()))
        }
    }
}

/// A body that has not come whole; counted when it never will.
struct Unread(Arc<AtomicUsize>);

impl Unread {
    fn all_came(self) -> Arc<AtomicUsize> {
        let count = Arc::clone(&self.0);
        count.fetch_sub(1, Ordering::SeqCst);
        count
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

async fn upstream(suite: Suite) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let suite = suite.clone();
            let service = service_fn(move |request| {
                let suite = suite.clone();
                async move { Ok::<_, Infallible>(answer(request, suite).await) }
            });
            tokio::spawn(
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite() {
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/h2_suite");
    let made = tokio::task::spawn_blocking({
        let files = files.clone();
        move || python(&files, "h2-suite")
    });
    let Some(python) = made.await.unwrap() else {
        skip("the HTTP/2 suite needs python3 with venv, and PyPI");
        return;
    };
    let suite = Suite::default();
    let upstream = upstream(suite.clone()).await;
    let mut plan = plan(Knobs::default(), "127.0.0.1:0", upstream, upstream);
    for upstream in plan.services.values_mut().chain([&mut plan.monolith]) {
        upstream.trailers = plan::Trailers::Pass;
    }
    let gateway = with_lease(&plan, FakeMover::new());
    gateway.publish(&routing(1, TO_MONOLITH, 0));
    let address = gateway.local_addr();
    let mut checks = Command::new(python)
        .arg(files.join("suite.py"))
        .args([address.ip().to_string(), address.port().to_string()])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(checks.stdout.take().unwrap()).lines();
    let mut said = Vec::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        if line == "drain" {
            let gateway = gateway.clone();
            tokio::spawn(async move { gateway.shutdown(DEADLINE).await });
        } else if line == "goodbye" {
            suite.goodbye.notify_one();
        } else {
            said.push(line);
        }
    }
    let status = checks.wait().await.unwrap();
    assert!(status.success(), "{said:#?}");
    assert!(said.len() > 40, "{said:#?}");
}
