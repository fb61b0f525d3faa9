//! An HTTP client that says exactly what it is told, over a new connection
//! each time.

use anyhow::Result;
use axum::http::{HeaderMap, Method, Request};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::scene::{JWT_SECRET, KEY};

#[derive(Debug, Clone, Copy)]
pub struct Client {
    pub port: u16,
}

#[derive(Debug)]
pub struct Call {
    port: u16,
    request: axum::http::request::Builder,
    body: Bytes,
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// That it is a problem of this kind.
    #[track_caller]
    pub fn is_problem(&self, status: u16, kind: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.headers["content-type"], "application/problem+json");
        let expected = format!("urn:banyan:problem:{kind}");
        assert_eq!(self.json()["type"], expected, "{self:?}");
    }
}

impl Client {
    pub fn new(port: u16) -> Self {
        Self { port }
    }

    pub fn get(self, path: &str) -> Call {
        self.call(Method::GET, path)
    }

    pub fn post(self, path: &str) -> Call {
        self.call(Method::POST, path)
    }

    pub fn call(self, method: Method, path: &str) -> Call {
        Call {
            port: self.port,
            request: Request::builder()
                .method(method)
                .uri(path)
                .header("host", "notification"),
            body: Bytes::new(),
        }
    }
}

impl Call {
    pub fn key(self) -> Self {
        self.header("x-api-key", KEY)
    }

    pub fn user(self, user: &str) -> Self {
        self.header("authorization", &format!("Bearer {}", token(user, 600)))
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    pub fn json(self, body: &Value) -> Self {
        let text = body.to_string();
        self.header("content-type", "application/json").body(text)
    }

    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    pub async fn send(self) -> Result<Answer> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let request = self.request.body(Full::new(self.body))?;
        let (head, body) = sender.send_request(request).await?.into_parts();
        Ok(Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body: body.collect().await?.to_bytes(),
        })
    }
}

/// A user's token, good for some seconds from now.
pub fn token(user: &str, seconds: i64) -> String {
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    let claims = json!({ "sub": user, "exp": now + seconds, "iat": now });
    let key = EncodingKey::from_secret(JWT_SECRET.as_bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).unwrap()
}
