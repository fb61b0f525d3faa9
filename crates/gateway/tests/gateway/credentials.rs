//! A credential that stands twice: what was verified is the only one that goes on.

use crate::{
    access::{ask, bearer, guarded, now},
    support::*,
};
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::json;

const GUARDED: &str = r#"
  consumers:
    shop: { keys: [shop-key], jwt: [{ key: shop, secret: "0123456789abcdef" }] }
"#;

async fn bed(policies: &str) -> Bed {
    let bed = guarded(&format!("{GUARDED}  policies: {{ {policies} }}\n")).await;
    bed.settle_quietly();
    bed
}

impl Bed {
    /// Writes go to the monolith, and nobody asks whether reads could.
    fn settle_quietly(&self) {
        self.publish(1, TO_MONOLITH, 0);
    }
}

/// A token that is good, and one that anybody can make.
fn tokens() -> (String, String) {
    let claims = json!({ "iss": "shop", "sub": "good", "exp": now() + 600 });
    let token = |secret: &str| {
        let key = EncodingKey::from_secret(secret.as_bytes());
        let bearer = bearer(Algorithm::HS256, &key, None, &claims);
        bearer["Bearer ".len()..].to_owned()
    };
    (token("0123456789abcdef"), token("guess"))
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_cookies_of_the_name_that_carries_the_token_one_goes_on() {
    let bed = bed("jwt: { cookie: token }").await;
    let (good, forged) = tokens();
    let cookie = format!("a=1; token={good}; token={forged}; b=2");
    for path in ["/x", "/api/contracts"] {
        for method in ["GET", "POST"] {
            bed.monolith.forget();
            let answer = ask(&bed, method, path, &[("cookie", &cookie)]).await;
            assert_eq!(answer.status, 200);
            let seen = &bed.monolith.seen()[0];
            let wanted = format!("a=1; token={good}; b=2");
            assert_eq!(seen.header("cookie"), Some(&wanted[..]));
        }
    }
    // The first counts, whether it is good or not.
    let cookie = format!("token={forged}; token={good}");
    let answer = ask(&bed, "GET", "/x", &[("cookie", &cookie)]).await;
    assert_eq!(answer.status, 401);
    // In two lines of the head.
    bed.monolith.forget();
    let (one, two) = (format!("token={good}"), format!("token={forged}"));
    let lines = [("cookie", &one[..]), ("cookie", &two)];
    assert_eq!(ask(&bed, "GET", "/x", &lines).await.status, 200);
    let seen = &bed.monolith.seen()[0];
    let cookies: Vec<_> = seen.headers.get_all("cookie").iter().collect();
    assert_eq!(cookies, [&one[..]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_places_the_one_that_was_verified_goes_on() {
    let bed = bed("jwt: { cookie: token, query: token }").await;
    let (good, forged) = tokens();
    let header = format!("Bearer {good}");
    let cookie = format!("token={forged}; a=1");
    let headers = [("authorization", &header[..]), ("cookie", &cookie)];
    let path = format!("/x?token={forged}&b=2");
    assert_eq!(ask(&bed, "GET", &path, &headers).await.status, 200);
    let seen = &bed.monolith.seen()[0];
    assert_eq!(seen.path, "/x?b=2");
    assert_eq!(seen.header("cookie"), Some("a=1"));
    assert_eq!(seen.header("authorization"), Some(&header[..]));
    // Nothing is touched where it stands alone.
    bed.monolith.forget();
    let path = format!("/x?b=2&token={good}");
    assert_eq!(ask(&bed, "GET", &path, &[]).await.status, 200);
    assert_eq!(bed.monolith.seen()[0].path, path);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_browser_sends_by_itself_is_refused() {
    let keys = bed("keys: { header: X-API-Key, query: apikey }").await;
    let key = ("x-api-key", "shop-key");
    for (path, headers) in [
        ("/x", vec![key, ("x-api-key", "other")]),
        ("/x", vec![key, key]),
        ("/x", vec![key, ("x_api_key", "other")]),
        ("/x", vec![("x_api_key", "other"), key]),
        ("/x?apikey=shop-key&apikey=other", vec![]),
        ("/x?apikey=shop-key;apikey=other", vec![]),
        ("/x?apikey=shop-key&apikey[]=other", vec![]),
        ("/x?apikey=shop-key&%61pikey=other", vec![]),
        ("/x?a=1;apikey=other", vec![key]),
    ] {
        let answer = ask(&keys, "GET", path, &headers).await;
        assert_eq!(answer.status, 400, "{path} {headers:?}: {answer:?}");
        assert!(answer.body.contains("\"credential-twice\""), "{answer:?}");
    }
    let tokens_bed = bed("jwt: { cookie: token }").await;
    let (good, forged) = tokens();
    let bearer = format!("Bearer {good}");
    let other = format!("Bearer {forged}");
    for headers in [
        vec![("authorization", bearer.clone()), ("authorization", other)],
        vec![("cookie", format!("token={good}, token={forged}"))],
        vec![("cookie", format!("token={good}; %74oken={forged}"))],
    ] {
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| (*name, &value[..]))
            .collect();
        let answer = ask(&tokens_bed, "GET", "/x", &headers).await;
        assert_eq!(answer.status, 400, "{headers:?}: {answer:?}");
    }
    assert_eq!((keys.monolith.count(), tokens_bed.monolith.count()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_beside_a_token_is_a_credential_of_its_own() {
    let bed = bed("jwt: {}, keys: { hide: true }").await;
    let (good, _) = tokens();
    let bearer = format!("Bearer {good}");
    let headers = [("authorization", &bearer[..]), ("x-api-key", "shop-key")];
    assert_eq!(ask(&bed, "GET", "/x", &headers).await.status, 200);
    let seen = &bed.monolith.seen()[0];
    assert_eq!(seen.header("authorization"), Some(&bearer[..]));
    assert_eq!(seen.header("x-api-key"), None);
}
