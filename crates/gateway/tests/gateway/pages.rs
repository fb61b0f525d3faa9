//! The gateway's own pages.

use crate::{access::ask, support::*};
use serde_json::Value;

const STATUS: &str =
    "  status: { health: /health, health-also: [/api/health], registry: /registry }";

fn operators(name: &str) -> Option<String> {
    (name == "GATEWAY_API_KEY").then(|| "staging-gateway-key".to_owned())
}

async fn bed() -> Bed {
    let knobs = Knobs {
        gateway: STATUS,
        environment: operators,
        ..Knobs::default()
    };
    Bed::unpublished(knobs).await
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_that_of_the_upstreams_and_for_everybody() {
    let bed = bed().await;
    let answer = ask(&bed, "GET", "/health", &[]).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let page: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(page["status"], "healthy");
    assert_eq!(page["services"]["monolith"]["status"], "healthy");
    assert_eq!(page["services"]["contracts"]["status"], "healthy");
    let also = ask(&bed, "GET", "/api/health", &[]).await;
    assert_eq!((also.status, &also.body), (200, &answer.body));
    assert_eq!(bed.monolith.count(), 0, "no upstream is asked");
    // Only these, and only to look at.
    assert_eq!(ask(&bed, "GET", "/health/x", &[]).await.body, "monolith");
    assert_eq!(ask(&bed, "POST", "/health", &[]).await.body, "monolith");
}

#[tokio::test(flavor = "multi_thread")]
async fn health_tells_some_down_from_all_down() {
    let bed = bed().await;
    bed.publish(1, TO_SERVICE, 0);
    let status = async |code: u16, status: &str| {
        let answer = ask(&bed, "GET", "/health", &[]).await;
        let page: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!((answer.status, &page["status"]), (code, &status.into()));
    };
    bed.monolith.answer_with(502);
    ask(&bed, "GET", "/", &[]).await;
    status(200, "degraded").await;
    bed.service.answer_with(502);
    ask(&bed, "GET", "/api/contracts", &[]).await;
    status(503, "unhealthy").await;
    bed.monolith.answer_with(200);
    ask(&bed, "GET", "/", &[]).await;
    status(200, "degraded").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_registry_lists_upstreams_to_operators_only() {
    let bed = bed().await;
    let key = [("x-api-key", "staging-gateway-key")];
    let answer = ask(&bed, "GET", "/registry", &key).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let page: Value = serde_json::from_str(&answer.body).unwrap();
    let services = page["services"].as_array().unwrap();
    assert_eq!(services.len(), 2, "{page}");
    assert_eq!(services[0]["name"], "monolith");
    assert_eq!(services[1]["name"], "contracts");
    let url = format!("http://{}", bed.service.address);
    assert_eq!(services[1]["instances"][0]["url"], url);
    assert_eq!(services[1]["instances"][0]["status"], "healthy");
    for (headers, reason) in [
        (&[][..], "no-key"),
        (&[("x-api-key", "staging-gateway-ke")], "bad-key"),
    ] {
        let answer = ask(&bed, "GET", "/registry", headers).await;
        assert_eq!(answer.status, 401, "{answer:?}");
        assert!(answer.body.contains(reason), "{answer:?}");
        assert!(!answer.body.contains("127.0.0.1"), "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_plan_there_are_no_pages() {
    let bed = Bed::unpublished(Knobs::default()).await;
    for path in ["/health", "/registry"] {
        assert_eq!(ask(&bed, "GET", path, &[]).await.body, "monolith");
    }
}
