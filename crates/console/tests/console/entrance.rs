//! Who comes in.

use crate::bed::*;
use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use serde_json::Value;

#[tokio::test]
async fn nobody_sees_anything_before_they_have_signed_in() {
    let bed = Bed::new();
    for path in [
        "/console",
        "/console/live",
        "/console/extractions/contracts",
        SHIFT,
    ] {
        for cookie in ["", "banyan_console=", "banyan_console=0123"] {
            let page = bed.get(path, cookie).await;
            assert_eq!(page.code, StatusCode::SEE_OTHER, "{path}");
            assert_eq!(page.headers[header::LOCATION], "/console/sign-in");
        }
    }
    let form = bed.get("/console/sign-in", "").await;
    let fields = format!("csrf={}&key=wrong", csrf(&form));
    let answer = bed.post("/console/sign-in", &cookie(&form), &fields).await;
    assert_eq!(answer.code, StatusCode::UNAUTHORIZED);
    assert!(answer.text.contains("not known here"), "{}", answer.text);
    // Another site's form has not the secret of ours.
    let forged = bed.post("/console/sign-in", "", "csrf=&key=token").await;
    assert_eq!(forged.code, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_way_in_is_good_once() {
    let bed = Bed::new();
    let invited = |bearer: &'static str| {
        let request = Request::post("/v1/console/sign-ins")
            .header(header::AUTHORIZATION, format!("Bearer {bearer}"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(r#"{"by":"anna"}"#))
            .unwrap();
        bed.send(request)
    };
    assert_eq!(invited("wrong").await.code, StatusCode::UNAUTHORIZED);
    let answer: Value = serde_json::from_str(&invited("token").await.text).unwrap();
    let path = answer["path"].as_str().unwrap();
    let mut look = read(path, "");
    *look.method_mut() = "HEAD".parse().unwrap();
    assert_eq!(bed.send(look).await.code, StatusCode::OK);
    let entered = bed.get(path, "").await;
    let page = bed.get("/console", &cookie(&entered)).await;
    assert!(page.text.contains("anna, approver"), "{}", page.text);
    let again = bed.get(path, "").await;
    assert_eq!(again.code, StatusCode::GONE);
    assert!(!again.headers.contains_key(header::SET_COOKIE));
}

/// A session without a name could order nothing that is kept with one.
#[tokio::test]
async fn nobody_comes_in_without_a_name() {
    let bed = Bed::new();
    for by in [r#"{"by":null}"#, r#"{"by":""}"#, r#"{"by":"  "}"#, "{}"] {
        let request = Request::post("/v1/console/sign-ins")
            .header(header::AUTHORIZATION, "Bearer token")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(by))
            .unwrap();
        let answer = bed.send(request).await;
        assert_eq!(answer.code, StatusCode::BAD_REQUEST, "{}", answer.text);
        assert!(answer.text.contains("set BANYAN_USER"), "{}", answer.text);
    }
    let form = bed.get("/console/sign-in", "").await;
    let fields = format!("csrf={}&key=token&name=+", csrf(&form));
    let answer = bed.post("/console/sign-in", &cookie(&form), &fields).await;
    assert_eq!(answer.code, StatusCode::UNAUTHORIZED);
    assert!(answer.text.contains("type yours"), "{}", answer.text);
}
