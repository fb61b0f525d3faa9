//! A real Prometheus that scrapes the set, by the files of `deploy/prometheus`
//! with this machine's addresses.

use super::members::MEMBERS;
use super::ports::Ports;
use crate::binaries;
use crate::deadline;
use crate::http_client::{self, Call};
use crate::process::{Exit, Process, Spec};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::time::Duration;
use url::form_urlencoded::byte_serialize;

const START_LIMIT: Duration = Duration::from_secs(30);
const QUERY_LIMIT: Duration = Duration::from_secs(10);
/// How often the deployed one scrapes and evaluates.
const INTERVAL: &str = "15s";

/// How fast it goes.
#[derive(Debug, Clone)]
pub struct Pace {
    /// How often it scrapes and evaluates.
    pub interval: &'static str,
    /// For how long a condition must hold before its alert fires; as the rules
    /// say where there is none.
    pub hold: Option<&'static str>,
}

/// A running Prometheus. Dropping it stops it.
#[derive(Debug)]
pub struct Prometheus {
    process: Process,
    url: String,
}

impl Prometheus {
    /// Starts one that keeps its data in `home` and waits until it is ready.
    pub async fn start(home: &Path, ports: &Ports, pace: &Pace, logs: &Path) -> Result<Self> {
        let deploy = binaries::repository().join("deploy/prometheus");
        let rules = home.join("rules");
        fs::create_dir_all(&rules)?;
        let text = fs::read_to_string(deploy.join("prometheus.yml"))?;
        fs::write(home.join("prometheus.yml"), rendered(&text, ports, pace))?;
        for file in fs::read_dir(deploy.join("rules"))? {
            let file = file?;
            let text = hastened(&fs::read_to_string(file.path())?, pace.hold);
            fs::write(rules.join(file.file_name()), text)?;
        }
        let url = ports.url("prometheus");
        let spec = Spec::new("prometheus", "prometheus")
            .arg(format!(
                "--config.file={}",
                home.join("prometheus.yml").display()
            ))
            .arg(format!(
                "--storage.tsdb.path={}",
                home.join("data").display()
            ))
            .arg(format!(
                "--web.listen-address={}",
                url.trim_start_matches("http://")
            ));
        let mut process = Process::start(&spec, logs)?;
        http_client::until_healthy(&url, "/-/ready", START_LIMIT, || process.ensure_running())
            .await
            .with_context(|| process.log_tail())?;
        Ok(Self { process, url })
    }

    /// Its address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What a query finds now: series with their labels and values.
    pub async fn query(&self, query: &str) -> Result<Vec<Value>> {
        let text: String = byte_serialize(query.as_bytes()).collect();
        let path = format!("/api/v1/query?query={text}");
        let answer = http_client::call(&self.url, &Call::get(path), QUERY_LIMIT).await?;
        let document = answer.json();
        match document["data"]["result"].as_array() {
            Some(found) if document["status"] == "success" => Ok(found.clone()),
            _ => bail!("`{query}`: {}", answer.body_head()),
        }
    }

    /// Waits until a query finds something.
    pub async fn until_found(&self, query: &str, limit: Duration) -> Result<Vec<Value>> {
        deadline::until(&format!("`{query}` to find something"), limit, async || {
            let found = self.query(query).await?;
            Ok((!found.is_empty()).then_some(found))
        })
        .await
    }

    /// The alerts that fire, each with its labels.
    pub async fn firing(&self) -> Result<Vec<Value>> {
        let call = Call::get("/api/v1/alerts");
        let answer = http_client::call(&self.url, &call, QUERY_LIMIT)
            .await?
            .json();
        let alerts = answer["data"]["alerts"].as_array().cloned();
        let alerts = alerts.context("Prometheus lists no alerts")?;
        let firing = alerts
            .into_iter()
            .filter(|alert| alert["state"] == "firing");
        Ok(firing.collect())
    }

    /// Ends it.
    pub async fn stop(mut self) -> Exit {
        self.process.stop().await
    }
}

/// The configuration with this machine's addresses in the place of the names
/// that containers have.
fn rendered(text: &str, ports: &Ports, pace: &Pace) -> String {
    let members = MEMBERS.iter().map(|it| (it.name, it.name, it.port));
    let targets = members.chain([("control", "gateway", 7600)]);
    let text = text.replace(INTERVAL, pace.interval);
    targets.fold(text, |text, (part, host, port)| {
        let here = format!("\"127.0.0.1:{}\"", ports.of(part));
        text.replace(&format!("\"{host}:{port}\""), &here)
    })
}

/// Rules whose alerts fire after another time.
fn hastened(text: &str, hold: Option<&str>) -> String {
    let Some(hold) = hold else {
        return text.to_owned();
    };
    let lines = text.lines().map(|line| match line.split_once("for: ") {
        Some((before, _)) if before.trim().is_empty() => format!("{before}for: {hold}\n"),
        _ => format!("{line}\n"),
    });
    lines.collect()
}
