//! What a plan is read as, and how a wrong one is refused.

use plan::{ExtractionName, ParseContext, PathPattern, Percent, Plan};
use std::num::NonZeroUsize;

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
    let moves = extraction.data.replicate().unwrap();
    assert_eq!(moves.databases.service.expose_password(), "s@crt");
    assert_eq!(moves.databases.monolith.port, 5432);
    assert_eq!(
        extraction.cohort_key,
        plan::CohortKey::Header("x-user-id".to_owned())
    );
    assert_eq!(moves.switch.hold.as_secs(), 3);
    assert_eq!(moves.switch.held_requests, 1000);
    let contract = &moves.tables[0];
    assert_eq!(contract.service.to_string(), "contract_service.contracts");
    assert_eq!(contract.service_column("seller_id"), "seller");
    assert_eq!(contract.service_column("price"), "price");
    assert_eq!(moves.tables[1].service.to_string(), "contract_service.tag");
    assert!(extraction.routes[0].matches("GET", None, "/api/contracts/7", |_, _| false));
    assert!(!extraction.routes[0].matches("PATCH", None, "/api/contracts/7", |_, _| false));
}

#[test]
fn a_path_with_braces_wants_quotes_and_the_error_says_so() {
    for bad in [
        "[{ path: /api/contracts/{id} }]",
        "[{ path: /api/contracts/{id}/lines, methods: [GET] }]",
        "[{ path: /x }, { methods: [GET], path: /api/contracts/{id} }]",
        "[{ path: {id} }]",
        "\n      - { path: /api/contracts/{id} }",
        "\n      - path: {id}",
        "\n      - path: {id}/lines",
    ] {
        let text = GOOD.replace("[{ path: /api/contracts/*, methods: [get, POST] }]", bad);
        let error = Plan::parse(&text, environment).unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("Put a path with braces in quotes"),
            "{bad}: {error}"
        );
    }
    for good in [
        "[{ path: \"/api/contracts/{id}\" }]",
        "\n      - path: /api/contracts/{id}",
    ] {
        let text = GOOD.replace("[{ path: /api/contracts/*, methods: [get, POST] }]", good);
        Plan::parse(&text, environment).unwrap();
    }
    let other = GOOD.replace("hold: 3s", "hold: {");
    let error = Plan::parse(&other, environment).unwrap_err().to_string();
    assert!(!error.contains("braces"), "{error}");
}

#[test]
fn workers_are_as_many_as_processors_unless_the_plan_says() {
    let workers = |text: &str| {
        let context = ParseContext {
            processors: NonZeroUsize::new(7).unwrap(),
            ..ParseContext::new(&environment)
        };
        Plan::parse_with(text, &context).unwrap().gateway.workers
    };
    assert_eq!(workers(GOOD), 2);
    assert_eq!(workers(&GOOD.replace(", workers: 2", "")), 7);
}

