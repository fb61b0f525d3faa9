//! A service that gets slow, or bad, on demand: a proxy in front of it that has requests
//! wait, or answers some of them with an error of its own.
//!
//! What it answers itself never reaches the service, so that nothing is done by halves:
//! only what the clients and the gateway see is worse. Health pages pass as they are: it
//! is a service that says that it is well.

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, watch};
use tokio::task::{JoinHandle, JoinSet};

/// Paths below this are the service's own pages.
const HEALTH: &str = "/health";

/// What is wrong with a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// Each request waits so long before it is passed on.
    Slow(Duration),
    /// Of a hundred requests so many are answered with 500 and not passed on, evenly
    /// spread over all.
    Failing(u64),
}

type Answer = Response<Either<Incoming, Full<Bytes>>>;

/// A proxy, accepting. Dropping it closes everything.
#[derive(Debug)]
pub struct FaultyProxy {
    url: String,
    fault: watch::Sender<Fault>,
    counters: Arc<Counters>,
    accepting: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Counters {
    /// Requests while it was failing.
    seen: AtomicU64,
    /// Those of them that it answered itself.
    failed: AtomicU64,
}

impl FaultyProxy {
    /// Starts one in front of `http://host:port`.
    pub async fn before(target: &str) -> Result<Self> {
        let target = target
            .strip_prefix("http://")
            .with_context(|| format!("{target} is not http://"))?;
        let target: Arc<str> = target.trim_end_matches('/').into();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let (fault, state) = watch::channel(Fault::None);
        let counters = Arc::new(Counters::default());
        let counted = Arc::clone(&counters);
        let accepting = tokio::spawn(async move {
            // They end with this task.
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let relay = Relay {
                    target: Arc::clone(&target),
                    fault: state.clone(),
                    counters: Arc::clone(&counted),
                    sender: Mutex::new(None),
                };
                connections.spawn(serve(stream, relay));
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self {
            url,
            fault,
            counters,
            accepting,
        })
    }

    /// Its address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// From the next request on the service is like this.
    pub fn set(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }

    /// How many requests it has answered itself.
    pub fn failed(&self) -> u64 {
        self.counters.failed.load(Ordering::Relaxed)
    }
}

impl Drop for FaultyProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// One connection's way to the service.
struct Relay {
    target: Arc<str>,
    fault: watch::Receiver<Fault>,
    counters: Arc<Counters>,
    /// The connection to the service, made when needed.
    sender: Mutex<Option<SendRequest<Incoming>>>,
}

async fn serve(stream: TcpStream, relay: Relay) {
    let _ = stream.set_nodelay(true);
    let answer = service_fn(async |request| Ok::<_, Infallible>(relay.answer(request).await));
    // How a connection ends is its ends' matter.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), answer)
        .await;
}

impl Relay {
    async fn answer(&self, request: Request<Incoming>) -> Answer {
        if !request.uri().path().starts_with(HEALTH) {
            let fault = *self.fault.borrow();
            match fault {
                Fault::None => {}
                Fault::Slow(delay) => tokio::time::sleep(delay).await,
                Fault::Failing(percent) => {
                    let number = self.counters.seen.fetch_add(1, Ordering::Relaxed);
                    if is_chosen(number, percent) {
                        self.counters.failed.fetch_add(1, Ordering::Relaxed);
                        return own(StatusCode::INTERNAL_SERVER_ERROR, "it fails");
                    }
                }
            }
        }
        match self.pass(request).await {
            Ok(answer) => answer.map(Either::Left),
            Err(error) => own(StatusCode::BAD_GATEWAY, &error.to_string()),
        }
    }

    async fn pass(&self, request: Request<Incoming>) -> Result<Response<Incoming>> {
        let mut sender = self.sender.lock().await;
        let mut service = match sender.take() {
            Some(service) if !service.is_closed() => service,
            _ => self.connect().await?,
        };
        let answer = service.send_request(request).await?;
        *sender = Some(service);
        Ok(answer)
    }

