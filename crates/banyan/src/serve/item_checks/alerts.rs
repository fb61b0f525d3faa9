//! Whether Prometheus has loaded the alerts of a migration.

use super::answer::{Answer, failed, passed, skipped};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use plan::{Data, ExtractionName, Plan};
use serde::Deserialize;
use std::time::Duration;

/// Those of `deploy/prometheus/rules/alerts.yml` that watch any extraction.
const OF_TRAFFIC: &[&str] = &["ServiceMigrationHighErrorRate"];

/// And those that watch one whose data move.
const OF_STREAMS: &[&str] = &["DataSyncDelay", "SlotKeepsLog", "StreamNotWell"];

/// How long Prometheus may take, and how much it may say.
const TIMEOUT: Duration = Duration::from_secs(10);
const BODY_BYTES_MAX: usize = 16 << 20;

#[derive(Deserialize)]
struct Reply {
    data: Groups,
}

#[derive(Deserialize)]
struct Groups {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    health: String,
}

pub(super) async fn check(plan: &Plan, extraction: &ExtractionName) -> Answer {
    let Some(prometheus) = &plan.checklists.prometheus else {
        return skipped(
            "the plan has no `checklists.prometheus`. Give it one, or attest which alerts watch \
             the migration",
        );
    };
    let moves = plan.extractions.get(extraction);
    let moves = moves.is_some_and(|one| one.data != Data::Shared);
    match rules(prometheus.as_str()).await {
        Ok(reply) => judge(&reply, moves),
        Err(why) => failed(why),
    }
}

/// Whether there is a Prometheus that says which rules it has; the error says why not.
pub(crate) async fn reach(prometheus: &str) -> Result<(), String> {
    rules(prometheus).await.map(drop)
}

async fn rules(prometheus: &str) -> Result<Reply, String> {
    let address = format!("{}/api/v1/rules", prometheus.trim_end_matches('/'));
    match tokio::time::timeout(TIMEOUT, ask(&address)).await {
        Err(_) => Err(format!("{address} did not answer in {TIMEOUT:?}")),
        Ok(Err(why)) => Err(format!("{address}: {why}")),
        Ok(Ok(body)) => serde_json::from_slice(&body)
            .map_err(|error| format!("{address} answered what is no list of rules: {error}")),
    }
}

async fn ask(address: &str) -> Result<Bytes, String> {
    let uri = address.parse().map_err(|error| format!("{error}"))?;
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let response = client.get(uri).await;
    let response = response.map_err(|error| format!("it does not answer ({error})"))?;
    let status = response.status();
    if !status.is_success() {
        return Err(format!("it answered {status}"));
    }
    let body = Limited::new(response.into_body(), BODY_BYTES_MAX);
    let body = body.collect().await;
    Ok(body.map_err(|error| error.to_string())?.to_bytes())
}

fn judge(reply: &Reply, moves: bool) -> Answer {
    let rules: Vec<_> = reply
        .data
        .groups
        .iter()
        .flat_map(|one| &one.rules)
        .collect();
    let streams = OF_STREAMS.iter().filter(|_| moves);
    let wanted: Vec<&str> = OF_TRAFFIC.iter().chain(streams).copied().collect();
    let is_well = |name: &&str| {
        let mut alerts = rules.iter().filter(|rule| rule.kind == "alerting");
        alerts.any(|rule| rule.name == *name && rule.health != "err")
    };
    let missing: Vec<_> = wanted
        .iter()
        .copied()
        .filter(|name| !is_well(name))
        .collect();
    if missing.is_empty() {
        return passed(format!("loaded: {}", wanted.join(", ")));
    }
    failed(format!(
        "not loaded, or cannot be evaluated: {}. They are in deploy/prometheus/rules/alerts.yml",
        missing.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::checklist::CheckResult;

    const RULES: &str = include_str!("../../../../../deploy/prometheus/rules/alerts.yml");

    #[test]
    fn the_alerts_that_are_asked_for_are_those_that_are_shipped() {
        for name in OF_TRAFFIC.iter().chain(OF_STREAMS) {
            assert!(RULES.contains(&format!("- alert: {name}\n")), "{name}");
        }
    }

    #[test]
    fn an_alert_that_cannot_be_evaluated_is_not_loaded() {
        let rule = |name: &str, health: &str| {
            format!(r#"{{ "name": "{name}", "type": "alerting", "health": "{health}" }}"#)
        };
        let reply = |rules: &[String]| {
            let rules = rules.join(",");
            format!(
                r#"{{ "status": "success", "data": {{ "groups": [{{ "rules": [{rules}] }}] }} }}"#
            )
        };
        let names = OF_TRAFFIC.iter().chain(OF_STREAMS);
        let mut all: Vec<_> = names.map(|name| rule(name, "ok")).collect();
        let result =
            |rules: &[String], moves| judge(&serde_json::from_str(&reply(rules)).unwrap(), moves);
        assert_eq!(result(&all, true).0, CheckResult::Passed);
        all[3] = rule("StreamNotWell", "err");
        let (found, text) = result(&all, true);
        assert_eq!(found, CheckResult::Failed);
        assert!(
            text.contains("StreamNotWell") && !text.contains("DataSync"),
            "{text}"
        );
        assert_eq!(result(&all[..1], false).0, CheckResult::Passed);
        assert!(serde_json::from_str::<Reply>("<html>").is_err());
    }
}
