//! Data that both sides share: a share of the writes goes to the service.

use crate::{support::*, upgrade};
use http::Request;
use http_body_util::Full;
use plan::{Percent, Plan};
use protocol::{Side, routing::Writes};
use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

const PATH: &str = "/api/contracts";

/// An extraction whose data both sides share, with lines of the service's, of
/// the gateway's and of the rollout.
fn plan(monolith: SocketAddr, service: SocketAddr, [own, gateway, rollout]: [&str; 3]) -> Plan {
    let text = format!(
        r#"
monolith: {{ url: "http://{monolith}" }}
services:
  contracts: {{ url: "http://{service}", {own} }}
gateway: {{ listen: "127.0.0.1:0", workers: 2, first-byte: 2s, {gateway} }}
extractions:
  contracts:
    service: contracts
    routes: [{{ path: /api/contracts/* }}]
    data: {{ mode: shared }}
    rollout: {{ key: {{ header: x-user-id }}, {rollout} }}
"#
    );
    Plan::parse(&text, |_| None).unwrap()
}

async fn bed(lines: [&str; 3]) -> Bed {
    Bed::planned(|monolith, service| plan(monolith, service, lines)).await
}

/// A bed whose service is somewhere else.
async fn with_service(service: SocketAddr, lines: [&str; 3]) -> Bed {
    Bed::planned(|monolith, _| plan(monolith, service, lines)).await
}

fn split(percent: u16) -> Writes {
    Writes::Split(Percent::from_basis_points(percent * 100).unwrap())
}

fn users() -> impl Iterator<Item = String> {
    (0..200).map(|number| format!("user-{number}"))
}

/// Whose requests the service answers. Each is sent twice, and must be answered
/// by the same side.
async fn at_service(bed: &Bed, method: &str) -> BTreeSet<String> {
    let mut client = bed.client().await;
    let mut found = BTreeSet::new();
    for user in users() {
        let one = client.send(method, PATH, Some(&user), "x").await;
        let two = client.send(method, PATH, Some(&user), "x").await;
        assert_eq!((one.status, one.side()), (200, two.side()), "{user}");
        if one.side() == Some("service") {
            found.insert(user);
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_of_the_writes_is_sticky_and_only_grows() {
    let bed = bed([""; 3]).await;
    let mut before = BTreeSet::new();
    for (epoch, share) in [(1, 0), (2, 5), (3, 20), (4, 50), (5, 100)] {
        bed.publish(epoch, split(share), 0);
        let now = at_service(&bed, "POST").await;
        assert!(before.is_subset(&now), "{share}%: {before:?} and {now:?}");
        let wanted = usize::from(share) * 2;
        let spread = if share % 100 == 0 { 0 } else { 20 };
        assert!(
            now.len().abs_diff(wanted) <= spread,
            "{share}%: {}",
            now.len()
        );
        // Reads have a share of their own.
        assert_eq!(bed.get(PATH, Some("user-1")).await.side(), Some("monolith"));
        // Nobody in particular goes along when everybody does.
        let keyless = bed.post(PATH, None, "x").await;
        let side = if share == 100 { "service" } else { "monolith" };
        assert_eq!(keyless.side(), Some(side), "{share}%");
        before = now;
    }
    // The same clients are the first with their reads.
    bed.publish(6, split(20), 20);
    let (writers, readers) = (
        at_service(&bed, "POST").await,
        at_service(&bed, "GET").await,
    );
    assert_eq!(writers, readers);
    // An older decision changes nothing; all goes back at once.
    bed.publish(5, split(100), 100);
    assert_eq!(at_service(&bed, "POST").await, writers);
    bed.publish(7, split(0), 0);
    assert!(at_service(&bed, "POST").await.is_empty());
    // Nobody is pinned: both sides see every write at once.
    assert_eq!(bed.mover.samples(Side::Monolith), 0);
    assert_eq!(bed.mover.samples(Side::Service), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn testers_and_flags_choose_for_writes_too() {
    let flags = r#"flags: { set: { new: { users: { "7": always, "8": never } } } }"#;
    let bed = bed([
        "",
        flags,
        "flag: new, force: { header: x-canary, key: tester }",
    ])
    .await;
    let side = async |user: &str, force: Option<(&str, &str)>| {
        let mut request = Request::post(PATH)
            .header("host", "a")
            .header("x-user-id", user);
        if let Some((choice, key)) = force {
            request = request
                .header("x-canary", choice)
                .header("x-canary-key", key);
        }
        let request = request.body(Full::from("x")).unwrap();
        let answer = bed.client().await.request(request).await.unwrap();
        answer.side().map(str::to_owned)
    };
    let (monolith, service) = (Some("monolith".to_owned()), Some("service".to_owned()));
    bed.publish(1, split(0), 0);
    assert_eq!(side("7", None).await, service);
    assert_eq!(side("9", None).await, monolith);
    assert_eq!(side("9", Some(("always", "tester"))).await, service);
    assert_eq!(side("9", Some(("always", "guessed"))).await, monolith);
    bed.publish(2, split(100), 0);
    assert_eq!(side("8", None).await, monolith);
    assert_eq!(side("9", Some(("never", "tester"))).await, monolith);
    assert_eq!(side("9", None).await, service);
    // No upstream hears of the key.
    let seen = [bed.monolith.seen(), bed.service.seen()].concat();
    assert!(
        seen.iter()
            .all(|seen| seen.header("x-canary-key").is_none())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_service_cannot_be_sent_goes_to_the_monolith_once() {
    let bed = with_service(dead_address(), [""; 3]).await;
    bed.publish(1, split(100), 100);
    for number in 0..10 {
        let answer = bed.post(PATH, Some("u"), &format!("id-{number}")).await;
        assert_eq!((answer.status, answer.side()), (200, Some("monolith")));
        let read = bed.get(PATH, Some("u")).await;
        assert_eq!((read.status, read.side()), (200, Some("monolith")));
    }
    let bodies: Vec<_> = bed
        .monolith
        .bodies()
        .into_iter()
        .filter(|body| !body.is_empty())
        .collect();
    let wanted: Vec<_> = (0..10).map(|number| format!("id-{number}")).collect();
    assert_eq!(bodies, wanted);
    let fallbacks = bed.metric("banyan_fallbacks_total{service=\"contracts\"}");
    assert_eq!(fallbacks, 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_breaker_of_the_service_sends_its_writes_to_the_monolith() {
    let bed = bed(["breaker: { volume: 4, open: 1h }", "", ""]).await;
    bed.publish(1, split(100), 0);
    bed.service.answer_with(503);
    let mut client = bed.client().await;
    let (mut failed, mut ids) = (0, BTreeSet::new());
    for number in 0..40 {
        let id = format!("id-{number}");
        let answer = client.send("POST", PATH, Some("u"), &id).await;
        match (answer.status, answer.side()) {
            (503, Some("service")) => failed += 1,
            (200, Some("monolith")) => _ = ids.insert(id),
            other => panic!("{other:?}"),
        }
    }
    // What the service was sent and failed at is not repeated.
    assert_eq!(bed.service.count(), failed);
    assert!((4..40).contains(&failed), "{failed}");
    assert_eq!(
        bed.monolith.bodies().into_iter().collect::<BTreeSet<_>>(),
        ids
    );
    assert_eq!(bed.monolith.count(), ids.len());
}

/// A server that reads each request whole and closes, or keeps silent.
async fn reads_only(closes: bool) -> (SocketAddr, Arc<Mutex<usize>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let count: Arc<Mutex<usize>> = Arc::default();
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut text = Vec::new();
            let mut part = [0; 4096];
            while !text.ends_with(b"the body") {
                match stream.read(&mut part).await {
                    Ok(length @ 1..) => text.extend_from_slice(&part[..length]),
                    _ => break,
                }
            }
            *counted.lock().unwrap() += 1;
            if closes {
                let _ = stream.shutdown().await;
            } else {
                kept.push(stream);
            }
        }
    });
    (address, count)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_service_may_have_executed_is_not_repeated() {
    for (closes, status) in [(true, 502), (false, 504)] {
        let (service, count) = reads_only(closes).await;
        let bed = with_service(service, [""; 3]).await;
        bed.publish(1, split(100), 0);
        let answer = bed.post(PATH, Some("u"), "the body").await;
        assert_eq!(answer.status, status);
        assert_eq!(*count.lock().unwrap(), 1);
        assert_eq!(bed.monolith.count(), 0, "closes: {closes}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_goes_to_a_service_without_a_share_though_the_monolith_fails() {
    let service = Upstream::start("service").await;
    let unused = Upstream::start("unused").await;
    let plan = plan(dead_address(), service.address, [""; 3]);
    let bed = Bed::of(&plan, unused, service);
    bed.publish(1, split(0), 0);
    assert_eq!(bed.post(PATH, Some("u"), "x").await.status, 502);
    assert_eq!(bed.get(PATH, Some("u")).await.status, 502);
    assert_eq!(bed.service.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_routing_that_does_not_go_with_the_plan_is_refused() {
    let shared = bed([""; 3]).await;
    shared.publish(1, TO_SERVICE, 100);
    shared
        .post(PATH, Some("u"), "x")
        .await
        .assert_refused("owner-unknown");
    let moved = Bed::unpublished(Knobs::default()).await;
    moved.publish(1, split(100), 100);
    moved
        .post(PATH, Some("u"), "x")
        .await
        .assert_refused("owner-unknown");
    moved
        .get(PATH, Some("u"))
        .await
        .assert_refused("owner-unknown");
    assert_eq!(shared.service.count() + moved.service.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_explained() {
    let bed = bed([""; 3]).await;
    let why = |method: &str, user: Option<&str>| {
        let mut request = Request::builder()
            .method(method)
            .uri(PATH)
            .header("host", "a");
        if let Some(user) = user {
            request = request.header("x-user-id", user);
        }
        let request = request.body(bytes::Bytes::new()).unwrap();
        let explained = bed
            .gateway
            .explain(request, "127.0.0.1".parse().unwrap())
            .unwrap();
        (explained.to.unwrap_or_default(), explained.why)
    };
    bed.publish(1, split(99), 1);
    let (to, because) = why("POST", Some("user-1"));
    assert_eq!(to, "contracts");
    assert!(
        because.contains("is within the share of 99%") && because.contains("share the data"),
        "{because}"
    );
    let (to, because) = why("GET", Some("user-1"));
    assert_eq!(to, "monolith");
    assert!(
        because.contains("is not within the share of 1%"),
        "{because}"
    );
    let (to, because) = why("POST", None);
    assert_eq!(to, "monolith");
    assert!(because.contains("so it goes to the monolith"), "{because}");
    bed.publish(2, split(100), 1);
    let (to, because) = why("POST", None);
    assert_eq!(to, "contracts");
    assert!(because.contains("everybody"), "{because}");
    assert_eq!(
        bed.gateway.routes()[0].to,
        "monolith | contracts (shared data)"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_ends_when_its_clients_writes_go_elsewhere() {
    let (monolith, _) = upgrade::server("monolith").await;
    let (service, _) = upgrade::server("service").await;
    let plan = plan(monolith, service, [""; 3]);
    let unused = Upstream::start("unused").await;
    let bed = Bed::of(&plan, unused.clone(), unused);
    bed.publish(1, split(100), 0);
    let mut socket = upgrade::connect(&bed.gateway, "/api/contracts/live").await;
    let said = upgrade::say(&mut socket, "hi").await;
    assert_eq!(said.as_deref(), Some("service: hi"));
    // The reads' share is another matter.
    bed.publish(2, split(100), 50);
    let said = upgrade::say(&mut socket, "still").await;
    assert_eq!(said.as_deref(), Some("service: still"));
    bed.publish(3, split(0), 50);
    assert_eq!(upgrade::next(&mut socket).await, None);
    let mut back = upgrade::connect(&bed.gateway, "/api/contracts/live").await;
    let said = upgrade::say(&mut back, "hi").await;
    assert_eq!(said.as_deref(), Some("monolith: hi"));
}
