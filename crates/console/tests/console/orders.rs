//! What is ordered is what was shown.

use crate::bed::*;
use axum::http::StatusCode;
use conductor::status::{NextVerb, RolloutStatus};

const ORDER: &str = "/console/extractions/contracts/order";

/// A page of before a colleague's rollback orders nothing, and one without what it showed
/// does not either.
#[tokio::test]
async fn a_page_orders_what_it_showed() {
    let bed = Bed::new();
    let (cookie, secret) = bed.sign_in("olaf-key").await;
    let switch = format!("{ORDER}/switch");
    let expected = bed.expected(&switch, &cookie).await;
    bed.fake.status.lock().unwrap().extractions[0].epoch = 2;
    let fields = format!("csrf={secret}&{expected}");
    let late = bed.post(&switch, &cookie, &fields).await;
    assert_eq!(late.code, StatusCode::CONFLICT);
    assert!(late.text.contains("its epoch was"), "{}", late.text);
    for page in ["switch", "start", "finish", "rollback", "resume"] {
        let without = format!("csrf={secret}&name=contracts");
        let page = bed
            .post(&format!("{ORDER}/{page}"), &cookie, &without)
            .await;
        assert_eq!(page.code, StatusCode::BAD_REQUEST, "{}", page.text);
    }
    assert!(bed.fake.orders.lock().unwrap().is_empty());
    // What takes harm back comes through however late it is.
    for verb in ["withdraw", "pause", "verify"] {
        let path = format!("{ORDER}/{verb}");
        let page = bed.post(&path, &cookie, &format!("csrf={secret}")).await;
        assert_eq!(page.code, StatusCode::SEE_OTHER, "{verb}: {}", page.text);
    }
    let expected = bed.expected(&switch, &cookie).await;
    let fields = format!("csrf={secret}&{expected}");
    let done = bed.post(&switch, &cookie, &fields).await;
    assert_eq!(done.code, StatusCode::SEE_OTHER, "{}", done.text);
    let (_, parameters) = bed.fake.orders.lock().unwrap().pop().unwrap();
    let expected = &parameters["expected"];
    assert_eq!(expected["phase"], "following");
    assert_eq!(expected["epoch"], 2);
    assert_eq!(expected["reads_percent"], 10.0);
}

/// A button that asks nothing carries it, too.
#[tokio::test]
async fn a_button_orders_what_its_page_showed() {
    let bed = Bed::new();
    let (cookie, _) = bed.sign_in("olaf-key").await;
    bed.fake.status.lock().unwrap().extractions[0].phase = "planned".to_owned();
    let expected = bed
        .expected("/console/extractions/contracts", &cookie)
        .await;
    assert!(expected.contains("planned"), "{expected}");
}

/// A step that a colleague lets begin between the look and the click is not approved by
/// that click, nor is the next one.
#[tokio::test]
async fn what_is_approved_is_the_step_that_was_shown() {
    let bed = Bed::new();
    let (cookie, _) = bed.sign_in("token").await;
    let waits = |step: usize, of: &str| RolloutStatus {
        state: "running".to_owned(),
        step: Some(step),
        decisions: u64::try_from(step).unwrap(),
        steps: vec!["reads 10%".to_owned(), "switch".to_owned()],
        asks: Some(NextVerb::Approve {
            step,
            of: Some(of.to_owned()),
        }),
        ..RolloutStatus::default()
    };
    let stands = |rollout| bed.fake.status.lock().unwrap().extractions[0].rollout = Some(rollout);
    stands(waits(1, "the report"));
    let page = bed.get("/console/approvals", &cookie).await.text;
    let (_, rest) = page.split_once("order/approve?").unwrap();
    let query = rest.split('"').next().unwrap();
    let link = format!("{ORDER}/approve?{query}");
    let asks = bed.get(&link, &cookie).await.text;
    for text in ["1 of 2 (reads 10%)", "<dd>the report</dd>"] {
        assert!(asks.contains(text), "{text}: {asks}");
    }
    stands(waits(2, "the rehearsal"));
    let asks = bed.get(&link, &cookie).await;
    assert_eq!(asks.code, StatusCode::CONFLICT, "{}", asks.text);
    let why = "its steps were running in step 1 and are running in step 2";
    assert!(asks.text.contains(why), "{}", asks.text);
    let wrong = format!("{ORDER}/approve?expected=x");
    assert_eq!(bed.get(&wrong, &cookie).await.code, StatusCode::BAD_REQUEST);
}

