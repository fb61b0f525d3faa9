//! Keys of an issuer, read over HTTP and rotated.

use crate::{
    access::{ask, bearer, guarded, now},
    listeners::{self, Authority},
    support::*,
};
use bytes::Bytes;
use http_body_util::Full;
use jsonwebtoken::{Algorithm, EncodingKey, jwk::Jwk};
use serde_json::json;

struct Key {
    id: &'static str,
    private: EncodingKey,
}

impl Key {
    fn new(id: &'static str) -> Self {
        let pair = rcgen::KeyPair::generate().unwrap();
        let private = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).unwrap();
        Self { id, private }
    }

    fn public(&self) -> Jwk {
        let mut key = Jwk::from_encoding_key(&self.private, Algorithm::ES256).unwrap();
        key.common.key_id = Some(self.id.to_owned());
        key
    }

    fn token(&self) -> String {
        let claims = json!({"iss": "https://issuer", "sub": "7", "exp": now() + 60});
        bearer(Algorithm::ES256, &self.private, Some(self.id), &claims)
    }
}

fn publish(issuer: &Upstream, keys: &[&Key]) {
    let keys: Vec<Jwk> = keys.iter().map(|key| key.public()).collect();
    let set = Bytes::from(json!({ "keys": keys }).to_string());
    issuer.behave(move |_| {
        let set = set.clone();
        async move { http::Response::new(Full::new(set)) }
    });
}

async fn status(bed: &Bed, token: &str) -> u16 {
    ask(bed, "GET", "/x", &[("authorization", token)])
        .await
        .status
}

/// Asks until it is answered so.
async fn becomes(bed: &Bed, token: &str, wanted: u16) {
    let end = std::time::Instant::now() + DEADLINE;
    while status(bed, token).await != wanted {
        assert!(std::time::Instant::now() < end, "never {wanted}");
    }
}

async fn trusting(issuer: &Upstream, refresh: &str) -> Bed {
    reading(&format!(
        "url: \"http://{}/keys?v=1\", refresh: {refresh}",
        issuer.address
    ))
    .await
}

/// Reads keys as this says.
async fn reading(jwks: &str) -> Bed {
    guarded(&format!(
        "  jwks: {{ {jwks} }}\n  policies: {{ jwt: {{ issuers: [\"https://issuer\"] }} }}"
    ))
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_key_is_found_and_the_last_good_set_is_kept() {
    let issuer = Upstream::start("issuer").await;
    let (old, new, forged) = (Key::new("old"), Key::new("new"), Key::new("old"));
    publish(&issuer, &[&old]);
    let bed = trusting(&issuer, "1h").await;
    assert_eq!(status(&bed, &old.token()).await, 200);
    assert_eq!(issuer.seen()[0].path, "/keys?v=1");
    assert_eq!(status(&bed, &forged.token()).await, 401);
    assert_eq!(issuer.count(), 1, "a wrong signature asks for nothing");
    // An unknown key has the set read again.
    publish(&issuer, &[&old, &new]);
    becomes(&bed, &new.token(), 200).await;
    assert_eq!(status(&bed, &old.token()).await, 200);
    // The issuer fails: what was read last goes on.
    issuer.answer_with(500);
    let before = issuer.count();
    let unknown = Key::new("unknown");
    until_asked(&bed, &issuer, before, &unknown.token()).await;
    assert_eq!(status(&bed, &old.token()).await, 200);
    assert_eq!(status(&bed, &new.token()).await, 200);
}

/// Tokens with an unknown key have the set read again, but not once each.
async fn until_asked(bed: &Bed, issuer: &Upstream, before: usize, token: &str) {
    let end = std::time::Instant::now() + DEADLINE;
    let mut refused = 0;
    while issuer.count() == before {
        assert_eq!(status(bed, token).await, 401);
        refused += 1;
        assert!(std::time::Instant::now() < end, "never asked");
    }
    assert!(refused > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_taken_back_verifies_nothing() {
    let issuer = Upstream::start("issuer").await;
    let (old, new) = (Key::new("old"), Key::new("new"));
    publish(&issuer, &[&old]);
    let bed = trusting(&issuer, "100ms").await;
    let token = old.token();
    assert_eq!(status(&bed, &token).await, 200);
    publish(&issuer, &[&new]);
    becomes(&bed, &token, 401).await;
    assert_eq!(status(&bed, &new.token()).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn until_the_keys_are_read_nobody_is_told_that_a_token_is_bad() {
    let issuer = Upstream::start("issuer").await;
    let key = Key::new("a");
    issuer.answer_with(500);
    let bed = trusting(&issuer, "100ms").await;
    let answer = ask(&bed, "GET", "/x", &[("authorization", &key.token())]).await;
    answer.assert_refused("issuer-unknown");
    publish(&issuer, &[&key]);
    becomes(&bed, &key.token(), 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_read_over_tls_from_whom_the_authorities_vouch_for() {
    let issuer = Upstream::start("issuer").await;
    let key = Key::new("a");
    publish(&issuer, &[&key]);
    let authority = Authority::new();
    authority.certify("issuer", "localhost");
    let address = unused_address();
    let listener = format!(
        "{{ listen: \"{address}\", {} }}",
        authority.tls("issuer", "")
    );
    // What ends its TLS is another gateway.
    let _front = listeners::start(&format!("http://{}", issuer.address), &listener).unwrap();
    let ca = format!("ca: {}", authority.path("ca.pem"));
    let named = format!("url: \"https://localhost:{}/keys\"", address.port());
    // Nobody vouches for it, and then nobody under this name.
    for unknown in [
        named.clone(),
        format!("url: \"https://{address}/keys\", {ca}"),
    ] {
        let bed = reading(&unknown).await;
        let answer = ask(&bed, "GET", "/x", &[("authorization", &key.token())]).await;
        answer.assert_refused("issuer-unknown");
    }
    assert_eq!(issuer.count(), 0);
    let bed = reading(&format!("{named}, {ca}")).await;
    becomes(&bed, &key.token(), 200).await;
    assert_eq!(issuer.seen()[0].path, "/keys");
    assert_eq!(status(&bed, &Key::new("a").token()).await, 401);
}
