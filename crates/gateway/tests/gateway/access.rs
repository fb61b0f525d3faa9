//! Who is let in: keys, tokens, addresses, origins, sizes; and what the
//! upstream is told.

use crate::support::*;
use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

/// A gateway with these lines in its section of the plan.
pub async fn guarded(gateway: &str) -> Bed {
    Bed::unpublished(Knobs {
        gateway: gateway.to_owned().leak(),
        ..Knobs::default()
    })
    .await
}

/// One request on a connection of its own.
pub async fn ask(bed: &Bed, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = build(method, path, None, "");
    for (name, value) in headers {
        let name: http::HeaderName = name.parse().unwrap();
        request.headers_mut().append(name, value.parse().unwrap());
    }
    let mut client = bed.client().await;
    let answer = tokio::time::timeout(DEADLINE, client.request(request)).await;
    answer.expect("no answer in time").unwrap()
}

pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap().as_secs()
}

pub fn bearer(
    algorithm: Algorithm,
    key: &EncodingKey,
    kid: Option<&str>,
    claims: &Value,
) -> String {
    let mut header = Header::new(algorithm);
    header.kid = kid.map(str::to_owned);
    format!("Bearer {}", encode(&header, claims, key).unwrap())
}

#[track_caller]
fn assert_denied(answer: &Answer, status: u16, reason: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json")
    );
    assert!(
        answer.body.contains(&format!("\"reason\":\"{reason}\"")),
        "{answer:?}"
    );
    assert_eq!(answer.side(), None);
}

const KEYS: &str = r#"
  consumers:
    shop: { keys: [shop-key-1, shop-key-2], groups: [clients] }
    bank: { keys: [bank-key], groups: [clients, partners] }
  identity: { secret: "0123456789abcdef" }
  policies:
    keys: { header: X-API-Key, query: apikey }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn only_known_keys_are_let_in() {
    let bed = guarded(KEYS).await;
    let none = ask(&bed, "GET", "/x", &[]).await;
    assert_denied(&none, 401, "no-key");
    assert_eq!(none.header("www-authenticate"), Some("Key"));
    for wrong in ["shop-key", "shop-key-11", "SHOP-KEY-1", "hop-key-1", "x"] {
        let answer = ask(&bed, "POST", "/x", &[("x-api-key", wrong)]).await;
        assert_denied(&answer, 401, "bad-key");
    }
    assert_denied(
        &ask(&bed, "GET", "/x", &[("x-api-key", "")]).await,
        401,
        "no-key",
    );
    assert_eq!(bed.monolith.count(), 0);
    for key in ["shop-key-2", "bank-key"] {
        assert_eq!(
            ask(&bed, "GET", "/x", &[("x-api-key", key)]).await.status,
            200
        );
    }
    assert_eq!(
        ask(&bed, "GET", "/x?apikey=shop-key-1&a=b", &[])
            .await
            .status,
        200
    );
    assert_eq!(bed.monolith.seen()[2].path, "/x?apikey=shop-key-1&a=b");
    let metrics = bed.metrics();
    assert!(
        metrics.contains("banyan_access_refused_total{reason=\"bad-key\"} 5"),
        "{metrics}"
    );
    for secret in ["shop-key", "bank-key"] {
        assert!(!metrics.contains(secret));
    }
}