/// One name, two things: the button and the page say which, and so does the outcome.
#[tokio::test]
async fn a_resume_says_what_goes_on() {
    let bed = Bed::new();
    let (cookie, secret) = bed.sign_in("olaf-key").await;
    let of = "/console/extractions/contracts";
    let resume = format!("{ORDER}/resume");
    bed.fake.status.lock().unwrap().extractions[0].trouble = Some("its slot is gone".to_owned());
    let page = bed.get(of, &cookie).await.text;
    assert!(page.contains("Try again now"), "{page}");
    let asks = bed.get(&resume, &cookie).await.text;
    let has_step = |page: &str| page.contains("name=\"step\"");
    assert!(!has_step(&asks), "{asks}");
    bed.fake.status.lock().unwrap().extractions[0].rollout = Some(RolloutStatus {
        state: "stopped".to_owned(),
        step: Some(1),
        steps: vec!["reads 10%".to_owned(), "switch".to_owned()],
        why: Some("gate `p99` failed".to_owned()),
        asks: Some(NextVerb::Resume { step: Some(2) }),
        resume_step: Some(2),
        ..RolloutStatus::default()
    });
    let page = bed.get(of, &cookie).await.text;
    for text in ["Resume the steps", "It has stopped: gate `p99` failed."] {
        assert!(page.contains(text), "{page}");
    }
    let asks = bed.get(&resume, &cookie).await.text;
    assert!(
        has_step(&asks) && asks.contains("value=\"2\" selected"),
        "{asks}"
    );
    let expected = bed.expected(&resume, &cookie).await;
    let fields = format!("csrf={secret}&{expected}&step=2");
    let done = bed.post(&resume, &cookie, &fields).await;
    assert_eq!(done.code, StatusCode::SEE_OTHER, "{}", done.text);
    let page = bed.get(of, &cookie).await.text;
    assert!(page.contains("the steps of the plan go on."), "{page}");
}

/// A page of before lifts no freeze that a colleague has begun since.
#[tokio::test]
async fn who_lifts_a_freeze_has_seen_it() {
    const FREEZE: &str = "/console/freeze";
    let bed = Bed::new();
    let (cookie, secret) = bed.sign_in("olaf-key").await;
    let halted = |why: &str| bed.fake.status.lock().unwrap().halted = Some(why.to_owned());
    halted("halted by ben: incident 6");
    let page = bed.get(FREEZE, &cookie).await.text;
    let shown = r#"name="halted" value="halted by ben: incident 6""#;
    assert!(page.contains(shown), "{page}");
    halted("halted by ada: incident 7");
    let lift = async |halted: &str| {
        let fields = format!("csrf={secret}&off=yes&halted={halted}");
        bed.post(FREEZE, &cookie, &fields).await.code
    };
    assert_eq!(lift("").await, StatusCode::BAD_REQUEST);
    let late = lift("halted+by+ben:+incident+6").await;
    assert_eq!(late, StatusCode::CONFLICT);
    let done = lift("halted+by+ada:+incident+7").await;
    assert_eq!(done, StatusCode::SEE_OTHER);
}

/// What is lost for good is not lost by a click, nor by a wrong name.
#[tokio::test]
async fn what_is_lost_for_good_is_named() {
    let bed = Bed::new();
    let (cookie, secret) = bed.sign_in("olaf-key").await;
    for (verb, loses) in [
        ("finish", "The way back is lost"),
        ("cancel", "The copy is lost"),
        ("recopy", "nothing brings those rows back"),
    ] {
        let path = format!("{ORDER}/{verb}");
        let asks = bed.get(&path, &cookie).await.text;
        assert!(
            asks.contains(loses) && asks.contains("name=\"name\" required"),
            "{asks}"
        );
        let expected = bed.expected(&path, &cookie).await;
        for typed in ["", "&name=", "&name=contract", "&name=Contracts"] {
            let fields = format!("csrf={secret}&{expected}{typed}");
            let page = bed.post(&path, &cookie, &fields).await;
            assert_eq!(page.code, StatusCode::BAD_REQUEST, "{verb} {typed}");
            assert!(page.text.contains("wants the name typed"), "{}", page.text);
        }
        let fields = format!("csrf={secret}&{expected}&name=contracts");
        let page = bed.post(&path, &cookie, &fields).await;
        assert_eq!(page.code, StatusCode::SEE_OTHER, "{verb}: {}", page.text);
    }
}

#[tokio::test]
async fn refusals_are_the_apis_own() {
    let bed = Bed::new();
    let (cookie, secret) = bed.sign_in("vera-key").await;
    let one = bed
        .get("/console/extractions/contracts", &cookie)
        .await
        .text;
    let needs = "Needs the role operator; yours is viewer.";
    assert!(
        one.contains(needs) && !one.contains("<a id=\"order-"),
        "{one}"
    );
    let ask = bed.get(SHIFT, &cookie).await.text;
    assert!(ask.contains(needs) && ask.contains("disabled"), "{ask}");
    let expected = bed.expected(SHIFT, &cookie).await;
    let fields = format!("csrf={secret}&reads=50%25&{expected}");
    let page = bed.post(SHIFT, &cookie, &fields).await;
    assert_eq!(page.code, StatusCode::FORBIDDEN);
    assert!(
        page.text.contains("needs the role `operator`"),
        "{}",
        page.text
    );

    let (cookie, secret) = bed.sign_in("olaf-key").await;
    let why = "the service is not healthy: <b>503</b>. See to it first";
    *bed.fake.refusal.lock().unwrap() = Some(why.to_owned());
    let fields = format!("csrf={secret}&reads=50%25&{expected}");
    let page = bed.post(SHIFT, &cookie, &fields).await;
    assert_eq!(page.code, StatusCode::CONFLICT);
    let text = &page.text;
    assert!(
        text.contains("See to it first") && !text.contains("<b>"),
        "{text}"
    );
}
