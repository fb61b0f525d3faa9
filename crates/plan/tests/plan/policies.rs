//! Policies, consumers and stores: what they are read as, and how wrong ones
//! are refused.

use plan::{FileLoader, HostAddresses, LimitBy, Origin, ParseContext, Period, Plan, Secret};
use std::{io, path::Path};

const GOOD: &str = r#"monolith: { url: "http://127.0.0.1:8000", database: "postgres://u:p@127.0.0.1/m" }
services:
  a: { url: "http://127.0.0.1:8101", database: "postgres://u:p@127.0.0.1/a" }
gateway:
  listen: "127.0.0.1:8080"
  trusted: [10.0.0.0/8, "::1"]
  consumers:
    shop: { keys: ["${SHOP_KEY}"], groups: [clients] }
    bank: { jwt: [{ key: bank, algorithm: RS256, public-key-file: bank.pem }] }
  jwks: { url: "https://issuer.example.org/keys", refresh: 10m }
  identity: { secret: "${SHOP_KEY}-and-more", claims: [email] }
  limits-store: { redis: "redis://:hidden@127.0.0.1:6379/1" }
  policies:
    keys: { header: X-API-Key }
    limits: [{ minute: 100, hour: 1000 }, { by: { header: X-Tenant }, second: 5, store: redis }]
    cors: { origins: ["https://App.example.org"] }
    deny: [192.168.1.0/24]
    body-bytes: 1MiB
  routes:
    users: { to: a, path: /users/*, policies: { limits: [{ day: 5 }] } }
extractions:
  contracts:
    service: a
    routes: [{ path: /api/contracts/* }]
    data: { mode: replicate, schema: s, tables: { public.t: {} } }
    policies: { jwt: { audiences: [api] }, groups: [clients] }
"#;

fn read(text: &str) -> Result<Plan, plan::PlanError> {
    read_with(text, &|name| {
        (name == "SHOP_KEY").then(|| "the-key-of-the-shop".to_owned())
    })
}

fn read_with(
    text: &str,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Plan, plan::PlanError> {
    let reader = |path: &Path| match path.to_str() {
        Some("/etc/banyan/bank.pem") => Ok("PEM".to_owned()),
        _ => Err(io::ErrorKind::NotFound.into()),
    };
    let context = ParseContext {
        files: FileLoader::new("/etc/banyan", &reader),
        ..ParseContext::new(&environment)
    };
    Plan::parse_with(text, &context)
}

#[test]
fn policies_are_read_and_replace_by_kind() {
    let plan = read(GOOD).unwrap();
    let access = &plan.gateway.access;
    assert_eq!(access.trusted.len(), 2);
    assert_eq!(access.consumers["bank"].jwt[0].secret.expose_text(), "PEM");
    let all = &access.policies;
    let limits = all.limits.as_ref().unwrap();
    assert_eq!(limits.rules[0].by, LimitBy::Consumer);
    assert_eq!(limits.rules[0].windows[1].0, Period::Hour);
    assert_eq!(limits.rules[1].by, LimitBy::Header("x-tenant".to_owned()));
    let route = plan.gateway.routes[0].policies.over(all);
    assert_eq!(route.limits.unwrap().scope, "route:users");
    assert!(route.keys.is_some() && route.cors.is_some() && route.jwt.is_none());
    let contracts = plan.extractions.values().next().unwrap();
    let contracts = contracts.policies.over(all);
    assert_eq!(contracts.jwt.unwrap().required, ["exp"]);
    assert_eq!(contracts.limits.unwrap().scope, "gateway");
    let shown = format!("{plan:?}");
    for secret in ["the-key-of", "hidden", "PEM"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

/// What is replaced, by what, and what the message must hold.
const WRONG: &[(&str, &str, &[&str])] = &[
    ("10.0.0.0/8", "10.0.0.0/99", &["line 6", "10.0.0.0/8"]),
    (
        "groups: [clients] }\n    bank",
        "grups: [] }\n    bank",
        &["line 8", "grups"],
    ),
    (
        "public-key-file: bank.pem",
        "secret: x",
        &["line 9", "public-key-file"],
    ),
    ("bank.pem", "gone.pem", &["line 9", "/etc/banyan/gone.pem"]),
    ("RS256", "none", &["line 9", "none", "HS256"]),
    ("https://issuer", "ftp://issuer", &["line 10", "https://"]),
    (
        "https://issuer.example.org/keys\"",
        "http://issuer.example.org/keys\", ca: ca.pem",
        &["line 10", "`ca`", "https"],
    ),
    ("${SHOP_KEY}-and-more", "short", &["line 11", "16 bytes"]),
    (
        "redis://:hidden@",
        "http://:hidden@",
        &["line 12", "redis://"],
    ),
    (
        "  limits-store: { redis: \"redis://:hidden@127.0.0.1:6379/1\" }\n",
        "",
        &["limits-store"],
    ),
    ("minute: 100", "minute: 0", &["line 15", "everybody"]),
    ("minute: 100", "minute: 2000", &["line 15", "hour: 1000"]),
    ("second: 5, ", "", &["line 15", "window"]),
    (
        "https://App.example.org",
        "app.example.org",
        &["line 16", "origin"],
    ),
    (
        "origins: [\"https://App.example.org\"]",
        "origins: [\"*\"], credentials: true",
        &["line 16"],
    ),
    ("192.168.1.0/24", "home", &["line 17", "home"]),
    ("1MiB", "1M", &["line 18", "16MiB"]),
    ("audiences", "audience", &["line 26", "audience"]),
    ("[\"${SHOP_KEY}\"]", "[a, a]", &["shop", "twice"]),
];

#[test]
fn wrong_policies_name_the_place_and_the_remedy() {
    for (from, to, wanted) in WRONG {
        assert!(GOOD.contains(from), "{from}");
        let error = read(&GOOD.replacen(from, to, 1)).unwrap_err().to_string();
        for part in *wanted {
            assert!(
                error.contains(part),
                "`{to}` gave `{error}`, without `{part}`"
            );
        }
        assert!(
            !error.contains("hidden") && !error.contains("the-key-of"),
            "{error}"
        );
    }
}

#[test]
fn the_environment_brings_keys() {
    let with = |clients: Option<&str>, operator: Option<&str>| {
        let (clients, operator) = (clients.map(str::to_owned), operator.map(str::to_owned));
        let text = GOOD.replace("    keys: { header: X-API-Key }\n", "");
        read_with(&text, &move |name| match name {
            "ALLOWED_API_KEYS" => clients.clone(),
            "GATEWAY_API_KEY" => operator.clone(),
            _ if name.starts_with("PG") => None,
            _ => Some("the-key-of-the-shop".to_owned()),
        })
    };
    let none = with(None, Some("")).unwrap().gateway.access;
    assert!(none.policies.keys.is_none() && !none.operators_only);
    let both = with(Some("a, b,,c"), Some("op")).unwrap().gateway.access;
    assert_eq!(both.policies.keys.unwrap().headers, ["x-api-key"]);
    assert!(both.operators_only);
    assert_eq!(both.consumers["client-3"].keys, [Secret::new("c").unwrap()]);
    assert_eq!(both.consumers["operator"].groups, [plan::OPERATORS]);
    assert!(with(Some(" , "), None).is_err());
    assert!(with(Some("a"), Some("a")).is_err());
}

#[test]
fn origins_below_a_name_end_at_labels() {
    let below = Origin::Below {
        scheme: "https://".to_owned(),
        suffix: ".example.org".to_owned(),
    };
    assert!(below.matches("https://a.example.org") && below.matches("https://a.b.example.org"));
    for other in [
        "https://example.org",
        "http://a.example.org",
        "https://.example.org",
        "https://evil.org/.example.org",
        "https://evil.org?.example.org",
        "https://a.example.org:8443",
    ] {
        assert!(!below.matches(other), "{other}");
    }
}

#[test]
fn hosts_can_be_mapped() {
    let mut resolve = HostAddresses::default();
    resolve.add("host.docker.internal:127.0.0.1").unwrap();
    resolve.add("six:[::1]").unwrap();
    let address = |host| resolve.address(host).map(|address| address.to_string());
    assert_eq!(
        address("Host.Docker.Internal").as_deref(),
        Some("127.0.0.1")
    );
    assert_eq!(address("six").as_deref(), Some("::1"));
    assert_eq!(address("other"), None);
    for wrong in ["", "a", ":1.1.1.1", "a:b", "a:1.1.1.1:80"] {
        assert!(HostAddresses::default().add(wrong).is_err(), "{wrong}");
    }
}
