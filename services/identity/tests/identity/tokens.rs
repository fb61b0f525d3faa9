//! Access tokens: what they say, who believes them, which ones are refused.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use identity::IDENTITY;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use kit::settings;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::scene::{SECRET, Scene};

/// A P-256 key in PKCS #8, as `openssl genpkey` makes it.
fn private_key() -> String {
    rcgen::KeyPair::generate().unwrap().serialize_pem()
}

fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

fn signed(claims: &Value, algorithm: Algorithm, key: &EncodingKey) -> String {
    jsonwebtoken::encode(&Header::new(algorithm), claims, key).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_as_it_was_issued_is_refused() {
    let scene = Scene::new(&[("JWT_AUDIENCE", "land"), ("JWT_ISSUER", "identity")]).await;
    scene.register("testuser").await;
    let (access, refresh) = scene.tokens("testuser").await;
    let good = claims(&access);
    assert_eq!(
        (&good["aud"], &good["iss"]),
        (&json!("land"), &json!("identity"))
    );
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let own = EncodingKey::from_secret(SECRET.as_bytes());
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        signed(&claims, Algorithm::HS256, &own)
    };
    assert_eq!(
        scene.get("/auth/me", &with("jti", json!("x"))).await.status,
        200
    );
    let parts: Vec<_> = access.split('.').collect();
    let head = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let none = format!("{}.{}.", head(r#"{"alg":"none","typ":"JWT"}"#), parts[1]);
    let other = EncodingKey::from_secret(b"another secret that is long enough as well");
    let mut forged = good.clone();
    forged["sub"] = json!("1");
    let forged = format!("{}.{}.{}", parts[0], head(&forged.to_string()), parts[2]);
    let table = [
        (none, "token-algorithm"),
        (signed(&good, Algorithm::HS512, &own), "token-algorithm"),
        (signed(&good, Algorithm::HS256, &other), "token-signature"),
        (forged, "token-signature"),
        (with("exp", json!(now - 60)), "token-expired"),
        (with("nbf", json!(now + 60)), "token-not-yet"),
        (with("aud", json!("sea")), "token-audience"),
        (with("iss", json!("somebody")), "token-issuer"),
        (with("sid", json!("x")), "token-malformed"),
        (with("sid", Value::Null), "token-malformed"),
        (
            with("sid", json!("00000000-0000-4000-8000-000000000000")),
            "session-ended",
        ),
        // The wrong one of both.
        (refresh.clone(), "token-malformed"),
        ("x".repeat(9000), "token-malformed"),
        ("..".to_owned(), "token-malformed"),
    ];
    for (token, kind) in table {
        scene.get("/auth/me", &token).await.is_problem(401, kind);
    }
    scene
        .refresh(&access)
        .await
        .is_problem(401, "token-unknown");
    assert_eq!(scene.refresh(&refresh).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn others_verify_tokens_by_the_published_keys() {
    // As an environment without line ends has it.
    let key = private_key().replace('\n', "\\n");
    let former_key = private_key();
    let variables = [
        ("JWT_SECRET_KEY", ""),
        ("JWT_SIGNING_KEY", &*key),
        ("JWT_FORMER_SIGNING_KEY", &*former_key),
    ];
    let scene = Scene::new(&variables).await;
    scene.register("testuser").await;
    let (access, _) = scene.tokens("testuser").await;
    assert_eq!(scene.get("/auth/me", &access).await.status, 200);

    let answer = scene.send("GET /.well-known/jwks.json", "", "").await;
    assert!(
        answer
            .header("cache-control")
            .is_some_and(|value| value.contains("max-age"))
    );
    assert!(
        !answer.body.contains("\"d\"") && !answer.body.contains("\"k\""),
        "{}",
        answer.body
    );
    let keys: JwkSet = serde_json::from_value(answer.json()).unwrap();
    assert_eq!(keys.keys.len(), 2);
    let header = jsonwebtoken::decode_header(&access).unwrap();
    assert_eq!(header.alg, Algorithm::ES256);
    let key = DecodingKey::from_jwk(keys.find(&header.kid.unwrap()).unwrap()).unwrap();
    let mut validation = Validation::new(Algorithm::ES256);
    validation.validate_aud = false;
    let decoded = jsonwebtoken::decode::<Value>(&access, &key, &validation).unwrap();
    assert_eq!(decoded.claims["roles"], json!([]));

    // By the former key, as long as it is published.
    let mut header = Header::new(Algorithm::ES256);
    header.kid = keys.keys[1].common.key_id.clone();
    let former = EncodingKey::from_ec_pem(former_key.as_bytes()).unwrap();
    let by_former = jsonwebtoken::encode(&header, &claims(&access), &former).unwrap();
    assert_eq!(scene.get("/auth/me", &by_former).await.status, 200);
    // The public key is no secret to sign by.
    header.kid = Some("nobody".to_owned());
    let unknown = jsonwebtoken::encode(&header, &claims(&access), &former).unwrap();
    scene
        .get("/auth/me", &unknown)
        .await
        .is_problem(401, "token-signature");
    let confused = EncodingKey::from_secret(answer.body.as_bytes());
    let confused = signed(&claims(&access), Algorithm::HS256, &confused);
    scene
        .get("/auth/me", &confused)
        .await
        .is_problem(401, "token-algorithm");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_keys_are_told_at_start_and_not_repeated() {
    let key = &*private_key();
    let table = [
        (vec![], "JWT_SECRET_KEY"),
        (vec![("JWT_SECRET_KEY", "s3cret")], "shorter"),
        (vec![("JWT_SIGNING_KEY", "s3cret")], "JWT_SIGNING_KEY"),
        (
            vec![
                ("JWT_SIGNING_KEY", key),
                ("JWT_FORMER_SIGNING_KEY", "s3cret"),
            ],
            "JWT_FORMER_SIGNING_KEY",
        ),
    ];
    for (mut variables, expected) in table {
        variables.push(("DATABASE_URL", "postgresql://a:b@127.0.0.1:1/d"));
        let lookup = |name: &str| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let (common, own) = settings::read(&IDENTITY, &lookup).unwrap();
        let kit = kit::Kit::new(IDENTITY, common);
        let error = identity::assemble(kit, own).await.unwrap_err().to_string();
        assert!(
            error.contains(expected) && !error.contains("s3cret"),
            "{error}"
        );
    }
}