/// What the signed header says; it must be signed.
fn told(bed: &Bed) -> Value {
    let seen = bed.monolith.seen();
    let seen = seen.last().unwrap();
    assert_eq!(seen.headers.get_all("x-banyan-identity").iter().count(), 1);
    let text = seen.header("x-banyan-identity").unwrap();
    let (signed, tag) = text.rsplit_once('.').unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"0123456789abcdef");
    let tag = URL_SAFE_NO_PAD.decode(tag).unwrap();
    hmac::verify(&key, signed.as_bytes(), &tag).unwrap();
    let claims = signed.strip_prefix("v1.").unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_cannot_be_forged_nor_suppressed() {
    let bed = guarded(KEYS).await;
    let forged = [
        ("x-api-key", "bank-key"),
        ("x-banyan-identity", "v1.forged.tag"),
        ("X-Banyan-Identity", "v1.twice.tag"),
        ("x-consumer-username", "admin"),
        ("x-credential-identifier", "admin"),
        // Named as for this connection only, it would be removed.
        ("connection", "x-banyan-identity"),
    ];
    assert_eq!(ask(&bed, "GET", "/x", &forged).await.status, 200);
    let identity = told(&bed);
    assert_eq!(identity["consumer"], "bank");
    assert_eq!(identity["groups"], json!(["clients", "partners"]));
    assert!(identity["exp"].as_u64().unwrap() > identity["iat"].as_u64().unwrap());
    let seen = &bed.monolith.seen()[0];
    assert_eq!(seen.header("x-consumer-username"), None);
    assert_eq!(seen.header("x-credential-identifier"), None);

    // Also where the plan demands nothing and names no header.
    let open = guarded("").await;
    assert_eq!(ask(&open, "GET", "/x", &forged).await.status, 200);
    let seen = &open.monolith.seen()[0];
    assert_eq!(seen.header("x-banyan-identity"), None);
    assert_eq!(seen.header("x-consumer-username"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_what_would_become_of_a_request_is_told_what_policies_say() {
    let bed = Bed::unpublished(Knobs {
        gateway: KEYS,
        extraction: "    policies: { groups: [partners], body-bytes: 4B, limits: [{ minute: 9 }] }",
        ..Knobs::default()
    })
    .await;
    bed.publish(0, TO_MONOLITH, 0);
    let explained = |key: Option<&str>, body: &'static str| {
        let mut request = http::Request::post("/api/contracts").header("host", "a");
        if let Some(key) = key {
            request = request.header("x-api-key", key);
        }
        let request = request
            .body(bytes::Bytes::from_static(body.as_bytes()))
            .unwrap();
        bed.gateway
            .explain(request, std::net::Ipv4Addr::LOCALHOST.into())
            .unwrap()
    };
    for (key, body, wanted) in [
        (None, "", "401: "),
        (Some("nobody"), "", "401: "),
        (Some("shop-key-1"), "", "403: "),
        (Some("bank-key"), "12345", "413: "),
    ] {
        let told = explained(key, body);
        assert!(told.to.is_none(), "{told:?}");
        assert!(
            told.why.starts_with(wanted) && told.why.contains("policies"),
            "{told:?}"
        );
    }
    let told = explained(Some("bank-key"), "1234");
    assert_eq!(told.to.as_deref(), Some("monolith"));
    assert!(told.why.contains("not asked: its limits"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_adds_to_what_is_demanded_of_all_by_kind() {
    let bed = Bed::unpublished(Knobs {
        gateway: KEYS,
        extraction: "    policies: { groups: [partners], body-bytes: 4B }",
        ..Knobs::default()
    })
    .await;
    bed.publish(0, TO_MONOLITH, 0);
    let to = |path: &'static str, key: &'static str| ask2(&bed, path, key, "");
    assert_eq!(to("/other", "shop-key-1").await.status, 200);
    assert_denied(&to("/api/contracts", "shop-key-1").await, 403, "group");
    assert_eq!(to("/api/contracts", "bank-key").await.status, 200);
    assert_denied(&to("/api/contracts", "nobody").await, 401, "bad-key");
    assert_eq!(
        ask2(&bed, "/api/contracts", "bank-key", "1234")
            .await
            .status,
        200
    );
    let large = ask2(&bed, "/api/contracts", "bank-key", "12345").await;
    assert_denied(&large, 413, "body-too-large");
    // One that does not say its length is bounded as it is read, on either way.
    for path in ["/api/contracts", "/api/contracts/streamed"] {
        for (body, status) in [("1234", 200), ("12345", 413)] {
            let mut unsaid = build("POST", path, None, body);
            let headers = unsaid.headers_mut();
            headers.insert("x-api-key", "bank-key".parse().unwrap());
            headers.insert("transfer-encoding", "chunked".parse().unwrap());
            let unsaid = bed.client().await.request(unsaid).await.unwrap();
            assert_eq!(unsaid.status, status, "{path}: {unsaid:?}");
            if status == 413 {
                assert_denied(&unsaid, 413, "body-too-large");
            }
        }
    }
    assert_eq!(ask2(&bed, "/other", "bank-key", "12345").await.status, 200);
}

async fn ask2(bed: &Bed, path: &str, key: &str, body: &str) -> Answer {
    let mut request = build("POST", path, None, body);
    request
        .headers_mut()
        .insert("x-api-key", key.parse().unwrap());
    bed.client().await.request(request).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_the_environment_close_the_gateway() {
    let bed = Bed::unpublished(Knobs {
        environment: |name| match name {
            "ALLOWED_API_KEYS" => Some("staging-client-1, staging-client-2".to_owned()),
            "GATEWAY_API_KEY" => Some("staging-gateway-key".to_owned()),
            _ => None,
        },
        ..Knobs::default()
    })
    .await;
    let status = |key: &'static str| ask2(&bed, "/auth/register", key, "{}");
    assert_eq!(status("staging-client-1").await.status, 200);
    assert_eq!(status("staging-client-2").await.status, 200);
    assert_eq!(status("staging-gateway-key").await.status, 200);
    assert_denied(&status("staging-client-3").await, 401, "bad-key");
    assert_denied(&ask(&bed, "GET", "/", &[]).await, 401, "no-key");
}

const TOKENS: &str = r#"
  consumers:
    shop: { jwt: [{ key: shop, secret: "of the shop" }] }
  identity: { secret: "0123456789abcdef", claims: [email] }
  policies:
    jwt: { audiences: [api], cookie: session }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn only_good_tokens_are_let_in() {
    let bed = guarded(TOKENS).await;
    let secret = EncodingKey::from_secret(b"of the shop");
    let good =
        json!({"iss": "shop", "aud": "api", "sub": "7", "exp": now() + 60, "email": "a\nx: 1"});
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        bearer(Algorithm::HS256, &secret, None, &claims)
    };
    let none = ask(&bed, "GET", "/x", &[]).await;
    assert_denied(&none, 401, "no-token");
    assert_eq!(none.header("www-authenticate"), Some("Bearer"));
    let unsigned = format!(
        "Bearer {}.{}.",
        URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#),
        URL_SAFE_NO_PAD.encode(good.to_string())
    );
    for bad in [
        unsigned,
        with("exp", json!(now() - 60)),
        with("nbf", json!(now() + 60)),
        with("aud", json!("others")),
        with("iss", json!("bank")),
        bearer(Algorithm::HS512, &secret, None, &good),
        bearer(
            Algorithm::HS256,
            &EncodingKey::from_secret(b"guess"),
            None,
            &good,
        ),
        "Bearer x".to_owned(),
        format!("{}x", with("sub", json!("7"))),
    ] {
        let answer = ask(&bed, "GET", "/x", &[("authorization", &bad)]).await;
        assert_denied(&answer, 401, "bad-token");
        assert_eq!(
            answer.header("www-authenticate"),
            Some("Bearer error=\"invalid_token\"")
        );
    }
    assert_eq!(bed.monolith.count(), 0);
    let token = with("sub", json!("7"));
    // Twice on every worker at least once from memory.
    for _ in 0..8 {
        let answer = ask(&bed, "GET", "/x", &[("authorization", &token)]).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let identity = told(&bed);
    assert_eq!(identity["consumer"], "shop");
    assert_eq!(identity["sub"], "7");
    assert_eq!(identity["claims"], json!({"email": "a\nx: 1"}));
    let cookie = format!("a=b; session={}", token.strip_prefix("Bearer ").unwrap());
    assert_eq!(
        ask(&bed, "GET", "/x", &[("cookie", &cookie)]).await.status,
        200
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_by_public_keys_are_let_in() {
    let rsa = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048);
    let (rsa, ec) = (rsa.unwrap(), rcgen::KeyPair::generate().unwrap());
    let quoted = |pem: String| Value::from(pem).to_string();
    let bed = guarded(&format!(
        r"
  consumers:
    shop:
      jwt:
        - {{ key: rsa, algorithm: RS256, public-key: {} }}
        - {{ key: ec, algorithm: ES256, public-key: {} }}
  policies: {{ jwt: {{}} }}
",
        quoted(rsa.public_key_pem()),
        quoted(ec.public_key_pem()),
    ))
    .await;
    let status = async |algorithm, key: &EncodingKey, issuer: &str| {
        let claims = json!({"iss": issuer, "exp": now() + 60});
        let token = bearer(algorithm, key, None, &claims);
        ask(&bed, "GET", "/x", &[("authorization", &token)])
            .await
            .status
    };
    let rsa_key = EncodingKey::from_rsa_pem(rsa.serialize_pem().as_bytes()).unwrap();
    let ec_key = EncodingKey::from_ec_pem(ec.serialize_pem().as_bytes()).unwrap();
    assert_eq!(status(Algorithm::RS256, &rsa_key, "rsa").await, 200);
    assert_eq!(status(Algorithm::ES256, &ec_key, "ec").await, 200);
    assert_eq!(status(Algorithm::RS512, &rsa_key, "rsa").await, 401);
    assert_eq!(status(Algorithm::RS256, &rsa_key, "ec").await, 401);
    // The public key, which everybody has, is no shared secret.
    let public = EncodingKey::from_secret(rsa.public_key_pem().as_bytes());
    assert_eq!(status(Algorithm::HS256, &public, "rsa").await, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_admitted_addresses_are_let_in() {
    let bed = guarded(
        "  trusted: [127.0.0.0/8]\n  policies: { allow: [10.0.0.0/8], deny: [10.1.0.0/16] }",
    )
    .await;
    let from = |via: &'static str| ask3(&bed, via);
    assert_eq!(from("10.2.0.1").await.status, 200);
    assert_denied(&from("10.1.0.1").await, 403, "address");
    assert_denied(&from("10.2.0.1, 11.0.0.1").await, 403, "address");
    assert_denied(&ask(&bed, "GET", "/x", &[]).await, 403, "address");
    let untrusting = guarded("  policies: { allow: [10.0.0.0/8] }").await;
    assert_denied(&ask3(&untrusting, "10.2.0.1").await, 403, "address");
}

async fn ask3(bed: &Bed, via: &str) -> Answer {
    ask(bed, "GET", "/x", &[("x-forwarded-for", via)]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_known_origins_may_ask() {
    let bed = guarded(
        r#"
  consumers: { shop: { keys: [shop-key] } }
  policies:
    keys: {}
    cors: { origins: ["https://app.example.org", "https://*.example.com"], credentials: true, exposed: [x-total], max-age: 10m }
"#,
    )
    .await;
    let preflight = |origin: &'static str| ask4(&bed, origin);
    let answer = preflight("https://a.b.example.com").await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (204, ""),
        "{answer:?}"
    );
    let header = |name| answer.header(name);
    assert_eq!(
        header("access-control-allow-origin"),
        Some("https://a.b.example.com")
    );
    assert_eq!(header("access-control-allow-credentials"), Some("true"));
    assert_eq!(header("access-control-allow-headers"), Some("x-api-key"));
    assert_eq!(header("access-control-max-age"), Some("600"));
    assert_eq!(header("vary"), Some("Origin"));
    assert!(
        header("access-control-allow-methods")
            .unwrap()
            .contains("PATCH")
    );
    for origin in [
        "https://evil.org",
        "https://evil.org/.example.com",
        "https://example.com",
        "null",
    ] {
        let answer = preflight(origin).await;
        assert_denied(&answer, 403, "origin");
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
    assert_eq!(bed.monolith.count(), 0);

    // A refusal can be read by the page; an upstream's own word is replaced.
    let origin = ("origin", "https://app.example.org");
    let refused = ask(&bed, "GET", "/x", &[origin]).await;
    assert_denied(&refused, 401, "no-key");
    assert_eq!(
        refused.header("access-control-allow-origin"),
        Some(origin.1)
    );
    bed.monolith.behave(|_| async {
        let mut response = text(200, "fine");
        let headers = response.headers_mut();
        headers.insert("access-control-allow-origin", "*".parse().unwrap());
        headers.insert("vary", "Accept".parse().unwrap());
        response
    });
    let answer = ask(&bed, "GET", "/x", &[origin, ("x-api-key", "shop-key")]).await;
    assert_eq!(answer.header("access-control-allow-origin"), Some(origin.1));
    assert_eq!(
        answer.header("access-control-expose-headers"),
        Some("x-total")
    );
    assert_eq!(answer.headers.get_all("vary").iter().count(), 2);
    let evil = [("origin", "https://evil.org"), ("x-api-key", "shop-key")];
    let answer = ask(&bed, "GET", "/x", &evil).await;
    assert_eq!(answer.header("access-control-allow-origin"), None);
}

async fn ask4(bed: &Bed, origin: &str) -> Answer {
    let headers = [
        ("origin", origin),
        ("access-control-request-method", "PATCH"),
        ("access-control-request-headers", "x-api-key"),
    ];
    ask(bed, "OPTIONS", "/x", &headers).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_correlation_id_goes_by_a_name_of_the_teams_own() {
    let bed = guarded(
        "  policies: { correlation: { header: X-Trace, generator: \"uuid#counter\", echo: true } }",
    )
    .await;
    let brought = ask(&bed, "GET", "/x", &[("x-trace", "mine")]).await;
    assert_eq!(brought.header("x-trace"), Some("mine"));
    assert_eq!(bed.monolith.seen()[0].header("x-trace"), Some("mine"));
    let made = ask(&bed, "GET", "/x", &[]).await;
    let id = made.header("x-trace").unwrap();
    assert!(id.len() > 37 && id.as_bytes()[36] == b'#', "{id}");
    assert_eq!(bed.monolith.seen()[1].header("x-trace"), Some(id));
}