#[test]
fn clients_are_bounded_by_default_and_by_the_plan() {
    let client = |text: &str| Plan::parse(text, environment).unwrap().gateway.client;
    let default = client(GOOD);
    assert_eq!(default.head.as_secs(), 60);
    assert_eq!(default.body.as_secs(), 60);
    assert_eq!((default.head_bytes, default.headers), (32 << 10, 200));
    assert_eq!(default.body_bytes, None);
    assert_eq!(default.body_rate.unwrap().get(), 1024);
    let any = client(&GOOD.replace("workers: 2", "client: { body-rate: 0B }"));
    assert_eq!(any.body_rate, None);
    let bounded = "client: { idle: 5s, body-bytes: 1MiB, head-bytes: 8KiB, headers: 50 }";
    let bounded = client(&GOOD.replace("workers: 2", bounded));
    // A head has no more time than a connection without one.
    assert_eq!((bounded.idle.as_secs(), bounded.head.as_secs()), (5, 5));
    assert_eq!((bounded.head_bytes, bounded.headers), (8 << 10, 50));
    assert_eq!(bounded.body_bytes, Some(1 << 20));
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
    (
        "workers: 2",
        "client: { idle: 5s, head: 6s }",
        &["head", "line 4", "raise `idle`"],
    ),
    (
        "workers: 2",
        "client: { head-bytes: 1GiB }",
        &["head-bytes must be 1KiB to 256KiB", "line 4"],
    ),
    (
        "workers: 2",
        "client: { headers: 1 }",
        &["headers must be 16 to 1000", "line 4"],
    ),
    (
        "workers: 2",
        "client: { body-bytes: big }",
        &["`big` is no size", "line 4"],
    ),
    (
        "workers: 2",
        "client: { bodies: 1s }",
        &["bodies", "line 4"],
    ),
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

const UPSTREAMS: &str = r#"
monolith: { url: "http://127.0.0.1:1", database: "postgres://u@127.0.0.1/m" }
services:
  contracts:
    urls: ["http://127.0.0.1:2", "http://replica:3"]
    database: "postgres://u@127.0.0.1/s"
    health: { path: /ready, interval: 1s, fall: 5 }
    timeouts: { connect: 100ms, whole: 1m }
    breaker: { errors: 20%, slow: { over: 2s }, statuses: [503] }
    retries: { attempts: 3, backoff-max: 1s, idempotency-keys: true }
    balance: { panic: 30%, ejection: { after: 2, for: 1s, at-most: 8s } }
    degraded: { cache: 60s, bytes: 1MiB }
  routed: { url: "http://127.0.0.1:4", health: /healthz, breaker: on, balance: { ejection: off } }
gateway:
  listen: "127.0.0.1:0"
  first-byte: 9s
  timeouts: { idle: 7s }
  replay-bytes: 1KiB
extractions:
  contracts:
    service: contracts
    routes: [{ path: /c/* }]
    data: { mode: replicate, schema: s, tables: { public.t: {} } }
"#;

#[test]
fn upstreams_are_read_with_their_defaults() {
    let plan = Plan::parse(UPSTREAMS, |_| None).unwrap();
    let service = |name| &plan.services[&plan::ServiceName::new(name).unwrap()];
    let contracts = service("contracts");
    let instances: Vec<String> = contracts.instances().map(ToString::to_string).collect();
    assert_eq!(instances, ["http://127.0.0.1:2", "http://replica:3"]);
    let health = contracts.health.as_ref().unwrap();
    assert_eq!(
        (health.path.as_str(), health.fall, health.rise),
        ("/ready", 5, 2)
    );
    let times = contracts.timeouts;
    assert_eq!(times.connect.as_millis(), 100);
    assert_eq!((times.first_byte.as_secs(), times.idle.as_secs()), (9, 7));
    assert_eq!(times.stream.as_secs(), 3600);
    assert_eq!(times.whole.unwrap().as_secs(), 60);
    let breaker = contracts.breaker.as_ref().unwrap();
    assert_eq!(breaker.slow.unwrap().share.to_string(), "80%");
    assert_eq!(
        (breaker.statuses.as_slice(), breaker.volume),
        (&[503][..], 20)
    );
    assert_eq!(contracts.retries.attempts, 3);
    assert!(contracts.retries.idempotency_keys);
    assert_eq!(contracts.balance.ejection.unwrap().after, 2);
    assert_eq!(contracts.degraded.unwrap().bytes.0, 1 << 20);

    let routed = service("routed");
    assert!(routed.database.is_none() && routed.breaker.is_some());
    assert!(routed.balance.ejection.is_none());
    assert_eq!(routed.health.as_ref().unwrap().interval.as_secs(), 5);
    assert_eq!((routed.retries.attempts, routed.timeouts.whole), (1, None));
    // Where the plan is silent, nothing is repeated, opened or kept.
    assert!(plan.monolith.breaker.is_none() && plan.monolith.degraded.is_none());
    assert_eq!(plan.monolith.retries.attempts, 1);
    assert_eq!(plan.gateway.replay_bytes.0, 1024);
}

#[test]
fn wrong_upstreams_name_the_place_and_the_remedy() {
    for (from, to, wanted) in [
        (
            "breaker: on",
            "breaker: maybe",
            &["maybe", "line 13", "off"][..],
        ),
        (
            "statuses: [503]",
            "statuses: [404]",
            &["404", "5xx", "line 9"],
        ),
        (
            "http://replica:3",
            "http://127.0.0.1:2",
            &["twice", "line 5"],
        ),
        ("attempts: 3", "attempts: 0", &["attempts", "line 10"]),
        ("fall: 5", "fail: 5", &["fail", "line 7"]),
        ("connect: 100ms", "connect: fast", &["fast", "line 8"]),
        (
            "service: contracts",
            "service: routed",
            &["routed", "database", "line 21"],
        ),
        ("url: \"http://127.0.0.1:4\", ", "", &["routed", "url"]),
        (
            "url: \"http://127.0.0.1:4\"",
            "url: \"http://127.0.0.1:4\", urls: [\"http://127.0.0.1:5\"]",
            &["both", "line 13"],
        ),
    ] {
        assert!(UPSTREAMS.contains(from), "{from}");
        let error = Plan::parse(&UPSTREAMS.replacen(from, to, 1), |_| None)
            .unwrap_err()
            .to_string();
        for part in wanted {
            assert!(
                error.contains(part),
                "`{to}` gave `{error}`, without `{part}`"
            );
        }
    }
}

const LISTENERS: &str = r#"gateway:
  listen: "127.0.0.1:8080"
  timeouts: { stream: 1m }
  listeners:
    - { listen: "unix:/run/banyan.sock", proxy-protocol: true }
    - listen: "0.0.0.0:8443"
      tls:
        certificate: "${DIRECTORY}/a.pem"
        key: /etc/a.key
        more: [{ certificate: /etc/b.pem, key: /etc/b.key }]
        client-ca: /etc/ca.pem
        client-certificate: optional
"#;

fn with_listeners(from: &str, to: &str) -> Result<Plan, plan::PlanError> {
    assert!(LISTENERS.contains(from), "{from}");
    let gateway = LISTENERS.replacen(from, to, 1);
    let text = GOOD.replacen(
        "gateway: { listen: \"127.0.0.1:8080\", workers: 2 }\n",
        &gateway,
        1,
    );
    Plan::parse(&text, |name| {
        environment(name).or_else(|| (name == "DIRECTORY").then(|| "/etc/tls".to_owned()))
    })
}

#[test]
fn listeners_are_read() {
    let plan = with_listeners("", "").unwrap();
    assert_eq!(plan.monolith.timeouts.stream.as_secs(), 60);
    let gateway = plan.gateway;
    let [unix, secure] = &gateway.listeners[..] else {
        panic!("{:?}", gateway.listeners)
    };
    assert_eq!(unix.address.to_string(), "unix:/run/banyan.sock");
    assert!(unix.proxy_protocol && unix.tls.is_none());
    let tls = secure.tls.as_ref().unwrap();
    assert_eq!(tls.certificates.len(), 2);
    assert_eq!(
        tls.certificates[0].certificate.to_str(),
        Some("/etc/tls/a.pem")
    );
    assert_eq!(
        tls.clients,
        plan::ClientCertificates::Optional("/etc/ca.pem".into())
    );
    let required = with_listeners("        client-certificate: optional\n", "").unwrap();
    let tls = required.gateway.listeners[1].tls.clone().unwrap();
    assert_eq!(
        tls.clients,
        plan::ClientCertificates::Required("/etc/ca.pem".into())
    );
    for (from, to, wanted) in [
        (
            "unix:/run",
            "unix:run",
            "line 8, column 17, `gateway.listeners[0].listen`: `unix:run/banyan.sock` is nowhere",
        ),
        ("0.0.0.0:8443", "127.0.0.1:8080", "listened on twice"),
        ("        client-ca: /etc/ca.pem\n", "", "has no `client-ca`"),
        ("optional", "maybe", "maybe"),
    ] {
        let error = with_listeners(from, to).unwrap_err().to_string();
        assert!(error.contains(wanted), "`{to}` gave `{error}`");
    }
}

#[test]
fn upstreams_speak_over_sockets_and_http2() {
    let text = GOOD.replacen("http://127.0.0.1:8000", "http+unix:/run/web.sock", 1);
    let text = text.replacen("health: /health/ready", "protocol: h2c", 1);
    let plan = Plan::parse(&text, environment).unwrap();
    assert_eq!(plan.monolith.url.to_string(), "unix:/run/web.sock");
    assert_eq!(plan.monolith.protocol, plan::Protocol::Http1);
    let service = plan.services.values().next().unwrap();
    assert_eq!(service.protocol, plan::Protocol::H2c);
    for (from, to, wanted) in [
        ("http://127.0.0.1:8101", "unix:s", "is not absolute"),
        ("health: /health/ready", "protocol: spdy", "spdy"),
    ] {
        let error = Plan::parse(&GOOD.replacen(from, to, 1), environment)
            .unwrap_err()
            .to_string();
        assert!(error.contains(wanted), "`{to}` gave `{error}`");
    }
}

#[test]
fn copies_go_only_where_nothing_can_be_spoiled() {
    let with = |shadow: &str| {
        let text = GOOD.replace("    switch:", &format!("    shadow: {shadow}\n    switch:"));
        Plan::parse(&text, environment)
    };
    let name = ExtractionName::new("contracts").unwrap();
    let plan = Plan::parse(GOOD, environment).unwrap();
    assert_eq!(plan.extractions[&name].shadow, None);
    let declared = "{ place: $.seen, by: ada, because: the clock of each side }";
    let plan = with(&format!("{{ share: 1%, ignore: [{declared}] }}")).unwrap();
    let one = plan.extractions[&name]
        .shadow
        .clone()
        .unwrap()
        .ignore
        .remove(0);
    assert_eq!(one.place.to_string(), "$.seen");
    assert_eq!(one.by.as_deref(), Some("ada"));
    assert_eq!(one.because.as_deref(), Some("the clock of each side"));
    for wrong in [
        "{ by: ada }",
        "{ place: seen }",
        "{ place: $.seen, because: \" \" }",
        "{ place: $.seen, who: ada }",
    ] {
        assert!(
            with(&format!("{{ share: 1%, ignore: [{wrong}] }}")).is_err(),
            "{wrong}"
        );
    }
    let plan = with("{ share: 0.5%, ignore: [$.seen, header X-Id] }").unwrap();
    let shadow = plan.extractions[&name].shadow.clone().unwrap();
    assert_eq!(shadow.share, Percent::parse("0.5%").unwrap());
    let header = plan::Ignored::Header("x-id".to_owned());
    let places: Vec<_> = shadow.ignore.iter().map(|one| one.place.clone()).collect();
    assert_eq!(places, [plan::Ignored::Field("$.seen".to_owned()), header]);
    assert!(!shadow.show_values && shadow.scratch.is_none());
    let own = with("{ share: 1%, show-values: true, scratch: \"http://127.0.0.1:8200\" }");
    let own = own.unwrap().extractions[&name].shadow.clone().unwrap();
    assert!(own.show_values && own.scratch.is_some_and(|url| url.port == 8200));
    for (shadow, wanted) in [
        ("{}", "share"),
        ("{ share: 0% }", "copies nothing"),
        ("{ share: 2%, ignore: [updated_at] }", "is no place"),
        ("{ share: 2%, ignored: [] }", "ignored"),
        (
            "{ share: 2%, scratch: \"http://localhost:8101\" }",
            "line 18, column 35, `extractions.contracts.shadow.scratch`: `http://localhost:8101` is `contracts` itself",
        ),
        (
            "{ share: 2%, scratch: \"http://127.0.0.1:8000\" }",
            "is `monolith` itself",
        ),
    ] {
        let error = with(shadow).unwrap_err().to_string();
        assert!(error.contains(wanted), "`{shadow}` gave `{error}`");
    }
}

#[test]
fn bodies_without_a_length_are_kept_unless_a_route_says_otherwise() {
    let read = |gateway: &str, route: &str| {
        let text = UPSTREAMS
            .replacen("  replay-bytes: 1KiB\n", gateway, 1)
            .replacen("{ path: /c/* }", route, 1);
        Plan::parse(&text, |_| None)
    };
    let plan = read("", "{ path: /c/* }, { path: /d, buffering: on }").unwrap();
    let routes = |plan: &Plan| -> Vec<bool> {
        let routes = plan.extractions.values().flat_map(|one| &one.routes);
        routes.map(|route| route.buffers).collect()
    };
    assert_eq!(routes(&plan), [true, true]);
    assert_eq!(plan.gateway.buffering.directory, None);
    assert_eq!(plan.gateway.buffering.bytes.0, 1 << 30);
    assert_eq!(plan.gateway.buffering.client_bytes.0, 1 << 29);
    let plan = read(
        "  buffering: { directory: /var/tmp, bytes: 5MiB, client-bytes: 2MiB }\n  routes: { x: { to: monolith, path: /x, buffering: off } }\n",
        "{ path: /c/*, buffering: off }",
    )
    .unwrap();
    assert_eq!(routes(&plan), [false]);
    assert!(!plan.gateway.routes[0].route.buffers);
    assert_eq!(plan.gateway.buffering.bytes.0, 5 << 20);
    assert_eq!(plan.gateway.buffering.client_bytes.0, 2 << 20);
    let wrong = read(
        "  buffering: { bytes: 5MiB, client-bytes: 6MiB }\n",
        "{ path: /c/* }",
    );
    let wrong = wrong.unwrap_err().to_string();
    assert!(wrong.contains("Raise `bytes`"), "{wrong}");
    let wrong = read("", "{ path: /c/*, buffering: maybe }").unwrap_err();
    assert!(
        wrong.to_string().contains("neither `on` nor `off`"),
        "{wrong}"
    );
}

#[test]
fn nothing_said_is_as_patient_as_nginx_and_a_route_has_its_own_word() {
    let plan = Plan::parse(GOOD, environment).unwrap();
    assert_eq!(plan.monolith.timeouts.first_byte.as_secs(), 60);
    assert_eq!(plan.gateway.client.body.as_secs(), 60);
    let own = "/api/contracts/*, timeouts: { body: 2m, whole: 5m }";
    let plan = Plan::parse(&GOOD.replacen("/api/contracts/*", own, 1), environment).unwrap();
    let timeouts = plan.extractions.values().next().unwrap().routes[0].timeouts;
    assert_eq!(timeouts.body.unwrap().as_secs(), 120);
    let over = timeouts.over(plan.monolith.timeouts);
    assert_eq!(
        (over.whole.unwrap().as_secs(), over.first_byte.as_secs()),
        (300, 60)
    );
}
