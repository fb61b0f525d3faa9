//! A private cluster, the service in this process, and a client.

use std::time::Duration;

use identity::{IDENTITY, Settings};
use kit::Kit;
use kit::server::Running;
use kit::settings::{self, Address};
use serde_json::{Value, json};
use testbed::cluster::{Cluster, Options, Rights};
use testbed::directory::PrivateDirectory;
pub use testbed::raw_http::Answer;
use testbed::raw_http::talk;
use tokio::net::TcpStream;

pub const TIMEOUT: Duration = Duration::from_mins(1);
pub const SECRET: &str = "a secret of the tests that is long enough";
pub const PASSWORD: &str = "SecurePassword123!";

/// What the service needs but where the database is. Hashes are as cheap as
/// the settings allow.
const USUAL: &[(&str, &str)] = &[
    ("JWT_SECRET_KEY", SECRET),
    ("AUTH_SERVICE_API_KEY", "auth-key"),
    ("PASSWORD_ITERATIONS", "100000"),
    ("SERVICE_PORT", "0"),
];

pub struct Scene {
    // Dropped in this order: what uses it first.
    pub running: Running,
    pub cluster: Cluster,
    directory: PrivateDirectory,
}

impl Scene {
    pub async fn new(variables: &[(&str, &str)]) -> Self {
        let (directory, cluster) = cluster().await;
        let running = start(&cluster, variables).await;
        Self {
            running,
            cluster,
            directory,
        }
    }

    /// Where anything may be written.
    pub fn directory(&self) -> &PrivateDirectory {
        &self.directory
    }

    pub fn port(&self) -> u16 {
        match self.running.address() {
            Address::Tcp { port, .. } => *port,
            Address::Unix { .. } => panic!("not on TCP"),
        }
    }

    pub async fn send(&self, line: &str, headers: &str, body: &str) -> Answer {
        send(self.running.address(), line, headers, body).await
    }

    pub async fn get(&self, path: &str, token: &str) -> Answer {
        self.send(&format!("GET {path}"), &bearer(token), "").await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_by(path, "", body).await
    }

    pub async fn post_by(&self, path: &str, headers: &str, body: &Value) -> Answer {
        let headers = format!("Content-Type: application/json\r\n{headers}");
        self.send(&format!("POST {path}"), &headers, &body.to_string())
            .await
    }

    pub async fn login(&self, email: &str, password: &str) -> Answer {
        self.post(
            "/auth/login",
            &json!({ "email": email, "password": password }),
        )
        .await
    }

    pub async fn refresh(&self, token: &str) -> Answer {
        self.send("POST /auth/refresh", &bearer(token), "").await
    }

    /// Somebody new, by their name.
    pub async fn register(&self, name: &str) -> Answer {
        let answer = self.post("/auth/register", &registration(name)).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer
    }

    /// Tokens of somebody who is there.
    pub async fn tokens(&self, name: &str) -> (String, String) {
        let answer = self.login(&format!("{name}@example.com"), PASSWORD).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        pair(&answer)
    }

    /// What nobody but a superuser of the database may do.
    pub async fn sql(&self, statements: &str) {
        let client = self.cluster.superuser("identity").await.unwrap();
        let statements = format!("set search_path = identity_service; {statements}");
        client.batch_execute(&statements).await.unwrap();
    }

    /// One text out of the database.
    pub async fn text(&self, query: &str) -> String {
        let client = self.cluster.superuser("identity").await.unwrap();
        client
            .batch_execute("set search_path = identity_service")
            .await
            .unwrap();
        client.query_one(query, &[]).await.unwrap().get(0)
    }
}

pub async fn cluster() -> (PrivateDirectory, Cluster) {
    let directory = PrivateDirectory::new().unwrap();
    let mut cluster = Cluster::create(&directory, "identity", &Options::fast())
        .await
        .unwrap();
    cluster.create_role("owner", Rights::Plain).await.unwrap();
    cluster
        .create_role("identity", Rights::Plain)
        .await
        .unwrap();
    cluster.create_database("identity", "owner").await.unwrap();
    (directory, cluster)
}

/// With a role that owns the tables and another one for the service, as in
/// production.
pub fn variables(cluster: &Cluster, more: &[(&str, &str)]) -> Vec<(String, String)> {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let mut all: Vec<_> = more.iter().chain(USUAL).map(own).collect();
    let url = |role| cluster.url(role, "identity").unwrap();
    all.push(("DATABASE_URL".to_owned(), url("identity")));
    all.push(("DATABASE_OWNER_URL".to_owned(), url("owner")));
    all
}

pub async fn start(cluster: &Cluster, more: &[(&str, &str)]) -> Running {
    let variables = variables(cluster, more);
    let lookup = |name: &str| {
        let found = variables.iter().find(|(variable, _)| variable == name);
        found.map(|(_, value)| value.clone())
    };
    let (common, own) = settings::read::<(settings::Server, Settings)>(&IDENTITY, &lookup).unwrap();
    let kit = Kit::new(IDENTITY, common);
    let service = identity::assemble(kit.clone(), own).await.unwrap();
    kit::server::start(kit, service).await.unwrap()
}

/// The body of seed 000, for another name.
pub fn registration(name: &str) -> Value {
    json!({
        "username": name,
        "email": format!("{name}@example.com"),
        "password": PASSWORD,
        "first_name": "Test",
        "last_name": "User",
    })
}

pub fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

/// Access token and refresh token.
pub fn pair(answer: &Answer) -> (String, String) {
    let body = answer.json();
    let text = |name: &str| body[name].as_str().unwrap().to_owned();
    (text("access_token"), text("refresh_token"))
}

/// All that could tell two apart but what every answer has of its own.
pub fn anonymous(answer: &Answer) -> (u16, Vec<String>, Value) {
    let mut body = answer.json();
    body["correlation_id"] = Value::Null;
    let is_own = |line: &str| {
        ["date:", "x-correlation-id:"]
            .iter()
            .any(|own| line.starts_with(own))
    };
    let head = answer
        .head
        .lines()
        .filter(|line| !is_own(line))
        .map(str::to_owned);
    (answer.status, head.collect(), body)
}

pub async fn send(address: &Address, line: &str, headers: &str, body: &str) -> Answer {
    let Address::Tcp { host, port } = address else {
        panic!("not on TCP")
    };
    let stream = TcpStream::connect((host.as_str(), *port)).await.unwrap();
    let length = body.len();
    let text = format!(
        "{line} HTTP/1.1\r\nHost: identity\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    );
    talk(stream, text.as_bytes()).await.unwrap()
}
