//! Prometheus' files, by its own tool. A case in `tests/cases` lets it run.

use crate::{deploy, succeeds, yaml};
use testbed::process::Spec;
use testbed::set::members::MEMBERS;

fn promtool(arguments: &[&str], file: &str) -> Spec {
    Spec::new("promtool", "promtool")
        .args(arguments)
        .arg(deploy(file))
}

#[tokio::test]
async fn rules_are_sound_and_alerts_fire_and_clear() {
    succeeds(promtool(&["check", "config"], "prometheus/prometheus.yml")).await;
    for file in ["recording", "alerts"] {
        let file = format!("prometheus/rules/{file}.yml");
        succeeds(promtool(&["check", "rules", "--lint-fatal"], &file)).await;
    }
    succeeds(promtool(&["test", "rules"], "prometheus/tests/alerts.yml")).await;
}

#[test]
fn every_alert_of_the_seeds_is_there_and_is_tested() {
    let rules = yaml("prometheus/rules/alerts.yml");
    let tests = crate::read("prometheus/tests/alerts.yml");
    let groups = rules["groups"].as_array().unwrap().iter();
    let alerts: Vec<&str> = groups
        .flat_map(|group| group["rules"].as_array().unwrap())
        .map(|rule| rule["alert"].as_str().unwrap())
        .collect();
    let seeds = [
        "HighErrorRateNewServices",
        "ServiceDown",
        "HighResponseTime",
        "ServiceMigrationHighErrorRate",
        "DataSyncDelay",
    ];
    // Beside those of the seeds, what only Banyan knows.
    let all = [&seeds[..], &["SlotKeepsLog", "StreamNotWell"]].concat();
    assert_eq!(alerts, all);
    for alert in alerts {
        assert!(tests.contains(&format!("alertname: {alert}")), "{alert}");
    }
}

#[test]
fn every_service_is_scraped_at_its_port_under_its_name() {
    let file = yaml("prometheus/prometheus.yml");
    let jobs = file["scrape_configs"].as_array().unwrap().iter();
    let targets: Vec<(String, String)> = jobs
        .flat_map(|job| job["static_configs"].as_array().unwrap())
        .map(|group| {
            let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
            (
                text(&group["targets"][0]),
                text(&group["labels"]["service"]),
            )
        })
        .collect();
    let members = MEMBERS
        .iter()
        .map(|it| (format!("{}:{}", it.name, it.port), it.name.to_owned()));
    let gateway = ("gateway:7600".to_owned(), "gateway".to_owned());
    let wanted: Vec<(String, String)> = members.chain([gateway]).collect();
    assert_eq!(targets, wanted);
}
