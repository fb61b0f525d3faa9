//! What every answer and every form is held to.

use crate::bed::*;
use axum::{
    body::Body,
    http::{StatusCode, header},
};

#[tokio::test]
async fn every_answer_is_guarded() {
    let bed = Bed::new();
    let (cookie, _) = bed.sign_in("token").await;
    for path in [
        "/console",
        "/console/sign-in",
        "/console/extractions/contracts",
        "/console/extractions/contracts/points",
        "/console/extractions/contracts/evidence",
        "/console/extractions/contracts/retire",
        SHIFT,
        "/console/freeze",
        "/console/differences",
        "/console/routes",
        "/console/approvals",
        "/console/report",
        "/console/flags",
        "/console/assets/console.css",
        "/console/assets/none",
        "/console/none",
        "/console/extractions/contracts/none",
        "/console/extractions/contracts/decisions/1",
        "/console/extractions/contracts/decisions/none",
        "/console/extractions/contracts/order/rehearse",
        "/console/extractions/none",
    ] {
        let page = bed.get(path, &cookie).await;
        let policy = page.headers[header::CONTENT_SECURITY_POLICY]
            .to_str()
            .unwrap();
        assert!(
            policy.starts_with("default-src 'none'") && !policy.contains("unsafe"),
            "{path}: {policy}"
        );
        assert_eq!(page.headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert_eq!(page.headers[header::REFERRER_POLICY], "no-referrer");
        for inline in [
            " style=",
            "<style",
            " onclick=",
            "javascript:",
            "http://",
            "https://",
        ] {
            let is_page = page.text.starts_with("<!doctype");
            assert!(!is_page || !page.text.contains(inline), "{path}: {inline}");
        }
    }
}

#[tokio::test]
async fn what_is_not_there_gets_a_page_with_the_way_back() {
    let bed = Bed::new();
    let (cookie, _) = bed.sign_in("token").await;
    let not_found = StatusCode::NOT_FOUND;
    for (path, code, text) in [
        ("/console/none", not_found, "no page /console/none"),
        (
            "/console/a/b/c/%3Cb%3E",
            not_found,
            "no page /console/a/b/c/",
        ),
        (
            "/console/extractions/none",
            not_found,
            "no extraction `none`",
        ),
        (
            "/console/extractions/contracts/decisions/none",
            StatusCode::BAD_REQUEST,
            "none",
        ),
    ] {
        // What is not there is not there for anybody.
        for cookie in [&cookie, ""] {
            let page = bed.get(path, cookie).await;
            if cookie.is_empty() && page.code == StatusCode::SEE_OTHER {
                continue;
            }
            assert_eq!(page.code, code, "{path}");
            assert!(page.text.starts_with("<!doctype html>"), "{path}");
            assert!(page.text.contains(text), "{path}: {}", page.text);
            assert!(page.text.contains("href=\"/console\">Back"), "{path}");
        }
    }
    let page = bed.post("/console/flags", &cookie, "").await;
    assert_eq!(page.code, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(page.headers[header::ALLOW], "GET,HEAD");
    let text = "/console/flags does not take POST";
    assert!(page.text.contains(text), "{}", page.text);
}

#[tokio::test]
async fn another_name_for_this_address_reads_nothing() {
    let bed = Bed::new();
    let (cookie, _) = bed.sign_in("token").await;
    let asked = |host: &str| {
        let mut request = read("/console", &cookie);
        let host = host.parse().unwrap();
        request.headers_mut().insert(header::HOST, host);
        bed.send(request)
    };
    let foreign = asked("rebound.example:7600").await;
    assert_eq!(foreign.code, StatusCode::MISDIRECTED_REQUEST);
    assert!(!foreign.text.contains("contracts"), "{}", foreign.text);
    assert_eq!(asked("[::1]:7600").await.code, StatusCode::OK);
}

#[tokio::test]
async fn only_a_form_of_the_session_orders_anything() {
    let bed = Bed::new();
    let (cookie, secret) = bed.sign_in("olaf-key").await;
    let (_, of_another) = bed.sign_in("olaf-key").await;
    for forged in [
        "reads=50%25".to_owned(),
        "csrf=&reads=50%25".to_owned(),
        format!("csrf={of_another}&reads=50%25"),
    ] {
        let page = bed.post(SHIFT, &cookie, &forged).await;
        assert_eq!(page.code, StatusCode::FORBIDDEN, "{forged}");
    }
    let expected = bed.expected(SHIFT, &cookie).await;
    let fields = format!("csrf={secret}&reads=50&{expected}");
    let mut foreign = read(SHIFT, &cookie);
    *foreign.method_mut() = "POST".parse().unwrap();
    let site = "cross-site".parse().unwrap();
    foreign.headers_mut().insert("sec-fetch-site", site);
    *foreign.body_mut() = Body::from(fields.clone());
    assert_eq!(bed.send(foreign).await.code, StatusCode::FORBIDDEN);
    assert!(bed.fake.orders.lock().unwrap().is_empty());

    let done = bed.post(SHIFT, &cookie, &fields).await;
    assert_eq!(done.code, StatusCode::SEE_OTHER, "{}", done.text);
    let orders = bed.fake.orders.lock().unwrap().clone();
    let [(order, parameters)] = orders.as_slice() else {
        panic!("{orders:?}");
    };
    assert_eq!(order, "shift contracts");
    assert_eq!(parameters["reads"], "50%");
    assert_eq!(parameters["by"], "olaf");
    let after = bed
        .get("/console/extractions/contracts", &cookie)
        .await
        .text;
    assert!(
        after.contains("Shift readers of contracts: 10 %"),
        "{after}"
    );
}
