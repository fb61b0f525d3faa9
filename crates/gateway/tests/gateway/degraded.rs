//! Answers while both sides are down.

use crate::{access::ask, support::*};

const PATH: &str = "/api/contracts";
const USER: Option<&str> = Some("reader");

#[tokio::test(flavor = "multi_thread")]
async fn kept_answers_are_served_only_while_both_sides_are_down() {
    let bed = Bed::shaped_and_settled("", "degraded: { cache: 1h, bytes: 64KiB }", "").await;
    assert_eq!(bed.get(PATH, USER).await.body, "service");
    bed.service.behave(|_| async { text(200, "newer") });
    let fresh = bed.get(PATH, USER).await;
    assert_eq!(
        (fresh.body.as_str(), fresh.header("x-banyan-degraded")),
        ("newer", None)
    );

    bed.service.answer_with(503);
    assert_eq!(bed.get(PATH, USER).await.body, "monolith");
    bed.service.answer_with(200);
    bed.service.behave(|_| async { text(200, "newest") });
    assert_eq!(bed.get(PATH, USER).await.body, "newest");

    bed.service.answer_with(503);
    bed.monolith.answer_with(503);
    let kept = bed.get(PATH, USER).await;
    assert_eq!((kept.status, kept.body.as_str()), (200, "newest"));
    assert_eq!(kept.header("x-banyan-degraded"), Some("1"));
    assert_eq!(kept.header("x-banyan-side"), Some("service"));
    assert!(kept.header("age").unwrap().parse::<u64>().unwrap() < 60);
    // Nobody else's, nothing else, and no write.
    assert_eq!(bed.get(PATH, Some("other")).await.status, 503);
    assert_eq!(bed.get("/api/contracts/7", USER).await.status, 503);
    assert_eq!(bed.post(PATH, USER, "x").await.status, 503);
    assert_eq!(bed.get("/stays", None).await.status, 503);
    assert_eq!(
        bed.metric("banyan_degraded_total{upstream=\"contracts\"}"),
        1
    );

    bed.monolith.answer_with(200);
    assert_eq!(bed.get(PATH, USER).await.body, "told so");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stays_is_kept_by_the_monoliths_own_word() {
    let bed = Bed::shaped_and_settled("degraded: { cache: 1h, bytes: 64KiB }", "", "").await;
    for (path, header, value) in [
        ("/plain", "x-any", "1"),
        ("/private", "cache-control", "private"),
        ("/cookie", "set-cookie", "a=b"),
        ("/vary", "vary", "cookie"),
    ] {
        bed.monolith.behave(move |_| async move {
            let mut answer = text(200, "kept");
            answer.headers_mut().insert(header, value.parse().unwrap());
            answer
        });
        assert_eq!(bed.get(path, None).await.status, 200);
    }
    let large: &'static str = "x".repeat(20_000).leak();
    bed.monolith
        .behave(move |_| async move { text(200, large) });
    assert_eq!(bed.get("/large", None).await.body.len(), 20_000);
    bed.monolith.behave(|_| async { text(504, "") });
    for (path, status) in [
        ("/plain", 200),
        ("/private", 504),
        ("/cookie", 504),
        ("/vary", 504),
        ("/large", 504),
    ] {
        assert_eq!(bed.get(path, None).await.status, status, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_says_of_hosts_and_schemes_becomes_nobody_elses_answer() {
    // A proxy that is trusted, and lets its clients say what they like.
    let (kept, trusted) = (
        "degraded: { cache: 1h, bytes: 64KiB }",
        "trusted: [127.0.0.1]",
    );
    let bed = Bed::shaped_and_settled(kept, "", trusted).await;
    let forged = [
        ("/host", "x-forwarded-host", "evil.example"),
        ("/scheme", "x-forwarded-proto", "https"),
        ("/prefix", "x-forwarded-prefix", "/evil"),
        ("/other-scheme", "x-forwarded-scheme", "https"),
        ("/path", "x-rewrite-url", "/evil"),
    ];
    bed.monolith
        .behave(|_| async { text(200, "made of what was forged") });
    for (path, name, value) in forged {
        assert_eq!(ask(&bed, "GET", path, &[(name, value)]).await.status, 200);
    }
    bed.monolith.behave(|_| async { text(504, "") });
    for (path, name, value) in forged {
        assert_eq!(bed.get(path, None).await.status, 504, "{path}");
        let own = ask(&bed, "GET", path, &[(name, value)]).await;
        assert_eq!(own.header("x-banyan-degraded"), Some("1"), "{path}");
    }
}
