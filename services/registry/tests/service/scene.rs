//! A private cluster and instances of the service under test.

use std::time::Duration;

use serde_json::{Value, json};
use testbed::cluster::Options;
use testbed::deadline;
use testbed::ports;
use testbed::process::{Process, Signal};
use testbed::raw_http;
pub use testbed::raw_http::Answer;
use testbed::service_bed::ServiceBed;

pub const TIMEOUT: Duration = Duration::from_mins(1);
pub const KEY: &str = "test-registry-key";
pub const SERVICE_SECRET: &str = "a secret of services that is long enough";
pub const JWT_SECRET: &str = "a secret of users that is long enough too";

pub struct Scene {
    // Dropped in this order: what uses it first.
    processes: Vec<Option<Process>>,
    pub registries: Vec<Registry>,
    pub bed: ServiceBed,
}

/// One instance of the registry, as others see it.
#[derive(Debug, Clone, Copy)]
pub struct Registry {
    pub port: u16,
}

impl Scene {
    pub async fn new() -> Self {
        Self::with(&[]).await
    }

    /// With one instance, and these settings beside the usual ones.
    pub async fn with(variables: &[(&str, &str)]) -> Self {
        let program = env!("CARGO_BIN_EXE_registry");
        let mut bed = ServiceBed::create("registry", program).await.unwrap();
        bed.set(&[
            ("REGISTRY_SERVICE_API_KEY", KEY),
            ("SERVICE_TOKEN_SECRET", SERVICE_SECRET),
            ("JWT_SECRET_KEY", JWT_SECRET),
            ("REGISTRY_EXTERNAL", "any"),
        ]);
        bed.set(variables);
        let mut scene = Self {
            processes: Vec::new(),
            registries: Vec::new(),
            bed,
        };
        scene.add().await;
        scene
    }

    /// One more instance of the registry on the same database.
    pub async fn add(&mut self) -> Registry {
        let registry = Registry {
            port: ports::free().unwrap(),
        };
        self.registries.push(registry);
        self.processes.push(None);
        self.start(self.registries.len() - 1).await;
        registry
    }

    /// The first instance.
    pub fn registry(&self) -> Registry {
        self.registries[0]
    }

    pub async fn start(&mut self, number: usize) {
        let port = self.registries[number].port;
        let process = self.bed.start(&name(number), port).await;
        self.processes[number] = Some(process.unwrap());
    }

    pub async fn kill(&mut self, number: usize) {
        self.processes[number].take().unwrap().kill().await;
    }

    pub fn signal(&mut self, number: usize, signal: Signal) {
        self.processes[number].as_mut().unwrap().signal(signal);
    }

    pub async fn stop(&mut self, number: usize) {
        let exit = self.processes[number].take().unwrap().stop().await;
        assert_eq!(exit.code, 0);
    }

    /// The database comes back, and the first registry is told by each of its
    /// connections.
    pub async fn revive_database(&mut self) {
        self.bed.cluster.restart(&Options::fast()).await.unwrap();
        let registry = self.registry();
        let ask = || registry.call("GET /registry/services?name=nobody");
        let is_back = async || {
            // As many at once as it has connections: of those that the old
            // server had, each may fail once.
            let asked = futures_util::future::join_all((0..10).map(|_| ask())).await;
            Ok(asked
                .iter()
                .all(|answer| answer.status == 200)
                .then_some(()))
        };
        deadline::until("the registry to be back", TIMEOUT, is_back)
            .await
            .unwrap();
    }

    pub async fn sql(&self, statements: &str) {
        self.bed.sql(statements).await.unwrap();
    }

    pub fn log(&self, number: usize) -> String {
        self.bed.log(&name(number)).unwrap()
    }
}

fn name(number: usize) -> String {
    format!("registry-{number}")
}

/// What a service tells of itself.
pub fn told(name: &str, url: &str, ttl_seconds: u32) -> Value {
    json!({ "name": name, "url": url, "ttl_seconds": ttl_seconds })
}

impl Registry {
    pub fn url(self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A request that says exactly this.
    pub async fn send(self, line: &str, headers: &str, body: &str) -> Answer {
        let answer = raw_http::send(self.port, line, headers, body).await;
        answer.unwrap()
    }

    /// By the key, without a body.
    pub async fn call(self, line: &str) -> Answer {
        self.send(line, &format!("X-API-Key: {KEY}\r\n"), "").await
    }

    /// By the key, with a JSON body.
    pub async fn tell(self, line: &str, body: &str) -> Answer {
        let headers = format!("X-API-Key: {KEY}\r\nContent-Type: application/json\r\n");
        self.send(line, &headers, body).await
    }

    /// Something that must be there.
    pub async fn get(self, path: &str) -> Value {
        let answer = self.call(&format!("GET {path}")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    /// Registers an instance; its id.
    pub async fn register(self, told: &Value) -> String {
        let answer = self
            .tell("POST /registry/services", &told.to_string())
            .await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()["id"].as_str().unwrap().to_owned()
    }

    pub async fn heartbeat(self, id: &str) -> u16 {
        let line = format!("PUT /registry/services/{id}/heartbeat");
        self.call(&line).await.status
    }

    /// The addresses of a service.
    pub async fn urls(self, name: &str) -> Vec<String> {
        let found = self.get(&format!("/registry/services?name={name}")).await;
        let found = found.as_array().unwrap().iter();
        found
            .map(|one| one["url"].as_str().unwrap().to_owned())
            .collect()
    }

    pub async fn until_urls(self, name: &str, urls: &[&str]) {
        let what = format!("{name} to be at {urls:?}");
        let condition = async || Ok((self.urls(name).await == urls).then_some(()));
        deadline::until(&what, TIMEOUT, condition).await.unwrap();
    }

    /// Registers an external service; its path.
    pub async fn external(self, told: &Value) -> String {
        let answer = self
            .tell("POST /registry/external", &told.to_string())
            .await;
        assert_eq!(answer.status, 201, "{answer:?}");
        format!(
            "/registry/external/{}",
            answer.json()["id"].as_str().unwrap()
        )
    }

    /// Waits until what is at a path holds a condition.
    pub async fn until(self, path: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let condition = async || {
            let answer = self.call(&format!("GET {path}")).await;
            Ok(Some(answer.json()).filter(|value| answer.status == 200 && holds(value)))
        };
        deadline::until(what, TIMEOUT, condition).await.unwrap()
    }
}
