//! A client that says exactly what it is told, byte by byte, and what a service
//! answers to that.

use anyhow::{Context, Result};
use serde_json::Value;
use std::net::Ipv4Addr;
use std::time::Duration;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Nothing takes as long as this; what does hangs.
const TIMEOUT: Duration = Duration::from_mins(1);

/// All that came until the end of the connection.
#[derive(Debug, Clone)]
pub struct Answer {
    /// 0 where there was none.
    pub status: u16,
    /// Status line and header lines.
    pub head: String,
    /// What came after them.
    pub body: String,
}

impl Answer {
    /// The first header of this name, in any case of letters.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let found = lines.find(|(field, _)| field.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value)
    }

    /// The body, which must be JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        match serde_json::from_str(&self.body) {
            Ok(value) => value,
            Err(error) => panic!("no JSON, {error}: {self:?}"),
        }
    }

    /// That it is a problem of this kind (RFC 9457), with what every problem of
    /// the kit has.
    #[track_caller]
    pub fn is_problem(&self, status: u16, kind: &str) {
        assert_eq!(self.status, status, "{self:?}");
        let media_type = self.header("content-type");
        assert_eq!(media_type, Some("application/problem+json"), "{self:?}");
        let problem = self.json();
        let kind = format!("urn:banyan:problem:{kind}");
        assert_eq!(problem["type"], kind, "{self:?}");
        assert_eq!(problem["status"], status, "{self:?}");
        assert!(
            problem["title"].is_string() && problem["detail"].is_string(),
            "{self:?}"
        );
        let id = problem["correlation_id"].as_str();
        assert_eq!(id, self.header("x-correlation-id"), "{self:?}");
    }
}

/// Sends a request with these header lines, each with its end, to a port of this
/// machine over a connection of its own.
pub async fn send(port: u16, line: &str, headers: &str, body: &str) -> Result<Answer> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    let length = body.len();
    let text = format!(
        "{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Length: {length}\r\n{headers}\r\n{body}"
    );
    talk(stream, text.as_bytes()).await
}

/// Sends a text and reads all that comes until the end.
pub async fn talk(mut stream: impl AsyncRead + AsyncWrite + Unpin, text: &[u8]) -> Result<Answer> {
    // Whoever answers before it has read all may close.
    let _ = stream.write_all(text).await;
    let mut all = Vec::new();
    // A connection that is cut off has said what it had to say.
    let _ = timeout(TIMEOUT, stream.read_to_end(&mut all))
        .await
        .context("the answer did not end in time")?;
    let all = String::from_utf8_lossy(&all);
    let (head, body) = all.split_once("\r\n\r\n").unwrap_or((&all, ""));
    let status = head.get(9..12).and_then(|code| code.parse().ok());
    Ok(Answer {
        status: status.unwrap_or(0),
        head: head.to_owned(),
        body: body.to_owned(),
    })
}
