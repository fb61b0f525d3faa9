//! A service in this process, and a client that says exactly what it is told.

use std::time::Duration;

use axum::Router;
use kit::client::Policy;
use kit::server::Running;
use kit::settings::{self, Address, Origin, Setting};
use kit::{Client, Identity, Kit, Service};
pub use testbed::raw_http::Answer;
use testbed::raw_http::talk;
use tokio::net::{TcpStream, UnixStream};

pub const GREETER: Identity = Identity::new("greeter", "1.2.3", 0);

/// Nothing in these tests takes as long as this; what does hangs.
pub const TIMEOUT: Duration = Duration::from_secs(20);

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

pub async fn raw(running: &Running, text: &[u8]) -> Answer {
    match running.address() {
        Address::Tcp { host, port } => {
            let stream = TcpStream::connect((host.as_str(), *port)).await.unwrap();
            talk(stream, text).await.unwrap()
        }
        Address::Unix(path) => {
            let stream = UnixStream::connect(path).await.unwrap();
            talk(stream, text).await.unwrap()
        }
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
    let deadline = tokio::time::Instant::now() + TIMEOUT;
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
