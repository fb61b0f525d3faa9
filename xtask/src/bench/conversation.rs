//! A client's end of one connection: HTTP/1.1 by hand, so that the client's own
//! work is small and the same for everybody.

use anyhow::{Context, Result, bail};
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// The longest wait: a proxy that hangs is an error, not a figure.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The largest answer; the backend's has a little over 1 KiB.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// What is asked for: below the route of the gateway's example.
pub(super) const PATH: &str = "/api/v1/items";

/// What the backend says of itself in each answer: the port that was asked.
pub(super) const ARM_HEADER: &str = "x-arm";

/// A connection that is kept.
pub(super) struct Conversation {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// The request of one of many users, whom the split tells apart.
pub(super) fn request(user: u32) -> String {
    format!("GET {PATH} HTTP/1.1\r\nHost: bench\r\nx-user-id: user-{user}\r\n\r\n")
}

/// The same with a token.
pub(super) fn authorized(user: u32) -> String {
    let authorization = super::features::authorization();
    let end = format!("\r\nAuthorization: {authorization}\r\n\r\n");
    request(user).replace("\r\n\r\n", &end)
}

impl Conversation {
    pub(super) fn new(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&address, TIMEOUT)
            .with_context(|| format!("connecting to {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        Ok(Self {
            stream,
            buffer: Vec::new(),
        })
    }

    /// Sends a request and waits for the whole answer, which must be 200.
    /// Returns the port of the backend that it came from.
    pub(super) fn exchange(&mut self, request: &str) -> Result<u16> {
        self.stream.write_all(request.as_bytes())?;
        self.buffer.clear();
        let mut part = [0; 4096];
        loop {
            let count = self.stream.read(&mut part)?;
            if count == 0 || self.buffer.len() > ANSWER_BYTES_MAX {
                bail!("the answer ended early, or not at all");
            }
            self.buffer.extend_from_slice(&part[..count]);
            if let Some(arm) = whole(&self.buffer)? {
                return Ok(arm);
            }
        }
    }
}

/// The arm that a whole answer came from; `None` while more is to come.
fn whole(answer: &[u8]) -> Result<Option<u16>> {
    let Some(end) = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = std::str::from_utf8(&answer[..end]).context("the head of an answer")?;
    if !head.starts_with("HTTP/1.1 200 ") {
        bail!("an answer that is not 200: {head}");
    }
    let field = |wanted: &str| {
        head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case(wanted).then_some(value.trim())
        })
    };
    let length: usize = field("content-length")
        .and_then(|length| length.parse().ok())
        .with_context(|| format!("an answer without a Content-Length: {head}"))?;
    let arm = field(ARM_HEADER)
        .and_then(|arm| arm.parse().ok())
        .with_context(|| format!("an answer that does not say where it is from: {head}"))?;
    Ok((answer.len() - end - 4 >= length).then_some(arm))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_when_its_body_is() {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-Arm: 81\r\n\r\n";
        let at = |body: &str| whole(format!("{head}{body}").as_bytes()).unwrap();
        assert_eq!(whole(&head.as_bytes()[..20]).unwrap(), None);
        assert_eq!(at("ab"), None);
        assert_eq!(at("abc"), Some(81));
        assert!(whole(b"HTTP/1.1 502 Bad\r\n\r\n").is_err());
    }
}
