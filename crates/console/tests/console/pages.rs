//! What pages say.

use crate::bed::*;
use axum::http::{StatusCode, header};
use conductor::status::BrownOutStatus;
use futures_util::StreamExt;
use std::time::Duration;
use tower::ServiceExt;

#[tokio::test]
async fn a_viewer_sees_what_is_missing_until_the_old_side_may_go() {
    let bed = Bed::new();
    let (cookie, _) = bed.sign_in("vera-key").await;
    let one = bed
        .get("/console/extractions/contracts", &cookie)
        .await
        .text;
    let path = "/console/extractions/contracts/retire";
    assert!(one.contains(path), "{one}");
    let page = bed.get(path, &cookie).await;
    assert_eq!(page.code, StatusCode::OK, "{}", page.text);
    for text in [
        "Nobody may use the old side for 3 d.",
        "at the earliest, in 24 h. One item of the checklist is open.",
        "2 d of 3 d",
        "public.contracts was read 1 times",
        "long enough",
        "1,234",
        "GET /v0/contracts/*",
        "old-job",
        "the team runs the service by itself",
        "not yet",
        "banyan retire contracts --to",
        "remove-old-tables.sql",
    ] {
        assert!(page.text.contains(text), "{text}: {}", page.text);
    }
    // Nothing of it is done from here.
    assert!(!page.text.contains("order/retire"), "{}", page.text);
}

#[tokio::test]
async fn a_brown_out_is_noticed_while_it_lasts() {
    let bed = Bed::new();
    let (cookie, _) = bed.sign_in("vera-key").await;
    let path = "/console/extractions/contracts";
    let notice = "A brown-out, by ada: until ";
    let before = bed.get(path, &cookie).await.text;
    assert!(!before.contains(notice), "{before}");
    bed.fake.status.lock().unwrap().extractions[0].brown_out = Some(BrownOutStatus {
        since_ms: 1_790_000_000_000,
        until_ms: 1_790_000_600_000,
        sunset_ms: 1_800_000_000_000,
        by: "ada".to_owned(),
    });
    let page = bed.get(path, &cookie).await.text;
    assert!(page.contains(notice), "{page}");
}

#[tokio::test]
async fn flags_and_declarations_say_who_and_why() {
    let bed = Bed::new();
    let (cookie, _) = bed.sign_in("vera-key").await;
    let flags = bed.get("/console/flags", &cookie).await.text;
    for text in [
        "everybody to the monolith; 2 users to the service",
        "By the plan <code>77c1</code>, reloaded by <b>ada</b>",
        "which does not say by whom",
    ] {
        assert!(flags.contains(text), "{text}: {flags}");
    }
    let found = bed.get("/console/differences", &cookie).await.text;
    for text in [
        "each host names itself",
        "Declare it volatile",
        "- place: &#34;$.seen&#34;",
        "by: &#34;olaf&#34;",
    ] {
        assert!(found.contains(text), "{text}: {found}");
    }
}

#[tokio::test]
async fn each_decision_leads_to_what_it_went_by() {
    let bed = Bed::new();
    let (cookie, _) = bed.sign_in("vera-key").await;
    let one = "/console/extractions/contracts";
    let log = bed.get(one, &cookie).await.text;
    for seq in [1, 2] {
        let link = format!("href=\"{one}/decisions/{seq}\"");
        assert!(log.contains(&link), "{link}: {log}");
    }
    let refused = bed.get(&format!("{one}/decisions/2"), &cookie).await.text;
    for text in [
        "not&#60;/b&#62; healthy",
        "<dt>The order</dt>",
        &format!("href=\"{one}/decisions/1\""),
        &format!("{:064}", 2),
    ] {
        assert!(refused.contains(text), "{text}: {refused}");
    }
    let order = bed.get(&format!("{one}/decisions/1"), &cookie).await.text;
    for text in ["<code>5f0a</code>", "<dt>What came of it</dt>", "By olaf."] {
        assert!(order.contains(text), "{text}: {order}");
    }
    let none = bed.get(&format!("{one}/decisions/3"), &cookie).await;
    assert_eq!(none.code, StatusCode::NOT_FOUND, "it is of all extractions");
}

#[tokio::test]
async fn grafana_is_linked_where_the_plan_names_it() {
    let bed = Bed::new();
    let (cookie, _) = bed.sign_in("vera-key").await;
    let paths = ["/console", "/console/extractions/contracts"];
    for path in paths {
        let page = bed.get(path, &cookie).await.text;
        assert!(!page.contains("Grafana"), "{page}");
    }
    let address = "https://ops.example/grafana".to_owned();
    bed.fake.status.lock().unwrap().grafana = Some(address);
    for path in paths {
        let page = bed.get(path, &cookie).await.text;
        let link = "<a href=\"https://ops.example/grafana/d/banyan-migration\" rel=\"noreferrer\">";
        assert!(page.contains(link), "{page}");
    }
}

#[tokio::test]
async fn pages_say_how_it_stands_and_what_comes_next() {
    let bed = Bed::new();
    let (cookie, csrf) = bed.sign_in("olaf-key").await;
    let all = bed.get("/console", &cookie).await.text;
    assert!(
        all.contains("The monolith owns its data still; contracts needs you."),
        "{all}"
    );
    let one = bed
        .get("/console/extractions/contracts", &cookie)
        .await
        .text;
    for text in [
        "Shift to 50 %",
        "10 % of the readers are at the",
        "olaf, operator",
    ] {
        assert!(one.contains(text), "{text}: {one}");
    }
    let gone = bed.get("/console/extractions/none", &cookie).await;
    assert_eq!(gone.code, StatusCode::NOT_FOUND);
    assert!(gone.text.contains("no extraction"), "{}", gone.text);

    let out = bed
        .post("/console/sign-out", &cookie, &format!("csrf={csrf}"))
        .await;
    assert_eq!(out.code, StatusCode::SEE_OTHER);
    let after = bed.get("/console", &cookie).await;
    assert_eq!(after.code, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_page_comes_again_when_it_has_changed_and_ends_with_its_process() {
    let bed = Bed::new();
    let (cookie, _) = bed.sign_in("token").await;
    let request = read("/console/extractions/contracts/live", &cookie);
    let response = bed.router.clone().oneshot(request).await.unwrap();
    assert_eq!(
        response.headers()[header::CONTENT_TYPE],
        "text/event-stream"
    );
    let mut events = response.into_body().into_data_stream();
    let mut next = async || {
        let event = tokio::time::timeout(Duration::from_secs(20), events.next());
        let event = event.await.unwrap();
        event.map(|event| String::from_utf8(event.unwrap().to_vec()).unwrap())
    };
    let first = next().await.unwrap();
    assert!(
        first.contains("event: page") && first.contains("Shift to 50 %"),
        "{first}"
    );
    bed.fake.status.lock().unwrap().extractions[0].reads_percent = 50.0;
    let second = next().await.unwrap();
    assert!(second.contains("Shift to 100 %"), "{second}");
    bed.stop.cancel();
    let last = next().await.unwrap();
    assert!(last.contains("event: over"), "{last}");
    assert_eq!(next().await, None);
    let page = bed.get("/console", &cookie).await;
    assert_eq!(page.code, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(page.headers[header::CONNECTION], "close");
}
