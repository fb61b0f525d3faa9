//! Copies of reads that are compared, and of writes for a scratch upstream.

use crate::support::*;
use gateway::{BreakerState, ReadCounts, ShadowReport};
use http::{Request, Response};
use http_body_util::Full;
use plan::Plan;
use protocol::Side;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

const PATH: &str = "/api/contracts/7";
const USER: Option<&str> = Some("reader");
const ROUTE: &str = "/api/contracts/*";

/// A plan with copies; `service` and `shadow` are the insides of these.
fn planned(monolith: &Upstream, service: &Upstream, shaped: &str, shadow: &str) -> Plan {
    let text = format!(
        r#"
monolith: {{ url: "http://{}", database: "postgres://u:p@127.0.0.1:1/m" }}
services:
  contracts: {{ url: "http://{}", database: "postgres://u:p@127.0.0.1:1/s", {shaped} }}
gateway: {{ listen: "127.0.0.1:0", workers: 1, pin-wait: 20s }}
extractions:
  contracts:
    service: contracts
    routes:
      - {{ path: /api/contracts/* }}
      - {{ path: /api/contracts/export, as: writes }}
      - {{ path: /api/contracts/search, as: reads }}
      - {{ path: /api/contracts/token, as: reads-once }}
    data: {{ mode: replicate, schema: s, tables: {{ public.t: {{}} }} }}
    rollout: {{ key: {{ header: x-user-id }} }}
    shadow: {{ share: 100%, {shadow} }}
"#,
        monolith.address, service.address
    );
    Plan::parse(&text, |_| None).unwrap()
}

fn json(text: &str) -> Response<Full<bytes::Bytes>> {
    Response::builder()
        .header("content-type", "application/json")
        .body(Full::new(bytes::Bytes::from(text.to_owned())))
        .unwrap()
}

/// Answers with a document from now on.
fn answer(upstream: &Upstream, text: &'static str) {
    upstream.behave(move |_| async move { json(text) });
}

impl Bed {
    /// Both sides answer alike, all has flowed, every read is compared.
    async fn shadowing(shaped: &str, shadow: &str, writes: protocol::routing::Writes) -> Self {
        let monolith = Upstream::start("monolith").await;
        let service = Upstream::start("service").await;
        answer(&monolith, "{}");
        answer(&service, "{}");
        let plan = planned(&monolith, &service, shaped, shadow);
        let bed = Self::of(&plan, monolith, service);
        bed.publish(1, writes, 0);
        let end = std::time::Instant::now() + DEADLINE;
        while bed.compared(PATH).await.equal == 0 {
            assert!(std::time::Instant::now() < end, "nothing is compared");
        }
        bed.monolith.forget();
        bed.service.forget();
        bed
    }

    fn shadow(&self) -> ShadowReport {
        self.gateway.shadow(&contracts())
    }

    /// Reads, and says what became of the comparison.
    async fn compared(&self, path: &str) -> ReadCounts {
        self.compared_by(path, USER).await
    }

    async fn compared_by(&self, path: &str, user: Option<&str>) -> ReadCounts {
        let before = self.shadow().reads;
        assert_eq!(self.get(path, user).await.status, 200);
        self.ended(before).await
    }

    /// Waits for one more comparison to end.
    async fn ended(&self, before: ReadCounts) -> ReadCounts {
        until("the comparison ends", || {
            all(self.shadow().reads) > all(before)
        })
        .await;
        let after = self.shadow().reads;
        ReadCounts {
            equal: after.equal - before.equal,
            different: after.different - before.different,
            unanswered: after.unanswered - before.unanswered,
            volatile: after.volatile - before.volatile,
            lagged: after.lagged - before.lagged,
            unknown: after.unknown - before.unknown,
            skipped: after.skipped - before.skipped,
            dropped: after.dropped - before.dropped,
        }
    }
}

fn all(counts: ReadCounts) -> u64 {
    counts.compared() + counts.unknown + counts.skipped + counts.dropped
}

/// One comparison, which ended so.
fn one(of: impl FnOnce(&mut ReadCounts) -> &mut u64) -> ReadCounts {
    let mut counts = ReadCounts::default();
    *of(&mut counts) = 1;
    counts
}

/// Before the copy and after the end nothing flows: the sides are not alike, and the old
/// one is to be left alone.
#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_flows_nothing_is_compared() {
    let bed = Bed::shadowing("", "", TO_MONOLITH).await;
    let before = all(bed.shadow().reads);
    let mut ended = routing(2, TO_SERVICE, 100);
    for routing in ended.extractions.values_mut() {
        routing.follows = false;
    }
    bed.gateway.publish(&ended);
    for _ in 0..5 {
        assert_eq!(bed.get(PATH, USER).await.status, 200);
    }
    bed.publish(3, TO_SERVICE, 100);
    bed.compared(PATH).await;
    assert_eq!(all(bed.shadow().reads) - before, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn status_headers_and_fields_are_compared_beside_the_client() {
    let bed = Bed::shadowing("", "ignore: [$.own, header x-own]", TO_MONOLITH).await;
    bed.monolith.behave(|_| async {
        let mut one = json(r#"{"id": 7, "name": "Ada Lovelace", "own": 1}"#);
        one.headers_mut().insert("link", "a".parse().unwrap());
        one.headers_mut().insert("x-own", "1".parse().unwrap());
        one
    });
    bed.service.behave(|_| async {
        let mut other = json(r#"{"name": "Bob Secret", "own": 2, "id": 7}"#);
        *other.status_mut() = http::StatusCode::ACCEPTED;
        other
    });
    let before = bed.shadow().reads;
    let answer = bed.get("/api/contracts/7?token=hidden", USER).await;
    assert_eq!((answer.status, answer.side()), (200, Some("monolith")));
    assert_eq!(bed.ended(before).await, one(|counts| &mut counts.different));
    let report = bed.shadow();
    let fields: Vec<_> = report.fields.iter().map(|one| &*one.field).collect();
    assert_eq!(fields, ["status", "header link", "$.name"]);
    assert!(report.fields.iter().all(|one| one.route == ROUTE));
    let example = &report.examples[2];
    assert_eq!((&*example.path, &*example.field), (PATH, "$.name"));
    let id = answer.header("x-correlation-id").unwrap();
    assert_eq!(example.correlation, id);
    assert_eq!(
        (&*example.monolith, &*example.service),
        ("text of 12", "text of 10")
    );
    let text = format!("{report:?}");
    for secret in ["Ada", "Secret", "hidden"] {
        assert!(!text.contains(secret), "{text}");
    }
    let label = format!("service=\"contracts\",route=\"{ROUTE}\",outcome=\"different\"");
    let metric = format!("banyan_shadow_comparisons_total{{{label}}}");
    assert_eq!(bed.metric(&metric), 1);
    // Twice each, beside the client's own; and no client was counted for that.
    assert_eq!((bed.monolith.count(), bed.service.count()), (3, 2));
    assert_eq!(report.routes[ROUTE], report.reads);
    let requests = format!(
        "http_requests_total{{service=\"contracts\",route=\"{ROUTE}\",method=\"GET\",\
         status=\"2xx\",code=\"202\""
    );
    assert!(!bed.metrics().contains(&requests));
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_carry_what_the_client_sent_and_say_that_they_are_copies() {
    let bed = Bed::shadowing("", "show-values: true", TO_MONOLITH).await;
    answer(&bed.service, r#"{"name": "Bob"}"#);
    let request = Request::get(PATH)
        .header("host", "example.org")
        .header("x-user-id", "reader")
        .header("authorization", "Bearer t")
        .header("cookie", "session=1")
        .header("accept-encoding", "gzip")
        .header("if-none-match", "\"etag\"")
        // Not for a client to say.
        .header("x-banyan-shadow", "1")
        .body(Full::default())
        .unwrap();
    let before = bed.shadow().reads;
    let answer = bed.client().await.request(request).await.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(bed.ended(before).await, one(|counts| &mut counts.different));
    let example = bed.shadow().examples.pop().unwrap();
    assert_eq!(
        (&*example.monolith, &*example.service),
        ("missing", "\"Bob\"")
    );
    let seen = bed.monolith.seen();
    let (copies, own): (Vec<_>, Vec<_>) = seen
        .iter()
        .partition(|seen| seen.header("x-banyan-shadow").is_some());
    assert_eq!((copies.len(), own.len()), (2, 1));
    assert_eq!(own[0].header("if-none-match"), Some("\"etag\""));
    for copy in copies.into_iter().chain(&bed.service.seen()) {
        assert_eq!(copy.path, PATH);
        assert_eq!(copy.header("x-banyan-shadow"), Some("1"));
        assert_eq!(copy.header("if-none-match"), None);
        assert_eq!(copy.header("accept-encoding"), Some("identity"));
        for name in [
            "host",
            "authorization",
            "cookie",
            "x-user-id",
            "x-forwarded-for",
            "x-correlation-id",
        ] {
            assert_eq!(copy.header(name), own[0].header(name), "{name}");
            assert!(copy.header(name).is_some(), "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_monolith_answers_differently_each_time_is_learned() {
    let bed = Bed::shadowing("", "", TO_MONOLITH).await;
    for upstream in [&bed.monolith, &bed.service] {
        let count = Arc::new(AtomicU64::new(upstream.address.port().into()));
        upstream.behave(move |_| {
            let count = count.fetch_add(1, Ordering::Relaxed);
            async move { json(&format!(r#"{{"id": 7, "served": {count}}}"#)) }
        });
    }
    for _ in 0..3 {
        let outcome = bed.compared(PATH).await;
        assert_eq!(outcome, one(|counts| &mut counts.volatile));
    }
    assert_eq!(bed.service.count(), 6);
    let field = bed.shadow().fields.remove(0);
    assert_eq!(
        (&*field.field, field.volatile, field.changed),
        ("$.served", true, 3)
    );
    // From now on it is asked once.
    let outcome = bed.compared(PATH).await;
    assert_eq!(outcome, one(|counts| &mut counts.volatile));
    assert_eq!(bed.service.count(), 7);
    assert_eq!(bed.shadow().differing, Some(0.0));
    // And hides nothing else.
    answer(&bed.service, r#"{"id": "7", "served": 0}"#);
    let outcome = bed.compared(PATH).await;
    assert_eq!(outcome, one(|counts| &mut counts.different));
    assert_eq!(bed.shadow().fields[0].field, "$.id");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_is_on_its_way_is_no_difference() {
    let bed = Bed::shadowing("", "", TO_MONOLITH).await;
    for (position, service, lagged) in [(10, r#"{"price": 2}"#, 1), (20, r#"{"price": 3}"#, 0)] {
        bed.mover.position(Some(position));
        bed.service.forget();
        answer(&bed.monolith, r#"{"price": 2}"#);
        answer(&bed.service, r#"{"price": 1}"#);
        let (before, samples) = (bed.shadow().reads, bed.mover.samples(Side::Monolith));
        bed.get(PATH, USER).await;
        until("the position is asked for", || {
            bed.mover.samples(Side::Monolith) > samples
        })
        .await;
        // Longer than it waits where all has flowed: it has to be seen not to ask.
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        assert_eq!((bed.shadow().reads, bed.service.count()), (before, 1));
        answer(&bed.service, service);
        bed.mover.applied(Side::Monolith, position);
        let ended = bed.ended(before).await;
        assert_eq!((ended.lagged, ended.different), (lagged, 1 - lagged));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_has_just_written_is_not_compared() {
    let bed = Bed::shadowing("", "", TO_MONOLITH).await;
    bed.mover.position(Some(10));
    assert_eq!(bed.post(PATH, USER, "x").await.status, 200);
    let skipped = one(|counts| &mut counts.skipped);
    assert_eq!(bed.compared(PATH).await, skipped);
    let other = bed.compared_by(PATH, Some("other")).await;
    assert_eq!(other, one(|counts| &mut counts.equal));
    assert_eq!(bed.compared(PATH).await, skipped);
    until("the write is settled", || {
        bed.mover.samples(Side::Monolith) == 2
    })
    .await;
    bed.mover.applied(Side::Monolith, 10);
    let end = std::time::Instant::now() + DEADLINE;
    while bed.compared(PATH).await == skipped {
        assert!(std::time::Instant::now() < end, "never compared again");
    }
    assert_eq!(
        bed.service
            .seen()
            .iter()
            .filter(|seen| !seen.body.is_empty())
            .count(),
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_other_side_that_fails_hurts_neither_clients_nor_its_breaker() {
    let shaped = "breaker: { errors: 1%, volume: 1 }, balance: { ejection: { after: 1 } }";
    let bed = Bed::shadowing(shaped, "", TO_MONOLITH).await;
    bed.service.behave(|seen| async move {
        match seen.header("x-banyan-shadow") {
            Some(_) => text(503, "no"),
            None => json("{}"),
        }
    });
    let outcome = bed.compared(PATH).await;
    assert_eq!(outcome, one(|counts| &mut counts.different));
    // It may be a fence that refuses a read that writes: told before reads are shifted.
    let failed = bed.failed_answers();
    let [failed] = &failed[..] else {
        panic!("{failed:?}")
    };
    assert!(
        failed.ends_with(" contracts GET /api/contracts/* read"),
        "{failed}"
    );
    let breaker = || bed.gateway.upstreams().remove(1).breaker;
    assert_eq!(breaker(), Some(BreakerState::Closed));
    bed.publish(2, TO_MONOLITH, 100);
    let answer = bed.get(PATH, USER).await;
    assert_eq!((answer.status, answer.side()), (200, Some("service")));
    // One that clients have opened keeps copies away, too.
    bed.service.answer_with(503);
    let answer = bed.get(PATH, USER).await;
    assert_eq!((answer.status, answer.side()), (200, Some("monolith")));
    assert_eq!(breaker(), Some(BreakerState::Open));
    let asked = bed.service.count();
    let before = bed.shadow().reads.dropped;
    assert_eq!(bed.get(PATH, USER).await.status, 200);
    until("it is counted", || bed.shadow().reads.dropped > before).await;
    // At most what had been under way.
    assert!(bed.service.count() <= asked + 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_other_side_is_told_and_slows_nobody() {
    let bed = Bed::shadowing("", "", TO_MONOLITH).await;
    let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut gone = bed.service.clone();
    gone.address = dead.local_addr().unwrap();
    drop(dead);
    let plan = planned(&bed.monolith, &gone, "", "");
    let bed = Bed::of(&plan, bed.monolith.clone(), gone);
    bed.publish(1, TO_MONOLITH, 0);
    let end = std::time::Instant::now() + DEADLINE;
    while bed.compared(PATH).await.unanswered == 0 {
        assert!(std::time::Instant::now() < end, "never unanswered");
    }
    assert_eq!(bed.shadow().differing, Some(1.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn comparisons_are_bounded_and_a_stalled_other_side_slows_nobody() {
    let bed = Bed::shadowing("", "", TO_MONOLITH).await;
    let _never = bed.service.stall();
    let before = bed.shadow().reads;
    let mut client = bed.client().await;
    for _ in 0..40 {
        let answer = client.send("GET", PATH, USER, "").await;
        assert_eq!((answer.status, answer.side()), (200, Some("monolith")));
    }
    // Eight wait for the service; a few more, once the first were given up.
    let dropped = || bed.shadow().reads.dropped - before.dropped;
    assert!((20..=32).contains(&dropped()), "{}", dropped());
    until("the rest is asked for", || {
        bed.service.count() as u64 + dropped() == 40
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_safe_methods_of_reads_are_compared() {
    let bed = Bed::shadowing("", "", TO_MONOLITH).await;
    for (method, path) in [
        ("POST", PATH),
        ("DELETE", PATH),
        ("GET", "/api/contracts/export"),
        ("POST", "/api/contracts/search"),
        ("GET", "/other"),
    ] {
        let answer = bed.client().await.send(method, path, USER, "").await;
        assert_eq!(answer.status, 200, "{method} {path}");
    }
    let events = Request::get(PATH)
        .header("host", "example.org")
        .header("x-user-id", "events")
        .header("accept", "text/event-stream")
        .body(Full::default())
        .unwrap();
    bed.client().await.request(events).await.unwrap();
    // Whatever were copied would have been so before this one.
    let end = std::time::Instant::now() + DEADLINE;
    while bed.compared_by(PATH, Some("other")).await.equal == 0 {
        assert!(std::time::Instant::now() < end, "never compared");
    }
    let copied = |upstream: &Upstream| {
        let copy = |seen: &ReceivedRequest| seen.header("x-banyan-shadow").is_some();
        upstream.seen().into_iter().filter(copy).collect::<Vec<_>>()
    };
    assert_eq!(
        (copied(&bed.monolith).len(), copied(&bed.service).len()),
        (1, 1)
    );
    assert_eq!(bed.service.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_with_an_effect_of_its_own_reaches_one_side_only() {
    let bed = Bed::shadowing("", "", TO_MONOLITH).await;
    assert_eq!(bed.get("/api/contracts/token", USER).await.status, 200);
    // Whatever were copied of that would have been so before this one.
    let outcome = bed.compared(PATH).await;
    assert_eq!(outcome, one(|counts| &mut counts.equal));
    let asked = |upstream: &Upstream| {
        let mut paths: Vec<_> = upstream.seen().into_iter().map(|seen| seen.path).collect();
        paths.sort();
        paths
    };
    assert_eq!(asked(&bed.service), [PATH]);
    assert_eq!(asked(&bed.monolith), [PATH, PATH, "/api/contracts/token"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_switch_the_service_is_what_is_right() {
    let bed = Bed::shadowing("", "", TO_SERVICE).await;
    answer(&bed.monolith, r#"{"price": 1}"#);
    answer(&bed.service, r#"{"price": "new"}"#);
    let before = bed.shadow().reads;
    let read = bed.get(PATH, None).await;
    assert_eq!((read.status, read.side()), (200, Some("service")));
    assert_eq!(bed.ended(before).await, one(|counts| &mut counts.different));
    let example = bed.shadow().examples.pop().unwrap();
    assert_eq!(
        (&*example.monolith, &*example.service),
        ("integer", "text of 3")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_are_copied_to_the_scratch_upstream_alone() {
    let scratch = Upstream::start("scratch").await;
    let named = format!("scratch: \"http://{}\"", scratch.address);
    let bed = Bed::shadowing("", &named, TO_MONOLITH).await;
    let answer = bed.post(PATH, USER, "first").await;
    assert_eq!((answer.status, answer.side()), (200, Some("monolith")));
    until("it is copied", || bed.shadow().writes.equal == 1).await;
    scratch.answer_with(409);
    assert_eq!(bed.post(PATH, USER, "second").await.status, 200);
    until("it is copied", || bed.shadow().writes.different == 1).await;
    assert_eq!(scratch.bodies(), ["first", "second"]);
    assert_eq!(bed.monolith.bodies(), ["first", "second"]);
    assert_eq!(bed.service.count(), 0);
    let copy = scratch.seen().remove(0);
    assert_eq!((&*copy.path, copy.header("x-user-id")), (PATH, USER));
    assert_eq!(copy.header("x-banyan-shadow"), Some("1"));
    assert_eq!(copy.header("host"), Some("example.org"));
    let own = bed.monolith.seen().remove(0);
    assert_eq!(own.header("x-banyan-shadow"), None);
    // One that stalls holds up nobody, and its copies are bounded.
    let go = scratch.stall();
    let mut client = bed.client().await;
    for _ in 0..20 {
        assert_eq!(client.send("POST", PATH, USER, "x").await.status, 200);
    }
    let dropped = bed.shadow().writes.dropped;
    assert!((6..=12).contains(&dropped), "{dropped}");
    until("the others are answered", || {
        go.notify_waiters();
        let writes = bed.shadow().writes;
        writes.equal + writes.unanswered + dropped == 21
    })
    .await;
    // What the owner does not answer is not copied, nor what is a large upload.
    let copied = scratch.count();
    let large = "x".repeat(2 << 20);
    assert_eq!(bed.post(PATH, USER, &large).await.status, 200);
    bed.publish(2, HOLD, 0);
    let mut held = bed.spawn("POST", PATH, USER, "held").await;
    bed.publish(2, protocol::routing::Writes::Refuse, 0);
    assert_eq!((&mut held).await.unwrap().status, 503);
    assert_eq!(scratch.count(), copied);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_word_in_the_plan_nothing_is_copied() {
    let bed = Bed::start(Knobs::default(), TO_MONOLITH, 0).await;
    assert_eq!(bed.get(PATH, USER).await.status, 200);
    assert_eq!(bed.post(PATH, USER, "x").await.status, 200);
    assert_eq!((bed.monolith.count(), bed.service.count()), (2, 0));
    assert_eq!(bed.shadow(), ShadowReport::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_changes_what_is_copied_and_keeps_what_was_found() {
    let bed = Bed::shadowing("", "", TO_MONOLITH).await;
    answer(&bed.service, r#"{"more": 1}"#);
    let outcome = bed.compared(PATH).await;
    assert_eq!(outcome, one(|counts| &mut counts.different));
    let mut plan = planned(&bed.monolith, &bed.service, "", "ignore: [$.more]");
    bed.gateway.reload(&plan).await.unwrap();
    let outcome = bed.compared(PATH).await;
    assert_eq!(outcome, one(|counts| &mut counts.equal));
    assert_eq!(bed.shadow().reads.different, 1);
    for extraction in plan.extractions.values_mut() {
        extraction.shadow = None;
    }
    bed.gateway.reload(&plan).await.unwrap();
    let before = bed.service.count();
    assert_eq!(bed.get(PATH, USER).await.status, 200);
    assert_eq!(bed.get(PATH, USER).await.status, 200);
    assert_eq!((bed.service.count(), bed.shadow().share), (before, None));
}
