//! Real servers, which do as they are told.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::Notify,
};

/// A request as an upstream saw it.
#[derive(Debug, Clone)]
pub struct ReceivedRequest {
    pub path: String,
    pub headers: http::HeaderMap,
    pub body: Bytes,
}

impl ReceivedRequest {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

type Answering = Pin<Box<dyn Future<Output = Response<Full<Bytes>>> + Send>>;
type Behaviour = Arc<dyn Fn(ReceivedRequest) -> Answering + Send + Sync>;

/// A server that notes what it sees.
#[derive(Clone)]
pub struct Upstream {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<ReceivedRequest>>>,
    behaviour: Arc<Mutex<Behaviour>>,
    accepted: Arc<AtomicUsize>,
}

impl Upstream {
    /// Answers 200 with its name.
    pub async fn start(name: &'static str) -> Self {
        Self::start_at(name, "127.0.0.1:0").await
    }

    /// The same at an address of one's own.
    pub async fn start_at(name: &'static str, address: &str) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Vec<ReceivedRequest>>> = Arc::default();
        let fine: Behaviour = Arc::new(move |_| Box::pin(async move { text(200, name) }));
        let upstream = Self {
            address,
            seen,
            behaviour: Arc::new(Mutex::new(fine)),
            accepted: Arc::default(),
        };
        tokio::spawn(upstream.clone().run(listener));
        upstream
    }

    async fn run(self, listener: TcpListener) {
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                return;
            };
            stream.set_nodelay(true).unwrap();
            self.accepted.fetch_add(1, Ordering::Relaxed);
            let this = self.clone();
            let service = service_fn(move |request: Request<Incoming>| {
                let this = this.clone();
                async move { Ok::<_, Infallible>(this.answer(request).await) }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            tokio::spawn(connection);
        }
    }

    async fn answer(self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let Ok(body) = body.collect().await else {
            return text(400, "cut off");
        };
        let seen = ReceivedRequest {
            path: parts.uri.to_string(),
            headers: parts.headers,
            body: body.to_bytes(),
        };
        self.seen.lock().unwrap().push(seen.clone());
        let behaviour = Arc::clone(&self.behaviour.lock().unwrap());
        behaviour(seen).await
    }

    /// How many connections it has accepted.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Answers as told from now on.
    pub fn behave<F>(&self, behaviour: impl Fn(ReceivedRequest) -> F + Send + Sync + 'static)
    where
        F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
    {
        *self.behaviour.lock().unwrap() = Arc::new(move |seen| Box::pin(behaviour(seen)));
    }

    /// Answers with this status from now on.
    pub fn answer_with(&self, status: u16) {
        self.behave(move |_| async move { text(status, "told so") });
    }

    /// From now on waits before each answer until told to go on.
    pub fn stall(&self) -> Arc<Notify> {
        let go = Arc::new(Notify::new());
        let wait = Arc::clone(&go);
        self.behave(move |_| {
            let wait = Arc::clone(&wait);
            async move {
                wait.notified().await;
                text(200, "at last")
            }
        });
        go
    }

    /// Forgets what it saw.
    pub fn forget(&self) {
        self.seen.lock().unwrap().clear();
    }

    pub fn seen(&self) -> Vec<ReceivedRequest> {
        self.seen.lock().unwrap().clone()
    }

    pub fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    /// The bodies of what it saw, in order.
    pub fn bodies(&self) -> Vec<String> {
        let body = |seen: &ReceivedRequest| String::from_utf8_lossy(&seen.body).into_owned();
        self.seen.lock().unwrap().iter().map(body).collect()
    }
}

pub fn text(status: u16, body: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(body.as_bytes())));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

/// A server that answers each connection with these bytes once a head is there,
/// and notes all that it reads.
pub async fn raw_upstream(answer: &'static str) -> (SocketAddr, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen: Arc<Mutex<Vec<u8>>> = Arc::default();
    let noted = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let noted = Arc::clone(&noted);
            tokio::spawn(async move {
                let (mut part, mut begun, mut answered) = ([0; 4096], Vec::new(), false);
                while let Ok(length @ 1..) = stream.read(&mut part).await {
                    noted.lock().unwrap().extend_from_slice(&part[..length]);
                    begun.extend_from_slice(&part[..length]);
                    if !answered && begun.windows(4).any(|end| end == b"\r\n\r\n") {
                        answered = true;
                        stream.write_all(answer.as_bytes()).await.unwrap();
                    }
                }
            });
        }
    });
    (address, seen)
}
