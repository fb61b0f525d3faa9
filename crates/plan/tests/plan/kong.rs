//! Kong's file: what it becomes, and how it is refused.

use plan::{FileLoader, ParseContext, Plan, PlanError, Unmatched};
use proptest::prelude::*;
use std::{io, path::Path};

/// A team's Kong file.
const TEAM: &str = include_str!("kong/team.yml");

const PLAN: &str = r#"monolith: { url: "http://127.0.0.1:8000", database: "postgres://u:p@127.0.0.1/m" }
services: {}
gateway: { listen: "127.0.0.1:8080", kong: kong.yml }
extractions: {}
"#;

fn read(kong: &str) -> Result<Plan, PlanError> {
    read_with(PLAN, kong)
}

fn read_with(plan: &str, kong: &str) -> Result<Plan, PlanError> {
    let kong = kong.to_owned();
    let reader = move |path: &Path| {
        if path == Path::new("/team/kong.yml") {
            Ok(kong.clone())
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    };
    let environment = |name: &str| (name == "SHOP_KEY").then(|| "from-outside".to_owned());
    let context = ParseContext {
        files: FileLoader::new("/team", &reader),
        ..ParseContext::new(&environment)
    };
    Plan::parse_with(plan, &context)
}

/// What is demanded and where it goes, one line per route.
fn table(plan: &Plan) -> String {
    let mut text: Vec<String> = Vec::new();
    for route in &plan.gateway.routes {
        let plan::Destination::Service(name) = &route.to else {
            panic!("{route:?}")
        };
        let url = &plan.services[name].url;
        let stripped = route.route.path.literal_prefix();
        let path = route.rewrite.apply(&stripped, &format!("{stripped}/x"));
        text.push(format!(
            "{} {} -> {name} {url}{path}",
            route.name, route.route
        ));
        let policies = &route.policies;
        for limit in policies.limits.iter().flat_map(|limits| &limits.rules) {
            for (period, count) in &limit.windows {
                text.push(format!(" {}={count}", period.as_str()));
            }
        }
        if let Some(jwt) = &policies.jwt {
            text.push(format!(" jwt({}, {:?})", jwt.key_claim, jwt.query));
        }
        if let Some(keys) = &policies.keys {
            text.push(format!(" keys({:?}, {:?})", keys.headers, keys.query));
        }
        if let Some(size) = policies.body {
            text.push(format!(" body<={}", size.0));
        }
        if let Some(cors) = &policies.cors {
            text.push(format!(" cors({:?})", cors.origins));
        }
        if let Some(id) = &policies.correlation {
            text.push(format!(" id({})", id.header));
        }
        if let Some(canary) = &route.canary {
            let plan::Destination::Service(to) = &canary.to else {
                panic!("{canary:?}")
            };
            let url = &plan.services[to].url;
            text.push(format!(" canary({:?} to {to} {url})", canary.share));
        }
        text.push("\n".to_owned());
    }
    text.concat()
}

#[test]
fn a_teams_file_works_unchanged() {
    let plan = read(TEAM).unwrap();
    assert_eq!(
        table(&plan),
        "auth-route /api/auth* -> auth-service http://host.docker.internal:8001/api/v1/auth/x \
         minute=100 hour=1000\n\
         users-route /api/users* -> users-service http://host.docker.internal:8001/api/v1/users/x \
         jwt(iss, [\"jwt\"])\n"
    );
    let auth = &plan.gateway.routes[0];
    assert!(!auth.preserve_host);
    let stripped = auth.route.path.literal_prefix();
    let path = |path| auth.rewrite.apply(&stripped, path);
    assert_eq!(path("/api/auth"), "/api/v1/auth");
    assert_eq!(path("/api/auth/"), "/api/v1/auth/");
    assert_eq!(path("/api/authx"), "/api/v1/auth/x");
    assert_eq!(
        auth.policies.limits.as_ref().unwrap().scope,
        "kong:service:auth-service"
    );
    let jwt = plan.gateway.routes[1].policies.jwt.as_ref().unwrap();
    assert!(!jwt.jwks, "nobody without a consumer's credential");
    assert!(plan.gateway.access.consumers.is_empty());
    assert_eq!(plan.gateway.unmatched, Unmatched::NotFound);
}

#[test]
fn a_guard_that_another_way_avoids_is_found() {
    let exposed = |plan: &str| -> Vec<(String, String, Option<String>)> {
        let all = read_with(plan, TEAM).unwrap().exposures();
        let shown = all.into_iter();
        shown
            .map(|one| {
                assert_eq!(one.demands, ["jwt"]);
                (one.guarded, one.path, one.by)
            })
            .collect()
    };
    // The monolith is what Kong's services are.
    let same = PLAN.replace("127.0.0.1:8000", "host.docker.internal:8001");
    let stays = |plan: &str| plan.replace("kong: kong.yml", "unmatched: monolith, kong: kong.yml");
    assert_eq!(exposed(&same), []);
    assert_eq!(exposed(&stays(PLAN)), []);
    let users = "route `users-route`".to_owned();
    assert_eq!(
        exposed(&stays(&same)),
        [(users.clone(), "/api/v1/users".to_owned(), None)]
    );
    let by = "kong: kong.yml, routes: { all: { to: monolith, path: /old/*, strip-path: true } }";
    let around = (
        users,
        "/old/api/v1/users".to_owned(),
        Some("route `all`".to_owned()),
    );
    assert_eq!(exposed(&same.replace("kong: kong.yml", by)), [around]);
    // The same demand of all leaves no way around.
    let by_all = "unmatched: monolith, kong: kong.yml, consumers: { a: { keys: [k] } }, policies: { keys: {} }";
    assert_eq!(exposed(&same.replace("kong: kong.yml", by_all)), []);
}

const FULL: &str = r#"_format_version: "3.0"
consumers:
- username: shop
  tags: [x]
  keyauth_credentials: [{ key: "{vault://env/shop-key}" }]
  jwt_secrets:
  - { key: shop-iss, secret: shared }
jwt_secrets:
- { consumer: shop, key: other, secret: shared-2, algorithm: HS512 }
plugins:
- name: cors
  config: { origins: ["https://*.example.org"], credentials: true, max_age: 60 }
- name: correlation-id
  service: things
- { name: request-size-limiting, route: { name: short }, config: { allowed_payload_size: 2, size_unit: kilobytes } }
services:
- name: things
  protocol: http
  host: things.internal
  port: 9000
  path: /v2
  connect_timeout: 1000
  retries: 2
  plugins:
  - name: key-auth
    config: { key_names: [X-Key, k], hide_credentials: true }
  - name: rate-limiting
    config: { second: 5, limit_by: header, header_name: X-Tenant, policy: redis, redis: { host: r, password: p, timeout: 50 }, fault_tolerant: false }
  routes:
  - name: long
    paths: [/things, /stuff/]
    methods: [get, POST]
    hosts: [a.org, "*.b.org"]
    headers: { x-v: ["1", "2"] }
    strip_path: false
    preserve_host: true
  - name: short
    paths: [/]
    plugins:
    - { name: rate-limiting, config: { day: 9 } }
    - { name: key-auth, enabled: false }
    - { name: canary, config: { percentage: 5.5, upstream_host: new.internal, hash: header, hash_header: X-User } }
"#;

#[test]
fn all_that_is_known_is_taken_over() {
    let plan = read(FULL).unwrap();
    let table = table(&plan);
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 2 * 2 * 2 + 1, "{table}");
    assert_eq!(
        lines[0],
        "long GET,POST a.org/things* x-v: 1 -> things http://things.internal:9000/v2/things/x \
         second=5 keys([\"x-key\", \"k\"], [\"X-Key\", \"k\"]) \
         cors(Some([Below { scheme: \"https://\", suffix: \".example.org\" }])) id(kong-request-id)"
    );
    assert!(
        lines[7].starts_with("long GET,POST *.b.org/stuff/* x-v: 2 -> "),
        "{table}"
    );
    // The route's own limit replaces its service's; a disabled plugin is none.
    assert!(lines[8].contains("/v2/x day=9 keys("), "{table}");
    assert!(lines[8].contains("body<=2048"), "{table}");
    assert!(
        lines[8].contains("canary(Fixed(Percent(550)) to short-canary http://new.internal:9000)"),
        "{table}"
    );
    let access = &plan.gateway.access;
    let shop = &access.consumers["shop"];
    assert_eq!(shop.keys[0].expose(), b"from-outside");
    assert_eq!(shop.jwt.len(), 2);
    let store = access.limits_store.as_ref().unwrap();
    assert_eq!(store.redis.expose_text(), "redis://:p@r:6379/0");
    let shown = format!("{plan:?}");
    for secret in ["from-outside", "shared", "redis://:p"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    let route = &plan.gateway.routes[0];
    let things = plan.services.values().next().unwrap();
    assert_eq!(things.timeouts.connect.as_millis(), 1000);
    assert_eq!(things.timeouts.idle.as_millis(), 60_000);
    assert_eq!(things.retries.attempts, 3);
    assert!(route.preserve_host);
}

#[test]
fn what_the_file_demands_of_all_the_plan_does_unless_it_says_otherwise() {
    let demanded = |text: &str| read_with(text, FULL).unwrap().gateway.access.policies;
    let all = demanded(PLAN);
    assert!(all.cors.is_some_and(|cors| cors.credentials));
    // These are of a service or a route.
    assert!(all.keys.is_none() && all.limits.is_none() && all.correlation.is_none());
    let own = "kong: kong.yml, policies: { cors: { origins: [\"https://own.example\"] } }";
    let all = demanded(&PLAN.replace("kong: kong.yml", own));
    assert!(all.cors.is_some_and(|cors| !cors.credentials));
}

/// What is replaced, by what, and what the message must hold.
const WRONG: &[(&str, &str, &[&str])] = &[
    (
        "_format_version: \"3.0\"",
        "_format_version: \"2.1\"",
        &["line 1", "3.0", "deck"],
    ),
    ("_format_version: \"3.0\"\n", "", &["_format_version"]),
    (
        "  retries: 2\n",
        "  tls_verify: true\n",
        &["tls_verify", "line 23", "things"],
    ),
    (
        "- name: cors",
        "- name: acl",
        &["kong.yml: line 11", "acl", "rate-limiting"],
    ),
    (
        "max_age: 60",
        "max_ages: 60",
        &["line 12", "max_ages", "cors"],
    ),
    (
        "https://*.example.org",
        "^https://.*$",
        &["line 12", "list the origins"],
    ),
    ("service: things", "service: thing", &["line 14", "thing"]),
    (
        "paths: [/things, /stuff/]",
        "paths: [\"~/t/\\\\d+\"]",
        &["line 31", "regular"],
    ),
    (
        "paths: [/things, /stuff/]",
        "paths: [things]",
        &["line 31", "things"],
    ),
    ("\"*.b.org\"", "b.*", &["line 33", "b.*"]),
    (
        "strip_path: false",
        "strip_path: maybe",
        &["line 35", "strip_path"],
    ),
    ("strip_path: false", "path_handling: v1", &["line 35", "v0"]),
    (
        "strip_path: false",
        "protocols: [grpc]",
        &["line 35", "grpc"],
    ),
    (
        "limit_by: header",
        "limit_by: weather",
        &["line 28", "weather", "consumer"],
    ),
    ("policy: redis", "policy: cluster", &["line 28", "cluster"]),
    ("second: 5", "second: 0", &["line 28", "second"]),
    ("day: 9", "sync_rate: 10, day: 9", &["line 40", "sync_rate"]),
    (
        "hash_header: X-User",
        "upstream_fallback: true",
        &["line 42", "upstream_fallback"],
    ),
    ("percentage: 5.5", "percentage: 105", &["line 42", "105"]),
    (
        "protocol: http",
        "protocol: https",
        &["line 19", "only http"],
    ),
    (
        "{vault://env/shop-key}",
        "{vault://env/other}",
        &["line 5", "OTHER"],
    ),
    (
        "{vault://env/shop-key}",
        "{vault://aws/other}",
        &["line 5", "vault"],
    ),
    (
        "algorithm: HS512",
        "algorithm: none",
        &["line 9", "none", "HS256"],
    ),
    (
        "{ consumer: shop,",
        "{ consumer: nobody,",
        &["line 9", "nobody"],
    ),
    ("key: other", "key: shop-iss", &["shop-iss"]),
    (
        "services:\n",
        "upstreams: [{ name: u }]\nservices:\n",
        &["line 16", "upstreams"],
    ),
    (
        "plugins:\n",
        "plugins:\n- { name: jwt, consumer: shop }\n",
        &["line 11", "consumer"],
    ),
];

#[test]
fn what_is_not_supported_is_refused_by_name_and_line() {
    for (from, to, wanted) in WRONG {
        assert!(FULL.contains(from), "{from}");
        let error = read(&FULL.replacen(from, to, 1)).unwrap_err().to_string();
        for part in *wanted {
            assert!(
                error.contains(part),
                "`{to}` gave `{error}`, without `{part}`"
            );
        }
    }
    let missing = Plan::parse(PLAN, |_| None).unwrap_err().to_string();
    assert!(
        missing.contains("line 3") && missing.contains("kong.yml"),
        "{missing}"
    );
}

proptest! {
    #[test]
    fn no_file_panics(at in 0..FULL.len(), cut in 0..40_usize, put in "[ -~\n]{0,12}|- |: |\\{|~|\\*") {
        let mut text = FULL.to_owned();
        let end = (at + cut).min(text.len());
        text.replace_range(at..end, &put);
        let _ = read(&text);
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,80}") {
        let _ = read(&text);
        let _ = read(&format!("_format_version: \"3.0\"\nservices: {text}"));
    }
}
