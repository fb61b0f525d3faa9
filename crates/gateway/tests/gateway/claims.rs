//! Clients that are known by a claim of their token.

use crate::{
    access::{ask, bearer, now},
    support::*,
};
use jsonwebtoken::{Algorithm, EncodingKey};
use protocol::Side;
use serde_json::json;

const PATH: &str = "/api/contracts";
const SECRET: &[u8] = b"a secret for tokens";

const POLICIES: &str = r#"
  consumers: { web: { jwt: [{ key: web, secret: "a secret for tokens" }] } }
"#;

async fn bed(share: u16) -> Bed {
    let knobs = Knobs {
        gateway: POLICIES,
        extraction: "    policies: { jwt: {} }",
        ..Knobs::default()
    };
    let bed = Bed::changed(knobs, |plan| {
        let extraction = plan.extractions.get_mut(&contracts()).unwrap();
        extraction.cohort_key = plan::CohortKey::Claim("sub".to_owned());
    })
    .await;
    bed.publish(1, TO_MONOLITH, share);
    bed
}

fn token(subject: &str, secret: &[u8]) -> String {
    let claims = json!({"iss": "web", "sub": subject, "exp": now() + 600});
    let key = EncodingKey::from_secret(secret);
    bearer(Algorithm::HS256, &key, None, &claims)
}

async fn side(bed: &Bed, method: &str, token: &str) -> Option<String> {
    let answer = ask(bed, method, PATH, &[("authorization", token)]).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.side().map(str::to_owned)
}

fn explained(bed: &Bed, token: &str) -> String {
    let request = http::Request::get(PATH)
        .header("host", "a")
        .header("authorization", token);
    let request = request.body(bytes::Bytes::new()).unwrap();
    let address = std::net::Ipv4Addr::LOCALHOST.into();
    bed.gateway.explain(request, address).unwrap().why
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verified_claim_splits_and_pins() {
    let bed = bed(50).await;
    let end = std::time::Instant::now() + DEADLINE;
    // The first that the share covers, once the start is settled.
    let mut covered = None;
    while covered.is_none() {
        assert!(std::time::Instant::now() < end, "the share covers nobody");
        for subject in ["1", "2", "3", "4", "5", "6", "7", "8"] {
            let token = token(subject, SECRET);
            if side(&bed, "GET", &token).await.as_deref() == Some("service") {
                covered = Some(token);
                break;
            }
        }
    }
    let covered = covered.unwrap();
    let why = explained(&bed, &covered);
    assert!(why.contains("by the claim `sub`"), "{why}");
    assert!(why.contains("is within the share of 50%"), "{why}");
    bed.mover.position(Some(50));
    assert_eq!(
        side(&bed, "POST", &covered).await.as_deref(),
        Some("monolith")
    );
    assert_eq!(
        side(&bed, "GET", &covered).await.as_deref(),
        Some("monolith")
    );
    bed.mover.applied(Side::Monolith, 50);
    while side(&bed, "GET", &covered).await.as_deref() != Some("service") {
        assert!(std::time::Instant::now() < end, "pinned for ever");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_that_is_not_verified_names_nobody() {
    let bed = bed(100).await;
    let forged = token("1", b"another secret");
    let answer = ask(&bed, "GET", PATH, &[("authorization", &forged)]).await;
    assert_eq!(answer.status, 401);
    let why = explained(&bed, &forged);
    // Who is let in is asked first.
    assert!(why.starts_with("401: "), "{why}");
}
