//! Users' tokens by keys that an issuer publishes and replaces.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::routing::get as at_get;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use kit::{Json, Service, User};
use parking_lot::Mutex;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData};
use serde_json::{Value, json};

use crate::support::{Answer, send, serving, started, url};

struct Key {
    id: &'static str,
    pair: KeyPair,
}

impl Key {
    fn new(id: &'static str) -> Self {
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        Self { id, pair }
    }

    fn published(&self) -> Value {
        // An uncompressed point: 4, and both coordinates.
        let point = self.pair.der_bytes();
        let [x, y] = [&point[1..33], &point[33..]].map(|half| URL_SAFE_NO_PAD.encode(half));
        json!({ "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": self.id,
                "x": x, "y": y })
    }

    fn token(&self) -> String {
        let key = EncodingKey::from_ec_pem(self.pair.serialize_pem().as_bytes()).unwrap();
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(self.id.to_owned());
        encode(&header, &claims(), &key).unwrap()
    }
}

fn claims() -> Value {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    json!({ "sub": "42", "exp": now + 60 })
}

async fn with(running: &kit::server::Running, token: &str) -> Answer {
    let header = format!("Authorization: Bearer {token}\r\n");
    send(running, "GET /user", &header, "").await
}

#[tokio::test]
async fn keys_are_read_replaced_and_kept() {
    let (first, second) = (Key::new("first"), Key::new("second"));
    let set = Arc::new(Mutex::new(vec![first.published()]));
    let shown = Arc::clone(&set);
    let publish = at_get(move || {
        let keys = shown.lock().clone();
        async move { Json(json!({ "keys": keys })) }
    });
    let issuer = serving(Router::new().route("/jwks", publish)).await;
    let router = Router::new().route("/user", at_get(|user: User| async move { user.subject }));
    let jwks = format!("{}/jwks", url(&issuer));
    let settings = [("JWT_JWKS_URL", jwks.as_str())];
    let running = started(&settings, Service::new(router)).await;

    assert_eq!(with(&running, &first.token()).await.body, "42");
    with(&running, &second.token())
        .await
        .is_problem(401, "token-signature");
    // The public key is no secret to sign by.
    let public = first.published().to_string();
    let confused = EncodingKey::from_secret(public.as_bytes());
    let confused = encode(&Header::new(Algorithm::HS256), &claims(), &confused).unwrap();
    with(&running, &confused)
        .await
        .is_problem(401, "token-algorithm");
    // Signed by the second, in the name of the first.
    let stolen = Key {
        id: "first",
        pair: second.pair,
    };
    with(&running, &stolen.token())
        .await
        .is_problem(401, "token-signature");

    // The issuer takes a new key: it is found when a token first names it.
    let third = Key::new("third");
    *set.lock() = vec![third.published()];
    let deadline = tokio::time::Instant::now() + crate::support::TIMEOUT;
    while with(&running, &third.token()).await.body != "42" {
        assert!(
            tokio::time::Instant::now() < deadline,
            "the new key is not read"
        );
    }
    with(&running, &first.token())
        .await
        .is_problem(401, "token-signature");

    // Anybody can make up tokens that name unknown keys.
    let (made_up, fresh) = (Key::new("made-up").token(), third.token());
    let flooding = (0..100).map(|_| with(&running, &made_up));
    let flood = futures_util::future::join_all(flooding);
    let (flood, good) = tokio::join!(flood, with(&running, &fresh));
    assert!(flood.iter().all(|answer| answer.status == 401));
    assert_eq!(good.body, "42");

    // It goes away: what was read stays.
    issuer.stop().await;
    assert_eq!(with(&running, &third.token()).await.body, "42");
    running.stop().await;
}

#[tokio::test]
async fn without_keys_nothing_can_be_said() {
    let free = testbed::ports::free().unwrap();
    let jwks = format!("http://127.0.0.1:{free}/jwks");
    let router = Router::new().route("/user", at_get(|user: User| async move { user.subject }));
    let running = started(&[("JWT_JWKS_URL", &jwks)], Service::new(router)).await;
    let answer = with(&running, &Key::new("first").token()).await;
    answer.is_problem(503, "keys-unavailable");
    running.stop().await;
}