    async fn connect(&self) -> Result<SendRequest<Incoming>> {
        let stream = TcpStream::connect(&*self.target).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // Its errors come back from the sender's calls.
        tokio::spawn(connection);
        Ok(sender)
    }
}

/// Whether the request of this number is one of so many of a hundred.
fn is_chosen(number: u64, percent: u64) -> bool {
    let until = |number: u64| number * percent.min(100) / 100;
    until(number + 1) > until(number)
}

fn own(status: StatusCode, why: &str) -> Answer {
    let body = Full::new(Bytes::from(format!("{{\"detail\":\"{why}\"}}")));
    let mut answer = Response::new(Either::Right(body));
    *answer.status_mut() = status;
    let json = header::HeaderValue::from_static("application/json");
    answer.headers_mut().insert(header::CONTENT_TYPE, json);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http_client::{Call, Connection};
    use http_body_util::BodyExt as _;
    use serde_json::json;
    use std::time::Instant;

    const LIMIT: Duration = Duration::from_secs(10);

    /// A service that answers what it was sent, and counts.
    async fn service() -> (String, Arc<AtomicU64>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let count = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&count);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let counter = Arc::clone(&counter);
                tokio::spawn(async move {
                    let echo = service_fn(async |request: Request<Incoming>| {
                        counter.fetch_add(1, Ordering::Relaxed);
                        let body = request.into_body().collect().await?.to_bytes();
                        Ok::<_, hyper::Error>(Response::new(Full::new(body)))
                    });
                    let stream = TokioIo::new(stream);
                    http1::Builder::new().serve_connection(stream, echo).await
                });
            }
        });
        (url, count)
    }

    async fn statuses(client: &mut Connection, path: &str, count: usize) -> Vec<u16> {
        let call = Call::post(path, &json!({"a": 1}));
        let mut statuses = Vec::new();
        for _ in 0..count {
            let answer = client.send(&call, LIMIT).await.unwrap();
            if answer.status == 200 {
                assert_eq!(answer.json(), json!({"a": 1}));
            }
            statuses.push(answer.status.as_u16());
        }
        statuses
    }

    #[tokio::test]
    async fn what_fails_never_reaches_the_service() {
        let (url, count) = service().await;
        let proxy = FaultyProxy::before(&url).await.unwrap();
        let mut client = Connection::new(proxy.url()).unwrap();
        assert_eq!(statuses(&mut client, "/x", 3).await, [200, 200, 200]);
        proxy.set(Fault::Failing(40));
        let seen = statuses(&mut client, "/x", 10).await;
        let failed = seen.iter().filter(|status| **status == 500).count();
        assert_eq!((failed, proxy.failed()), (4, 4), "{seen:?}");
        assert_eq!(count.load(Ordering::Relaxed), 9);
        proxy.set(Fault::Failing(100));
        assert_eq!(statuses(&mut client, "/health/ready", 1).await, [200]);
        assert_eq!(statuses(&mut client, "/x", 1).await, [500]);
        proxy.set(Fault::None);
        assert_eq!(statuses(&mut client, "/x", 1).await, [200]);
    }

    #[tokio::test]
    async fn what_is_slow_arrives() {
        let (url, count) = service().await;
        let proxy = FaultyProxy::before(&url).await.unwrap();
        let mut client = Connection::new(proxy.url()).unwrap();
        let delay = Duration::from_millis(80);
        proxy.set(Fault::Slow(delay));
        let began = Instant::now();
        assert_eq!(statuses(&mut client, "/x", 1).await, [200]);
        assert!(began.elapsed() >= delay);
        assert_eq!(count.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn a_service_that_is_not_there_is_said_to_be() {
        let proxy = FaultyProxy::before("http://127.0.0.1:1").await.unwrap();
        let mut client = Connection::new(proxy.url()).unwrap();
        assert_eq!(statuses(&mut client, "/x", 1).await, [502]);
    }
}
