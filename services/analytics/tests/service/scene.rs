//! A private cluster, the service under test, and what it is told.

use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use testbed::deadline;
use testbed::ports;
use testbed::process::{Process, Spec};
use testbed::raw_http;
pub use testbed::raw_http::Answer;
use testbed::service_bed::ServiceBed;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio_postgres::types::FromSqlOwned;

pub const TIMEOUT: Duration = Duration::from_mins(1);
pub const KEY: &str = "test-analytics-key";
const SERVICE_SECRET: &str = "test-service-secret-of-some-length-01234";
const JWT_SECRET: &str = "test-jwt-secret-of-some-length-0123456789";

pub struct Scene {
    // Dropped in this order: what uses it first.
    service: Option<Process>,
    pub bed: ServiceBed,
    pub port: u16,
}

impl Scene {
    pub async fn new() -> Self {
        Self::with(&[]).await
    }

    /// With these settings beside the usual ones.
    pub async fn with(variables: &[(&str, &str)]) -> Self {
        let program = env!("CARGO_BIN_EXE_analytics");
        let mut bed = ServiceBed::create("analytics", program).await.unwrap();
        bed.set(&[
            ("ANALYTICS_SERVICE_API_KEY", KEY),
            ("JWT_SECRET_KEY", JWT_SECRET),
            ("SERVICE_TOKEN_SECRET", SERVICE_SECRET),
            ("ANALYTICS_ROLLUP_INTERVAL", "0.05"),
        ]);
        bed.set(variables);
        let mut scene = Self {
            service: None,
            bed,
            port: ports::free().unwrap(),
        };
        // As the README says.
        scene
            .sql("alter role analytics_app set search_path = analytics_service")
            .await;
        scene.start().await;
        scene
    }

    pub fn spec(&self, name: &str) -> Spec {
        self.bed.spec(name, self.port)
    }

    pub async fn start(&mut self) {
        let service = self.bed.start("analytics", self.port).await;
        self.service = Some(service.unwrap());
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
        self.bed.log("analytics").unwrap()
    }

    pub async fn sql(&self, statements: &str) {
        self.bed.sql(statements).await.unwrap();
    }

    pub async fn value<T: FromSqlOwned>(&self, query: &str) -> T {
        self.bed.value(query).await.unwrap()
    }

    /// Waits until all that came is rolled up.
    pub async fn until_rolled_up(&self) {
        deadline::until("the roll-ups", TIMEOUT, async || {
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
    raw_http::send(port, line, headers, body).await.unwrap()
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
