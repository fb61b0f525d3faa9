//! A private cluster, the service under test, and what it is told.

use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use testbed::cluster::{Cluster, Options, Rights};
use testbed::deadline;
use testbed::directory::PrivateDirectory;
use testbed::ports;
use testbed::process::{Process, Spec};
pub use testbed::raw_http::Answer;
use testbed::raw_http::talk;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::net::TcpStream;
use tokio_postgres::types::FromSqlOwned;

pub const PATIENCE: Duration = Duration::from_mins(1);
pub const KEY: &str = "test-analytics-key";
const SERVICE_SECRET: &str = "test-service-secret-of-some-length-01234";
const JWT_SECRET: &str = "test-jwt-secret-of-some-length-0123456789";

pub struct Scene {
    // Dropped in this order: what uses it first.
    service: Option<Process>,
    pub cluster: Cluster,
    pub port: u16,
    variables: Vec<(String, String)>,
    pub directory: PrivateDirectory,
}

impl Scene {
    pub async fn new() -> Self {
        Self::with(&[]).await
    }

    /// With these settings beside the usual ones.
    pub async fn with(variables: &[(&str, &str)]) -> Self {
        let directory = PrivateDirectory::new().unwrap();
        let mut cluster = Cluster::create(&directory, "db", &Options::fast())
            .await
            .unwrap();
        for role in ["analytics_owner", "analytics_app"] {
            cluster.create_role(role, Rights::Plain).await.unwrap();
        }
        cluster
            .create_database("analytics", "analytics_owner")
            .await
            .unwrap();
        let port = ports::free().unwrap();
        let url = |role| cluster.url(role, "analytics").unwrap();
        let usual = [
            ("DATABASE_URL", url("analytics_app")),
            ("DATABASE_OWNER_URL", url("analytics_owner")),
            ("SERVICE_PORT", port.to_string()),
            ("ANALYTICS_SERVICE_API_KEY", KEY.to_owned()),
            ("JWT_SECRET_KEY", JWT_SECRET.to_owned()),
            ("SERVICE_TOKEN_SECRET", SERVICE_SECRET.to_owned()),
            ("ANALYTICS_ROLLUP_INTERVAL", "0.05".to_owned()),
            ("LOG_LEVEL", "debug".to_owned()),
        ];
        let more = variables
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()));
        let variables = usual
            .into_iter()
            .chain(more)
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        let mut scene = Self {
            service: None,
            cluster,
            port,
            variables,
            directory,
        };
        // As the README says.
        scene
            .sql("alter role analytics_app set search_path = analytics_service")
            .await;
        scene.start().await;
        scene
    }

    pub fn spec(&self, name: &str) -> Spec {
        let spec = Spec::new(name, env!("CARGO_BIN_EXE_analytics"));
        let set = |spec: Spec, (name, value): &(String, String)| spec.env(name, value);
        self.variables.iter().fold(spec, set)
    }

    pub async fn start(&mut self) {
        let spec = self.spec("analytics");
        let service = Process::start(&spec, &self.directory.path().join("logs")).unwrap();
        self.service = Some(service);
        self.until_ready().await;
    }

    pub async fn until_ready(&mut self) {
        let port = self.port;
        let service = self.service.as_mut().unwrap();
        deadline::until("the service", PATIENCE, async || {
            service.ensure_running()?;
            let Ok(stream) = TcpStream::connect(("127.0.0.1", port)).await else {
                return Ok(None);
            };
            let text = b"GET /health/ready HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
            let answer = talk(stream, text).await?;
            Ok((answer.status == 200).then_some(()))
        })
        .await
        .unwrap();
    }

    /// SIGKILL.
    pub async fn kill(&mut self) {
        self.service.take().unwrap().kill().await;
    }

    pub async fn stop(&mut self) {
        let exit = self.service.take().unwrap().stop().await;
        assert_eq!(exit.code, 0);
    }

    pub fn log(&self) -> String {
        let file = self.directory.path().join("logs/analytics.log");
        std::fs::read_to_string(file).unwrap()
    }

    /// What only a superuser of the database may do.
    pub async fn sql(&self, statements: &str) {
        let client = self.cluster.superuser("analytics").await.unwrap();
        let statements = format!("set search_path = analytics_service; {statements}");
        client.batch_execute(&statements).await.unwrap();
    }

    /// One value out of the database.
    pub async fn value<T: FromSqlOwned>(&self, query: &str) -> T {
        let client = self.cluster.superuser("analytics").await.unwrap();
        let path = "set search_path = analytics_service; set timezone = 'UTC'";
        client.batch_execute(path).await.unwrap();
        client.query_one(query, &[]).await.unwrap().get(0)
    }

    /// Waits until all that came is rolled up.
    pub async fn until_rolled_up(&self) {
        deadline::until("the roll-ups", PATIENCE, async || {
            let notes: i64 = self.value("select count(*) from arrivals").await;
            Ok((notes == 0).then_some(()))
        })
        .await
        .unwrap();
    }

    /// Reports; what became of it.
    pub async fn report(&self, requests: &[Value], resources: &[Value]) -> Value {
        let body = json!({ "requests": requests, "resources": resources });
        let answer = self.post("/analytics/metrics", "", &body).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        answer.json()
    }

    pub async fn post(&self, path: &str, headers: &str, body: &Value) -> Answer {
        post(self.port, path, headers, body).await
    }

    /// An answer to a reader.
    pub async fn read(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    pub async fn get(&self, path: &str) -> Answer {
        let key = format!("X-API-Key: {KEY}\r\n");
        self.send(&format!("GET {path}"), &key, "").await
    }

    pub async fn send(&self, line: &str, headers: &str, body: &str) -> Answer {
        send(self.port, line, headers, body).await
    }
}

