//! Clients and upstreams that speak in bytes.

use crate::support::*;
use gateway::Gateway;
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// The plainest answer, and the end of its connection: so what an upstream
/// notes of one shape is not mixed with the next one's.
pub const FINE: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 4\r\n\r\nfine";

/// A message as one reader frames it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Request line or status line.
    pub first: String,
    /// The fields, as they came.
    pub fields: String,
    pub body: Vec<u8>,
}

/// Takes one whole message off the front: by chunks where the head says so,
/// else by its length. For what proxies send, which is plain.
pub fn message(bytes: &[u8]) -> Option<(Message, &[u8])> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let (first, fields) = head.split_once("\r\n").unwrap_or((&head, ""));
    let fields = fields.to_ascii_lowercase();
    let mut rest = &bytes[end + 4..];
    let mut body = Vec::new();
    let length = fields
        .split("\r\n")
        .find_map(|field| field.strip_prefix("content-length:"));
    if fields.contains("transfer-encoding: chunked") {
        loop {
            let line = rest.windows(2).position(|two| two == b"\r\n")?;
            let size = rest[..line].split(|byte| *byte == b';').next();
            let size = std::str::from_utf8(size.unwrap_or_default()).unwrap();
            let size = usize::from_str_radix(size, 16).unwrap();
            rest = &rest[line + 2..];
            if size == 0 {
                break;
            }
            body.extend_from_slice(rest.get(..size)?);
            assert_eq!(rest.get(size..size + 2)?, b"\r\n");
            rest = &rest[size + 2..];
        }
        // Trailers, and the empty line.
        loop {
            let line = rest.windows(2).position(|two| two == b"\r\n")?;
            rest = &rest[line + 2..];
            if line == 0 {
                break;
            }
        }
    } else if let Some(length) = length {
        let length: usize = length.trim().parse().unwrap();
        body.extend_from_slice(rest.get(..length)?);
        rest = &rest[length..];
    }
    let first = first.to_owned();
    Some((
        Message {
            first,
            fields,
            body,
        },
        rest,
    ))
}

/// All whole messages, and what is left.
pub fn messages(mut bytes: &[u8]) -> (Vec<Message>, &[u8]) {
    let mut all = Vec::new();
    while let Some((one, rest)) = message(bytes) {
        all.push(one);
        bytes = rest;
    }
    (all, bytes)
}

/// The statuses of answers.
pub fn statuses(bytes: &[u8]) -> Vec<u16> {
    let status = |message: &Message| message.first.split(' ').nth(1)?.parse().ok();
    messages(bytes).0.iter().filter_map(status).collect()
}

/// What an upstream got over one connection.
#[derive(Debug, Default, Clone)]
pub struct Got {
    pub bytes: Vec<u8>,
    pub is_closed: bool,
}

/// An upstream that notes the bytes it gets, and answers each whole request
/// with the bytes it was told.
#[derive(Clone)]
pub struct RawUpstream {
    pub address: SocketAddr,
    got: Arc<Mutex<Vec<Arc<Mutex<Got>>>>>,
    answer: Arc<Mutex<(Vec<u8>, bool)>>,
}

impl RawUpstream {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = Self {
            address: listener.local_addr().unwrap(),
            got: Arc::default(),
            answer: Arc::new(Mutex::new((FINE.into(), true))),
        };
        tokio::spawn(upstream.clone().run(listener));
        upstream
    }

    async fn run(self, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(self.clone().converse(stream));
        }
    }

    async fn converse(self, mut stream: TcpStream) {
        stream.set_nodelay(true).unwrap();
        let got = Arc::new(Mutex::new(Got::default()));
        self.got.lock().unwrap().push(Arc::clone(&got));
        self.answers(&mut stream, &got).await;
        got.lock().unwrap().is_closed = true;
    }

    async fn answers(&self, stream: &mut TcpStream, got: &Mutex<Got>) {
        let (mut part, mut answered) = (vec![0; 64 << 10], 0);
        loop {
            let length = stream.read(&mut part).await.unwrap_or(0);
            if length == 0 {
                return;
            }
            let whole = {
                let mut got = got.lock().unwrap();
                got.bytes.extend_from_slice(&part[..length]);
                messages(&got.bytes).0.len()
            };
            while answered < whole {
                answered += 1;
                let (bytes, closes) = self.answer.lock().unwrap().clone();
                if stream.write_all(&bytes).await.is_err() {
                    return;
                }
                if closes {
                    return;
                }
            }
        }
    }

    /// Answers with these bytes from now on.
    pub fn answer(&self, bytes: impl Into<Vec<u8>>) {
        *self.answer.lock().unwrap() = (bytes.into(), false);
    }

    /// Answers with these bytes from now on, and closes.
    pub fn answer_and_close(&self, bytes: impl Into<Vec<u8>>) {
        *self.answer.lock().unwrap() = (bytes.into(), true);
    }

    /// What came over each connection since the last time it was taken.
    pub fn take(&self) -> Vec<Got> {
        let got = self.got();
        self.got.lock().unwrap().clear();
        got
    }

    pub fn got(&self) -> Vec<Got> {
        let all = self.got.lock().unwrap();
        all.iter().map(|one| one.lock().unwrap().clone()).collect()
    }

    /// All whole requests of all connections.
    pub fn requests(&self) -> Vec<Message> {
        let got = self.got();
        got.iter().flat_map(|got| messages(&got.bytes).0).collect()
    }
}

/// A gateway whose monolith and service are the same raw upstream.
pub struct RawBed {
    pub gateway: Gateway,
    pub upstream: RawUpstream,
}

impl RawBed {
    pub async fn start(client: &'static str) -> Self {
        Self::plain(Knobs {
            client,
            ..Knobs::default()
        })
        .await
    }

    pub async fn plain(knobs: Knobs) -> Self {
        let upstream = RawUpstream::start().await;
        let plan = plan(knobs, "127.0.0.1:0", upstream.address, upstream.address);
        let gateway = with_lease(&plan, still());
        gateway.publish(&routing(1, TO_MONOLITH, 0));
        Self { gateway, upstream }
    }

    /// Sends parts over a new connection, and reads to its end.
    pub async fn send<'a>(&self, parts: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
        let all = exchange(self.gateway.local_addr(), parts);
        tokio::time::timeout(DEADLINE, all)
            .await
            .expect("the connection did not end")
    }

    pub fn metrics(&self) -> String {
        encoded(&self.gateway)
    }
}

/// Sends parts and reads to the end, whichever way it comes.
pub async fn exchange<'a>(
    address: SocketAddr,
    parts: impl IntoIterator<Item = &'a [u8]>,
) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    for part in parts {
        if stream.write_all(part).await.is_err() {
            break;
        }
        tokio::task::yield_now().await;
    }
    let mut answer = Vec::new();
    let mut part = vec![0; 16 << 10];
    while let Ok(length) = stream.read(&mut part).await
        && length > 0
    {
        answer.extend_from_slice(&part[..length]);
    }
    answer
}
