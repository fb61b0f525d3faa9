//! Clients: of requests, and of bytes.

use super::DEADLINE;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use protocol::Side;
use std::{net::SocketAddr, time::Instant};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// What a client got.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: http::HeaderMap,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub fn side(&self) -> Option<&str> {
        self.header("x-banyan-side")
    }

    /// It was answered 503 by the gateway for this reason.
    #[track_caller]
    pub fn assert_refused(&self, reason: &str) {
        assert_eq!(self.status, 503, "{self:?}");
        assert_eq!(self.header("retry-after"), Some("1"));
        assert!(
            self.body.contains(&format!("\"reason\":\"{reason}\"")),
            "{self:?}"
        );
    }
}

/// A client with one connection that is kept.
pub struct Client {
    sender: SendRequest<Full<Bytes>>,
}

impl Client {
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(connection);
        Self { sender }
    }

    /// Whether the gateway has closed the connection.
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    pub async fn request(&mut self, request: Request<Full<Bytes>>) -> Result<Answer, hyper::Error> {
        self.sender.ready().await?;
        let (parts, body) = self.sender.send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        })
    }

    /// Reads until a side answers.
    pub async fn reads_from(&mut self, side: Side, path: &str, user: Option<&str>) {
        let end = Instant::now() + DEADLINE;
        while self.send("GET", path, user, "").await.side() != Some(side.as_str()) {
            assert!(Instant::now() < end, "never read from the {side}");
        }
    }

    pub async fn send(
        &mut self,
        method: &str,
        path: &str,
        user: Option<&str>,
        body: &str,
    ) -> Answer {
        let request = build(method, path, user, body);
        let answer = tokio::time::timeout(DEADLINE, self.request(request)).await;
        answer.expect("no answer in time").unwrap()
    }
}

pub fn build(method: &str, path: &str, user: Option<&str>, body: &str) -> Request<Full<Bytes>> {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "example.org");
    if let Some(user) = user {
        request = request.header("x-user-id", user);
    }
    request
        .body(Full::new(Bytes::from(body.to_owned())))
        .unwrap()
}

/// A client that writes and reads bytes.
pub struct Raw {
    pub stream: TcpStream,
    pub read: String,
}

impl Raw {
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let read = String::new();
        Self { stream, read }
    }

    pub async fn write(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    /// Reads until what came ends with this.
    pub async fn until(&mut self, end: &str) {
        while !self.read.ends_with(end) {
            assert!(self.more().await, "ended without {end:?}: {:?}", self.read);
        }
    }

    /// Reads until the gateway closes.
    pub async fn whole(&mut self) -> &str {
        while self.more().await {}
        &self.read
    }

    async fn more(&mut self) -> bool {
        let mut part = [0; 4096];
        let reading = tokio::time::timeout(DEADLINE, self.stream.read(&mut part));
        let Ok(read) = reading.await else {
            panic!("nothing more came after {:?}", self.read);
        };
        let length = read.unwrap_or(0);
        self.read
            .push_str(&String::from_utf8_lossy(&part[..length]));
        length > 0
    }
}