/// As a service, with its key.
pub async fn post(port: u16, path: &str, headers: &str, body: &Value) -> Answer {
    let headers = format!("X-API-Key: {KEY}\r\nContent-Type: application/json\r\n{headers}");
    send(port, &format!("POST {path}"), &headers, &body.to_string()).await
}

async fn send(port: u16, line: &str, headers: &str, body: &str) -> Answer {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let length = body.len();
    let text = format!(
        "{line} HTTP/1.1\r\nHost: analytics\r\nConnection: close\r\n\
         Content-Length: {length}\r\n{headers}\r\n{body}"
    );
    talk(stream, text.as_bytes()).await.unwrap()
}

/// The beginning of a minute, so many minutes ago.
pub fn minutes_ago(minutes: i64) -> OffsetDateTime {
    let now = OffsetDateTime::now_utc().unix_timestamp();
    OffsetDateTime::from_unix_timestamp(now.div_euclid(60) * 60 - minutes * 60).unwrap()
}

pub fn text(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap()
}

/// A request that the service `auth` answered.
pub fn request(at: OffsetDateTime, endpoint: &str, status: u16, time: f64) -> Value {
    json!({
        "at": text(at), "service": "auth", "endpoint": endpoint, "method": "GET",
        "status": status, "response_time": time,
    })
}

/// A user's token, good for ten minutes.
pub fn token(roles: &[&str]) -> String {
    let claims = json!({ "sub": "7", "roles": roles });
    format!(
        "Authorization: Bearer {}\r\n",
        signed(claims, JWT_SECRET, 600)
    )
}

/// The token of the service `gateway` for one request.
pub fn service_token(method: &str, path: &str) -> String {
    let claims = json!({ "iss": "gateway", "aud": "analytics", "htm": method, "htu": path });
    signed(claims, SERVICE_SECRET, 60)
}

fn signed(mut claims: Value, secret: &str, seconds: i64) -> String {
    let now = OffsetDateTime::now_utc().unix_timestamp();
    claims["iat"] = json!(now);
    claims["exp"] = json!(now + seconds);
    let key = EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).unwrap()
}
