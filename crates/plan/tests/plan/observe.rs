//! What the plan says about logs, traces and the gateway's own pages.

use plan::{LogTarget, Observe, Plan, PlanError};

fn observe(gateway: &str) -> Result<Observe, PlanError> {
    let text = format!(
        r#"monolith: {{ url: "http://127.0.0.1:8000" }}
services: {{}}
gateway:
  listen: "127.0.0.1:8080"
  routes: {{ all: {{ to: monolith, path: /* }} }}
{gateway}
extractions: {{}}
"#
    );
    let plan = Plan::parse(&text, |name| {
        (name == "COLLECTOR").then(|| "http://c:4318/".to_owned())
    })?;
    Ok(plan.gateway.observe)
}

#[test]
fn nothing_is_told_unless_asked() {
    assert_eq!(observe("").unwrap(), Observe::default());
}

#[test]
fn everything_can_be_asked_for() {
    let told = observe(
        r#"  access-log: { path: /var/log/banyan.log, format: json, query: true }
  tracing: { endpoint: "${COLLECTOR}", sample: 0.5%, service-name: shop }
  metrics: { native-histograms: true }
  status: { health: /health, registry: /registry }"#,
    )
    .unwrap();
    let log = told.access_log.unwrap();
    assert_eq!(log.to, LogTarget::File("/var/log/banyan.log".into()));
    assert!(log.query && told.native_histograms);
    let tracing = told.tracing.unwrap();
    assert_eq!(tracing.endpoint.as_str(), "http://c:4318/v1/traces");
    assert_eq!(tracing.sample.to_string(), "0.5%");
    assert_eq!(tracing.service_name, "shop");
    assert_eq!(told.status.health, ["/health"]);
    let plain = observe("  access-log: { path: stdout }\n  tracing: { endpoint: \"http://c/x\" }");
    let plain = plain.unwrap();
    assert_eq!(plain.access_log.unwrap().to, LogTarget::Stdout);
    let tracing = plain.tracing.unwrap();
    assert_eq!(tracing.endpoint.as_str(), "http://c/x");
    assert_eq!(tracing.sample.to_string(), "1%");
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    for (gateway, problem) in [
        ("  access-log: { path: \"\" }", "there is no path"),
        ("  access-log: { path: x, format: csv }", "csv"),
        ("  access-log: { path: x, headers: true }", "headers"),
        (
            "  tracing: { endpoint: \"https://c:4318\" }",
            "only http://",
        ),
        ("  tracing: { endpoint: \"http://u:p@c\" }", "a password"),
        (
            "  tracing: { endpoint: \"http://c\", sample: 2 }",
            "no share",
        ),
        ("  status: { health: health }", "no page"),
        ("  status: { health: \"/%68\" }", "no page"),
    ] {
        let error = observe(gateway).unwrap_err().to_string();
        assert!(error.contains(problem), "{gateway}: {error}");
        assert!(error.contains("line 6") || error.contains("6:"), "{error}");
    }
}
