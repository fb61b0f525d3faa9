//! A service in this process, and a client that says exactly what it is told.

use std::time::Duration;

use axum::Router;
use kit::client::Policy;
use kit::server::Running;
use kit::settings::{self, Address, Origin, Setting};
use kit::{Client, Identity, Kit, Service};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

pub const GREETER: Identity = Identity::new("greeter", "1.2.3", 0);

/// Nothing in these tests takes as long as this; what does hangs.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The kit as the environment would give it, on a port that is free.
pub fn kit(variables: &[(&str, &str)]) -> Kit {
    let settings = settings::read(&GREETER, &|name| {
        let found = variables.iter().find(|(variable, _)| *variable == name);
        found.map(|(_, value)| (*value).to_owned())
    });
    Kit::new(GREETER, settings.unwrap())
}

pub async fn started(variables: &[(&str, &str)], service: Service) -> Running {
    kit::server::start(kit(variables), service).await.unwrap()
}

pub async fn serving(router: Router) -> Running {
    started(&[], Service::new(router)).await
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let found = lines.find(|(field, _)| field.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value)
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// That it is a problem of this kind, with what every problem has.
    #[track_caller]
    pub fn is_problem(&self, status: u16, kind: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{self:?}"
        );
        let problem = self.json();
        assert_eq!(
            problem["type"],
            format!("urn:banyan:problem:{kind}"),
            "{self:?}"
        );
        assert_eq!(problem["status"], status);
        assert!(problem["title"].is_string() && problem["detail"].is_string());
        assert_eq!(
            problem["correlation_id"].as_str(),
            self.header("x-correlation-id")
        );
    }
}

/// Sends what it is given and reads all that comes until the end.
async fn talk(mut stream: impl AsyncRead + AsyncWrite + Unpin, text: &[u8]) -> Answer {
    // Whoever answers before it has read all may close.
    let _ = stream.write_all(text).await;
    let mut all = Vec::new();
    let reading = stream.read_to_end(&mut all);
    // A connection that is cut off has said what it had to say.
    let _ = tokio::time::timeout(PATIENCE, reading)
        .await
        .expect("an answer in time");
    let all = String::from_utf8_lossy(&all);
    let (head, body) = all.split_once("\r\n\r\n").unwrap_or((&all, ""));
    let status = head.get(9..12).and_then(|code| code.parse().ok());
    Answer {
        status: status.unwrap_or(0),
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

pub async fn raw(running: &Running, text: &[u8]) -> Answer {
    match running.address() {
        Address::Tcp { host, port } => {
            let stream = TcpStream::connect((host.as_str(), *port)).await.unwrap();
            talk(stream, text).await
        }
        Address::Unix(path) => talk(UnixStream::connect(path).await.unwrap(), text).await,
    }
}

/// A request with these header lines, each ended by a line break.
pub async fn send(running: &Running, line: &str, headers: &str, body: &str) -> Answer {
    let length = if body.is_empty() {
        String::new()
    } else {
        format!("Content-Length: {}\r\n", body.len())
    };
    let text = format!(
        "{line} HTTP/1.1\r\nHost: greeter\r\nConnection: close\r\n{length}{headers}\r\n{body}"
    );
    raw(running, text.as_bytes()).await
}

pub async fn get(running: &Running, path: &str) -> Answer {
    send(running, &format!("GET {path}"), "", "").await
}

pub async fn post(running: &Running, path: &str, json: &str) -> Answer {
    let media_type = "Content-Type: application/json\r\n";
    send(running, &format!("POST {path}"), media_type, json).await
}

/// Asks until the answer is as it should be.
pub async fn until(running: &Running, path: &str, good: impl Fn(&Answer) -> bool) -> Answer {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let answer = get(running, path).await;
        if good(&answer) {
            return answer;
        }
        assert!(tokio::time::Instant::now() < deadline, "still {answer:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Where others reach it.
pub fn url(running: &Running) -> String {
    format!("http://{}", running.address())
}

/// A client for something that runs here, made by a greeter with these
/// settings.
pub fn client(variables: &[(&str, &str)], running: &Running, policy: Policy) -> Client {
    client_at(variables, &url(running), policy)
}

pub fn client_at(variables: &[(&str, &str)], url: &str, policy: Policy) -> Client {
    let url = Origin::parse(url).unwrap();
    let client = kit(variables).client("other").at(Some(&url));
    client.policy(policy).build().unwrap()
}
