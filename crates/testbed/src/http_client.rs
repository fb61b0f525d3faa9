//! A plain HTTP/1.1 client: one keep-alive connection, no retries.

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use std::time::Duration;
use tokio::net::TcpStream;

/// Who sent an answer, said by the gateway.
pub const SIDE_HEADER: &str = "x-banyan-side";

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Answer {
    /// The body as JSON; `null` if it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The side that answered, if a gateway said so.
    pub fn side(&self) -> Option<&str> {
        self.headers.get(SIDE_HEADER)?.to_str().ok()
    }

    /// The start of the body, for messages.
    pub fn body_head(&self) -> String {
        String::from_utf8_lossy(&self.body)
            .chars()
            .take(200)
            .collect()
    }
}

/// A request to be sent.
#[derive(Debug, Clone)]
pub struct Call {
    /// Its method.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// The calling user, if any.
    pub user: Option<u32>,
    /// Further headers.
    pub headers: HeaderMap,
    /// A JSON body, if any.
    pub body: Option<Bytes>,
}

impl Call {
    /// A GET.
    pub fn get(path: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            path: path.into(),
            user: None,
            headers: HeaderMap::new(),
            body: None,
        }
    }

    /// A POST of a JSON value.
    pub fn post(path: impl Into<String>, body: &serde_json::Value) -> Self {
        Self::with_body(Method::POST, path, body)
    }

    /// A PATCH with a JSON value.
    pub fn patch(path: impl Into<String>, body: &serde_json::Value) -> Self {
        Self::with_body(Method::PATCH, path, body)
    }

    fn with_body(method: Method, path: impl Into<String>, body: &serde_json::Value) -> Self {
        let body = Some(Bytes::from(body.to_string()));
        Self {
            method,
            path: path.into(),
            user: None,
            headers: HeaderMap::new(),
            body,
        }
    }

    /// Sets the calling user.
    #[must_use]
    pub fn by(mut self, user: Option<u32>) -> Self {
        self.user = user;
        self
    }

    /// A POST without a body.
    pub fn post_nothing(path: impl Into<String>) -> Self {
        Self {
            method: Method::POST,
            ..Self::get(path)
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// `METHOD /path`.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// Nothing of the request reached the server.
    #[error("not sent: {0}")]
    Unsent(String),
    /// The server may have done what was asked.
    #[error("no answer: {0}")]
    Unanswered(String),
}

/// A client with one connection, made when needed.
#[derive(Debug)]
pub struct Connection {
    /// `host:port`.
    authority: String,
    /// What every request brings beside what its call says.
    headers: Vec<(&'static str, String)>,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Connection {
    /// A client for `http://host:port`.
    pub fn new(url: &str) -> Result<Self> {
        let Some(rest) = url.strip_prefix("http://") else {
            bail!("{url} is not http://")
        };
        Ok(Self {
            authority: rest.trim_end_matches('/').to_owned(),
            headers: Vec::new(),
            sender: None,
        })
    }

    /// Adds a header to every request.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Sends a call and reads the answer, which must be whole in time. After an
    /// error or when the future is dropped the connection is not used again.
    ///
    /// A connection that the server closed while it was idle is replaced, but
    /// only if nothing of the request was sent on it.
    pub async fn send(&mut self, call: &Call, limit: Duration) -> Result<Answer, SendError> {
        let Ok(result) = tokio::time::timeout(limit, self.send_unbounded(call)).await else {
            let text = format!("none within {:.1} s", limit.as_secs_f64());
            return Err(SendError::Unanswered(text));
        };
        result
    }

    async fn send_unbounded(&mut self, call: &Call) -> Result<Answer, SendError> {
        let unsent = |error: anyhow::Error| SendError::Unsent(format!("{error:#}"));
        let unanswered = |error: hyper::Error| SendError::Unanswered(text_of(&error));
        let mut request = self.request(call).map_err(unsent)?;
        // Once on the connection that is there, once on a new one.
        for _ in 0..2 {
            // Taken: a future that is dropped halfway leaves none behind.
            let mut sender = match self.sender.take() {
                Some(sender) if !sender.is_closed() => sender,
                _ => self.connect().await.map_err(unsent)?,
            };
            match sender.try_send_request(request).await {
                Ok(response) => {
                    let (head, body) = response.into_parts();
                    let body = body.collect().await.map_err(unanswered)?.to_bytes();
                    if sender.ready().await.is_ok() {
                        self.sender = Some(sender);
                    }
                    return Ok(Answer {
                        status: head.status,
                        headers: head.headers,
                        body,
                    });
                }
                Err(mut error) => match error.take_message() {
                    Some(same) => request = same,
                    None => return Err(unanswered(error.into_error())),
                },
            }
        }
        Err(SendError::Unsent(
            "the server closes connections before it reads from them".into(),
        ))
    }

    fn request(&self, call: &Call) -> Result<Request<Full<Bytes>>> {
        let mut request = Request::builder()
            .method(call.method.clone())
            .uri(&call.path)
            .header("host", &self.authority)
            .header("accept", "application/json");
        if let Some(user) = call.user {
            request = request.header("x-user-id", user.to_string());
        }
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        if call.body.is_some() {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        Ok(request.body(Full::new(call.body.clone().unwrap_or_default()))?)
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>> {
        let stream = TcpStream::connect(&self.authority)
            .await
            .with_context(|| format!("connecting to {}", self.authority))?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // Its errors come back from the sender's calls.
        tokio::spawn(connection);
        Ok(sender)
    }
}

/// An error with its causes.
fn text_of(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// One call on a connection of its own.
pub async fn call(url: &str, call: &Call, limit: Duration) -> Result<Answer> {
    let what = call.line();
    Connection::new(url)?.send(call, limit).await.context(what)
}

/// Waits until a path answers 200.
pub async fn until_healthy(
    url: &str,
    path: &str,
    limit: Duration,
    mut still_running: impl FnMut() -> Result<()>,
) -> Result<()> {
    const TIMEOUT: Duration = Duration::from_secs(5);
    crate::deadline::until(&format!("{url}{path} to answer 200"), limit, async || {
        still_running()?;
        let answer = call(url, &Call::get(path), TIMEOUT).await;
        Ok(answer
            .is_ok_and(|answer| answer.status == StatusCode::OK)
            .then_some(()))
    })
    .await
}
