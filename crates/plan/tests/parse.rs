//! What a plan is read as, and how a wrong one is refused.

use plan::{ExtractionName, PathPattern, Percent, Plan};

const GOOD: &str = r#"monolith: { url: "http://127.0.0.1:8000", database: "${MONOLITH_DATABASE_URL}" }
services:
  contracts: { url: "http://127.0.0.1:8101", database: "postgres://banyan:s%40crt@localhost:5433/contracts", health: /health/ready }
gateway: { listen: "127.0.0.1:8080", workers: 2 }
extractions:
  contracts:
    service: contracts
    routes: [{ path: /api/contracts/*, methods: [get, POST] }]
    data:
      mode: replicate
      schema: contract_service
      tables:
        public.contracts_contract: { to: contracts, columns: { seller_id: seller } }
        public.tag: {}
      writers: [web]
      references: { public.documents_document.contract_id: restrict }
    rollout: { key: { header: X-User-Id } }
    switch: { hold: 3s, drain: 500ms, held-bytes: 1MiB }
"#;

fn environment(name: &str) -> Option<String> {
    (name == "MONOLITH_DATABASE_URL").then(|| "postgres://banyan@127.0.0.1/monolith".to_owned())
}

#[test]
fn a_good_plan_is_read() {
    let plan = Plan::parse(GOOD, environment).unwrap();
    let extraction = &plan.extractions[&ExtractionName::new("contracts").unwrap()];
    let service = plan.service_of(extraction);
    assert_eq!(service.database.expose_password(), "s@crt");
    assert_eq!(plan.monolith.database.port, 5432);
    assert_eq!(
        extraction.cohort_key,
        plan::CohortKey::Header("x-user-id".to_owned())
    );
    assert_eq!(extraction.switch.hold.as_secs(), 3);
    assert_eq!(extraction.switch.held_requests, 1000);
    let contract = &extraction.data.tables[0];
    assert_eq!(contract.service.to_string(), "contract_service.contracts");
    assert_eq!(contract.service_column("seller_id"), "seller");
    assert_eq!(contract.service_column("price"), "price");
    assert_eq!(
        extraction.data.tables[1].service.to_string(),
        "contract_service.tag"
    );
    assert!(extraction.routes[0].matches("GET", None, "/api/contracts/7", |_, _| false));
    assert!(!extraction.routes[0].matches("PATCH", None, "/api/contracts/7", |_, _| false));
}

#[test]
fn passwords_are_not_shown() {
    let plan = Plan::parse(GOOD, environment).unwrap();
    let shown = format!("{plan:?}");
    assert!(
        !shown.contains("s@crt") && !shown.contains("s%40crt"),
        "{shown}"
    );
    let wrong = GOOD.replace("localhost:5433/contracts", "localhost:5433/contracts?x=1");
    let error = Plan::parse(&wrong, environment).unwrap_err().to_string();
    assert!(
        error.contains("`x`") && !error.contains("s%40crt"),
        "{error}"
    );
}

/// What is replaced, by what, and what the message must hold.
const WRONG: &[(&str, &str, &[&str])] = &[
    ("    switch:", "    swich:", &["swich", "line 18"]),
    ("mode: replicate", "mode: magic", &["magic", "line 10"]),
    (
        "service: contracts",
        "service: orders",
        &["line 7", "orders", "services:"],
    ),
    ("drain: 500ms", "drain: 3s", &["drain", "hold", "line 18"]),
    ("hold: 3s", "hold: soon", &["soon", "500ms", "line 18"]),
    (
        "/api/contracts/*",
        "api/contracts",
        &["api/contracts", "start with /", "line 8"],
    ),
    (
        "${MONOLITH_DATABASE_URL}",
        "${NOT_SET}",
        &["NOT_SET", "line 1", "environment"],
    ),
    ("public.tag: {}", "tag: {}", &["schema.table", "line 14"]),
    (
        "public.tag: {}",
        "public.tag: { to: contracts }",
        &["two tables", "line 14"],
    ),
    (
        "http://127.0.0.1:8101",
        "https://127.0.0.1:8101",
        &["only http", "line 3"],
    ),
    (
        "listen: \"127.0.0.1:8080\"",
        "listen: \"8080\"",
        &["8080", "line 4"],
    ),
    ("workers: 2", "workers: 0", &["workers", "line 4"]),
    (
        "  contracts:\n    service",
        "  Contracts!:\n    service",
        &["Contracts!", "a-z"],
    ),
    ("restrict", "ignore", &["ignore", "line 16"]),
    ("5433/contracts\"", "5433\"", &["no database", "line 3"]),
];

#[test]
fn wrong_plans_name_the_place_and_the_remedy() {
    for (from, to, wanted) in WRONG {
        assert!(GOOD.contains(from), "{from}");
        let error = Plan::parse(&GOOD.replacen(from, to, 1), environment)
            .unwrap_err()
            .to_string();
        for part in *wanted {
            assert!(
                error.contains(part),
                "`{to}` gave `{error}`, without `{part}`"
            );
        }
    }
}

#[test]
fn prefixes_end_at_segments() {
    let below = PathPattern::parse("/x/*").unwrap();
    for (path, matches) in [
        ("/x", true),
        ("/x/", true),
        ("/x/y", true),
        ("/xy", false),
        ("/", false),
    ] {
        assert_eq!(below.matches(path), matches, "{path}");
    }
    let all = PathPattern::parse("/*").unwrap();
    assert!(all.matches("/") && all.matches("/a/b"));
}

#[test]
fn shares_are_read_as_they_are_shown() {
    for (text, points) in [
        ("0%", 0),
        ("100%", 10_000),
        ("0.25%", 25),
        ("12.5%", 1_250),
        ("7%", 700),
    ] {
        let share = Percent::parse(text).unwrap();
        assert_eq!(
            (share.basis_points(), share.to_string().as_str()),
            (points, text)
        );
    }
    for text in [
        "10", "-1%", "100.01%", "1.234%", "%", "1e1%", " 5%", "5,5%", "999%",
    ] {
        assert!(Percent::parse(text).is_err(), "{text}");
    }
}

#[test]
fn the_schema_refuses_what_the_parser_refuses() {
    let schema = plan::json_schema();
    assert_eq!(schema["additionalProperties"], serde_json::json!(false));
    assert!(schema["properties"]["extractions"].is_object());
}
