//! A private cluster, a mail server and the service under test.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use testbed::deadline;
use testbed::mail::{self, MailServer};
use testbed::ports;
use testbed::process::Process;
use testbed::service_bed::ServiceBed;

use crate::client::{Answer, Client};

/// Longer than the lease of a delivery that nobody can finish any more: 70 s.
pub const TIMEOUT: Duration = Duration::from_secs(100);
pub const KEY: &str = "test-notification-key";
pub const JWT_SECRET: &str = "test-jwt-secret-of-some-length-0123456789";
pub const SMTP_USER: &str = "shop@example.com";
pub const SMTP_PASSWORD: &str = "s3cret-smtp";

/// How the mail server wants to be spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Plain,
    StartTls,
    Tls,
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::StartTls => "starttls",
            Self::Tls => "tls",
        }
    }
}

pub struct Scene {
    // Dropped in this order: what uses it first.
    service: Option<Process>,
    smtp: Option<MailServer>,
    pub bed: ServiceBed,
    pub client: Client,
    mode: Mode,
    port: u16,
    smtp_port: u16,
}

impl Scene {
    pub async fn new() -> Self {
        Self::with(Mode::Plain, &[]).await
    }

    /// Everything, with these settings beside the usual ones.
    pub async fn with(mode: Mode, variables: &[(&str, &str)]) -> Self {
        let program = env!("CARGO_BIN_EXE_notification");
        let bed = ServiceBed::create("notification", program).await.unwrap();
        let (port, smtp_port) = (ports::free().unwrap(), ports::free().unwrap());
        let mut scene = Self {
            service: None,
            smtp: None,
            bed,
            client: Client::new(port),
            mode,
            port,
            smtp_port,
        };
        scene.set_variables(variables);
        scene.make_certificate();
        scene.start_smtp().await;
        scene.start().await;
        scene
    }

    fn set_variables(&mut self, more: &[(&str, &str)]) {
        let smtp_port = self.smtp_port.to_string();
        self.bed.set(&[
            ("NOTIFICATION_SERVICE_API_KEY", KEY),
            ("JWT_SECRET_KEY", JWT_SECRET),
            ("SMTP_SERVER", "localhost"),
            ("SMTP_PORT", &smtp_port),
            ("SMTP_SECURITY", self.mode.name()),
            ("SMTP_FROM", "The Shop <shop@example.com>"),
            ("NOTIFICATION_RETRY", "0.05"),
            ("NOTIFICATION_BURST", "1000"),
            ("NOTIFICATION_WEBHOOKS", "any"),
        ]);
        if self.mode != Mode::Plain {
            let authorities = self.path("certificate.pem").display().to_string();
            self.bed.set(&[
                ("SMTP_CA_FILE", &authorities),
                ("SMTP_USER", SMTP_USER),
                ("SMTP_PASSWORD", SMTP_PASSWORD),
            ]);
        }
        self.bed.set(more);
    }

    fn make_certificate(&self) {
        let names = vec!["localhost".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        std::fs::write(self.path("certificate.pem"), made.cert.pem()).unwrap();
        std::fs::write(self.path("key.pem"), made.signing_key.serialize_pem()).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.bed.path(name)
    }

    pub fn logs(&self) -> PathBuf {
        self.bed.logs()
    }

    pub async fn start_smtp(&mut self) {
        let files = mail::Files {
            certificate: self.path("certificate.pem"),
            key: self.path("key.pem"),
        };
        let mode = match self.mode {
            Mode::Plain => mail::Mode::Plain,
            Mode::StartTls => mail::Mode::StartTls(files),
            Mode::Tls => mail::Mode::Tls(files),
        };
        let (mails, logs) = (self.path("mails"), self.logs());
        let smtp = MailServer::start(self.smtp_port, &mode, &mails, &logs);
        let smtp = smtp.await.unwrap();
        self.smtp = Some(smtp);
    }

    pub async fn kill_smtp(&mut self) {
        if let Some(smtp) = self.smtp.take() {
            smtp.kill().await;
        }
    }

    pub async fn start(&mut self) {
        let service = self.bed.start("notification", self.port).await;
        self.service = Some(service.unwrap());
    }

    pub async fn kill(&mut self) {
        self.service.take().unwrap().kill().await;
    }

    pub async fn stop(&mut self) {
        let exit = self.service.take().unwrap().stop().await;
        assert_eq!(exit.code, 0);
    }

    pub fn log(&self) -> String {
        self.bed.log("notification").unwrap()
    }

    /// What the mail server has taken.
    pub fn mails(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.path("mails")).unwrap_or_default();
        text.lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    pub async fn until_mails(&self, count: usize) -> Vec<Value> {
        deadline::poll(&format!("{count} mails"), TIMEOUT, || {
            let mails = self.mails();
            Ok((mails.len() >= count).then_some(mails))
        })
        .await
        .unwrap()
    }

    /// Asks for a notification; the answer's document.
    pub async fn notify(&self, body: Value) -> Value {
        let answer = self.post("/notifications", body).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        answer.json()
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.client
            .post(path)
            .key()
            .json(&body)
            .send()
            .await
            .unwrap()
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.client.get(path).key().send().await.unwrap()
    }

    /// Waits until the only delivery of a notification is in a state.
    pub async fn until_state(&self, notification: &Value, state: &str) -> Value {
        let path = format!("/notifications/{}", notification["id"].as_str().unwrap());
        deadline::until(&format!("the state {state}"), TIMEOUT, async || {
            let delivery = self.get(&path).await.json()["deliveries"][0].clone();
            Ok((delivery["state"] == state).then_some(delivery))
        })
        .await
        .unwrap()
    }
}
