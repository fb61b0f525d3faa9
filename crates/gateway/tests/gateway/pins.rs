//! A client sees what it wrote.

use crate::support::*;
use http::Request;
use plan::CohortKey;
use protocol::{Side, routing::Writes};

const PATH: &str = "/api/contracts";

/// A client whose reads go to the side that does not own, unless pinned.
const USER: Option<&str> = Some("writer");

impl Bed {
    /// Waits until a request waits for its client's own write. Before that it
    /// may not even have come, and would find everything applied.
    async fn somebody_waits(&self) {
        until("somebody waits", || self.metric("banyan_pin_waiting ") == 1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_reads_from_the_owner_until_its_write_is_applied_on_the_other_side() {
    for (owner, to, share) in [
        (Side::Monolith, TO_MONOLITH, 100),
        (Side::Service, TO_SERVICE, 0),
    ] {
        let bed = Bed::start(Knobs::default(), to, share).await;
        let other = owner.other().as_str();
        bed.mover.position(Some(50));
        assert_eq!(bed.get(PATH, USER).await.side(), Some(other));
        let sampled = bed.mover.samples(owner);
        assert_eq!(bed.post(PATH, USER, "").await.side(), Some(owner.as_str()));
        assert_eq!(bed.get(PATH, USER).await.side(), Some(owner.as_str()));
        until("it is sampled", || bed.mover.samples(owner) > sampled).await;
        assert_eq!(bed.get(PATH, USER).await.side(), Some(owner.as_str()));
        // Others are not concerned.
        assert_eq!(bed.get(PATH, Some("reader")).await.side(), Some(other));
        bed.mover.applied(owner, 49);
        assert_eq!(bed.get(PATH, USER).await.side(), Some(owner.as_str()));
        bed.mover.applied(owner, 50);
        // Settling follows the sample by a moment.
        bed.client()
            .await
            .reads_from(owner.other(), PATH, USER)
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_stays_pinned_while_its_write_is_in_flight_or_cannot_be_placed() {
    let bed = Bed::start(Knobs::default(), TO_MONOLITH, 100).await;
    // Stays open: both may come to it only after they were counted.
    let (go, gate) = tokio::sync::watch::channel(false);
    bed.monolith.behave(move |_| {
        let mut gate = gate.clone();
        async move {
            gate.wait_for(|open| *open).await.unwrap();
            text(200, "at last")
        }
    });
    let write = bed.spawn("POST", PATH, USER, "").await;
    until("the write is there", || bed.monolith.count() == 1).await;
    bed.mover.position(None);
    bed.mover.applied(Side::Monolith, 1000);
    let read = bed.spawn("GET", PATH, USER, "").await;
    until("the read is there", || bed.monolith.count() == 2).await;
    let sampled = bed.mover.samples(Side::Monolith);
    go.send_replace(true);
    assert_eq!(write.await.unwrap().status, 200);
    assert_eq!(read.await.unwrap().status, 200);
    bed.monolith.answer_with(200);
    until("sampling is tried again", || {
        bed.mover.samples(Side::Monolith) >= sampled + 2
    })
    .await;
    assert_eq!(bed.get(PATH, USER).await.side(), Some("monolith"));
    bed.mover.position(Some(900));
    bed.client()
        .await
        .reads_from(Side::Service, PATH, USER)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_never_left_the_gateway_pins_nobody() {
    let bed = Bed::start(Knobs::default(), TO_MONOLITH, 100).await;
    // Bound and not listening: refuses, and nobody else gets the port.
    let dead = tokio::net::TcpSocket::new_v4().unwrap();
    dead.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let plan = plan(
        Knobs::default(),
        "127.0.0.1:0",
        dead.local_addr().unwrap(),
        bed.service.address,
    );
    let gateway = bed.another(&plan);
    gateway.publish(&routing(1, TO_MONOLITH, 100));
    let mut client = Client::connect(gateway.local_addr()).await;
    client.reads_from(Side::Service, PATH, USER).await;
    bed.mover.position(Some(50));
    let sampled = bed.mover.samples(Side::Monolith);
    assert_eq!(client.send("POST", PATH, USER, "").await.status, 502);
    assert_eq!(
        client.send("GET", PATH, USER, "").await.side(),
        Some("service")
    );
    assert_eq!(bed.mover.samples(Side::Monolith), sampled);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_write_pins_too() {
    let bed = Bed::start(Knobs::default(), TO_MONOLITH, 100).await;
    bed.mover.position(Some(50));
    bed.monolith.answer_with(500);
    assert_eq!(bed.post(PATH, USER, "").await.status, 500);
    assert_eq!(bed.get(PATH, USER).await.side(), Some("monolith"));
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_that_stay_wait_for_the_clients_write_at_the_service() {
    for user in [USER, None] {
        let bed = Bed::start(Knobs::default(), TO_SERVICE, 100).await;
        bed.mover.position(Some(50));
        let sampled = bed.mover.samples(Side::Service);
        assert_eq!(
            bed.post(PATH, user, "contract").await.side(),
            Some("service")
        );
        let dependent = bed.spawn("POST", "/api/documents", user, "document").await;
        until("it is sampled", || {
            bed.mover.samples(Side::Service) > sampled
        })
        .await;
        bed.somebody_waits().await;
        bed.mover.applied(Side::Service, 49);
        // Those who wrote nothing pass meanwhile.
        assert_eq!(bed.get("/api/parties", Some("reader")).await.status, 200);
        assert_eq!(bed.monolith.count(), 1);
        assert!(!dependent.is_finished());
        bed.mover.applied(Side::Service, 50);
        let answer = dependent.await.unwrap();
        assert_eq!((answer.status, answer.side()), (200, Some("monolith")));
        assert_eq!(bed.monolith.bodies(), ["", "document"]);
        let waits = r#"banyan_pin_waits_total{outcome="caught-up"} 1"#;
        assert!(bed.metrics().contains(waits), "{}", bed.metrics());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn that_wait_has_a_bound() {
    let knobs = Knobs {
        pin_wait: "150ms",
        ..Knobs::default()
    };
    let bed = Bed::start(knobs, TO_SERVICE, 100).await;
    bed.mover.position(Some(50));
    bed.post(PATH, USER, "contract").await;
    bed.post("/api/documents", USER, "document")
        .await
        .assert_refused("pin-wait");
    assert_eq!(bed.monolith.count(), 0);
    // Its own routes have a choice of side and need not wait.
    assert_eq!(bed.get(PATH, USER).await.side(), Some("service"));
}

/// The stream to the monolith is dead, and the team would rather have its users see
/// old data than nothing; some routes use none of it.
#[tokio::test(flavor = "multi_thread")]
async fn the_plan_says_who_waits_and_what_becomes_of_it() {
    const ROUTE: &str = "  routes: { about: { to: monolith, path: /about, own-writes: false } }\n";
    const PASSING: &str = "  routes: { about: { to: monolith, path: /about, own-writes: false } }\n  \
                           pin-expired: pass\n";
    for (gateway, then) in [(ROUTE, 503), (PASSING, 200)] {
        let knobs = Knobs {
            pin_wait: "150ms",
            gateway,
            ..Knobs::default()
        };
        let bed = Bed::start(knobs, TO_SERVICE, 100).await;
        bed.mover.position(Some(50));
        let sampled = bed.mover.samples(Side::Service);
        bed.post(PATH, USER, "contract").await;
        until("it is sampled", || {
            bed.mover.samples(Side::Service) > sampled
        })
        .await;
        assert_eq!(bed.get("/about", USER).await.status, 200);
        assert!(!bed.metrics().contains("banyan_pin_waits_total"));
        let why = |path: &str| {
            let request = Request::get(path)
                .header("host", "shop.example")
                .header("x-user-id", "writer");
            let request = request.body(bytes::Bytes::new()).unwrap();
            let address = "127.0.0.1".parse().unwrap();
            bed.gateway.explain(request, address).unwrap().why
        };
        assert!(!why("/about").contains("waits"), "{}", why("/about"));
        let told = if then == 503 { "503 after" } else { "goes on" };
        let stays = why("/api/documents");
        assert!(stays.contains(told), "{stays}");
        let answer = bed.post("/api/documents", USER, "document").await;
        assert_eq!(answer.status, then);
        bed.mover.applied(Side::Service, 50);
        assert_eq!(bed.post("/api/documents", USER, "").await.status, 200);
        assert!(!why("/api/documents").contains("waits"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_of_others_after_mine_do_not_make_me_wait() {
    let bed = Bed::start(Knobs::default(), TO_SERVICE, 100).await;
    bed.mover.position(Some(50));
    let sampled = bed.mover.samples(Side::Service);
    bed.post(PATH, None, "mine").await;
    until("it is sampled", || {
        bed.mover.samples(Side::Service) > sampled
    })
    .await;
    let dependent = bed.spawn("POST", "/api/documents", None, "").await;
    bed.somebody_waits().await;
    // Another keyless client writes without end.
    let mut other = bed.client().await;
    for position in 51..80 {
        bed.mover.position(Some(position));
        other.send("POST", PATH, None, "another").await;
    }
    assert_eq!(bed.monolith.count(), 0);
    bed.mover.applied(Side::Service, 60);
    assert_eq!(dependent.await.unwrap().status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hand_over_ends_all_pins() {
    let bed = Bed::start(Knobs::default(), TO_SERVICE, 100).await;
    bed.mover.position(Some(50));
    bed.post(PATH, USER, "contract").await;
    let dependent = bed.spawn("POST", "/api/documents", USER, "").await;
    bed.somebody_waits().await;
    // An aborted one does not.
    bed.publish(
        2,
        Writes::Hold {
            from: Side::Service,
        },
        0,
    );
    bed.publish(2, TO_SERVICE, 0);
    assert_eq!(bed.get(PATH, USER).await.side(), Some("service"));
    bed.publish(
        3,
        Writes::Hold {
            from: Side::Service,
        },
        0,
    );
    assert_eq!(bed.monolith.count(), 0);
    bed.publish(3, TO_MONOLITH, 100);
    assert_eq!(dependent.await.unwrap().status, 200);
    assert_eq!(bed.get(PATH, USER).await.side(), Some("service"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_before_the_start_is_waited_for() {
    let bed = Bed::unpublished(Knobs::default()).await;
    bed.mover.position(None);
    bed.publish(7, TO_SERVICE, 0);
    assert_eq!(bed.get(PATH, USER).await.side(), Some("service"));
    let dependent = bed.spawn("POST", "/api/documents", USER, "").await;
    bed.somebody_waits().await;
    bed.mover.position(Some(50));
    bed.mover.applied(Side::Service, 49);
    assert_eq!(bed.get(PATH, USER).await.side(), Some("service"));
    assert_eq!(bed.monolith.count(), 0);
    bed.mover.applied(Side::Service, 50);
    assert_eq!(dependent.await.unwrap().status, 200);
    bed.client()
        .await
        .reads_from(Side::Monolith, PATH, USER)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_cannot_be_settled_does_not_stop_the_monolith() {
    let bed = Bed::unpublished(Knobs {
        pin_wait: "100ms",
        ..Knobs::default()
    })
    .await;
    bed.mover.position(None);
    bed.publish(7, TO_SERVICE, 0);
    // It is answered once the start has lapsed.
    assert_eq!(bed.get("/api/parties", USER).await.status, 200);
    assert_eq!(bed.get("/api/parties", None).await.status, 200);
    assert_eq!(bed.get(PATH, USER).await.side(), Some("service"));
}

/// The stream to the monolith is dead: nobody is shown what is old, however long
/// ago the gateway started.
#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_is_not_applied_binds_until_it_is() {
    let bed = Bed::unpublished(Knobs {
        pin_wait: "100ms",
        ..Knobs::default()
    })
    .await;
    bed.mover.position(Some(50));
    bed.mover.applied(Side::Service, 49);
    bed.publish(7, TO_SERVICE, 0);
    for client in [USER, None, USER] {
        assert_eq!(bed.get("/api/parties", client).await.status, 503);
    }
    bed.mover.applied(Side::Service, 50);
    assert_eq!(bed.get("/api/parties", USER).await.status, 200);
}

/// A bed whose extraction knows its clients by the cookie `sid`, and a client.
async fn bed_by_cookie() -> (Bed, Client) {
    let bed = Bed::changed(Knobs::default(), |plan| {
        let extraction = plan.extractions.get_mut(&contracts()).unwrap();
        extraction.cohort_key = CohortKey::Cookie("sid".to_owned());
    })
    .await;
    bed.publish(1, TO_MONOLITH, 100);
    let client = bed.client().await;
    (bed, client)
}

/// Which side answers whoever has this cookie.
async fn side_by_cookie(client: &mut Client, method: &str, sid: &str) -> Option<String> {
    of_path_by_cookie(client, method, PATH, sid).await
}

async fn of_path_by_cookie(
    client: &mut Client,
    method: &str,
    path: &str,
    sid: &str,
) -> Option<String> {
    let mut request = build(method, path, None, "");
    let cookie = format!("a=b; sid={sid}").parse().unwrap();
    request.headers_mut().insert("cookie", cookie);
    let answer = client.request(request).await.unwrap();
    answer.side().map(str::to_owned)
}

/// Until reads are let go to the service.
async fn let_go(client: &mut Client, sid: &str) {
    let end = std::time::Instant::now() + DEADLINE;
    while side_by_cookie(client, "GET", sid).await.as_deref() != Some("service") {
        assert!(std::time::Instant::now() < end, "reads are never let go");
    }
}

/// A login: the session is a row that only the owner has, and its name is new.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_gives_its_client_a_new_cookie_pins_that() {
    let (bed, mut client) = bed_by_cookie().await;
    bed.mover.position(Some(50));
    bed.mover.applied(Side::Monolith, 50);
    let_go(&mut client, "new").await;
    bed.mover.position(Some(60));
    bed.monolith.behave(|_| async {
        let mut answer = text(200, "welcome");
        let cookie = "sid=new; Path=/; HttpOnly".parse().unwrap();
        answer.headers_mut().insert("set-cookie", cookie);
        answer
    });
    for (method, sid, side) in [
        ("POST", "old", "monolith"),
        ("GET", "old", "monolith"),
        ("GET", "new", "monolith"),
        ("GET", "other", "service"),
    ] {
        let answered = side_by_cookie(&mut client, method, sid).await;
        assert_eq!(answered.as_deref(), Some(side), "{method} by {sid}");
    }
}

/// Answers whose cookie is one higher than the request's, as a session that is kept in
/// its cookie is new with every page.
fn count_up(upstream: &Upstream) {
    upstream.behave(|seen| async move {
        let cookies = seen.header("cookie").unwrap_or_default();
        let sid = cookies
            .rsplit("sid=")
            .next()
            .and_then(|sid| sid.parse::<u32>().ok());
        let mut answer = text(200, "page");
        if let Some(sid) = sid {
            let cookie = format!("sid={}; Path=/", sid + 1).parse().unwrap();
            answer.headers_mut().insert("set-cookie", cookie);
        }
        answer
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_wrote_follows_it_through_ever_new_cookies() {
    let (bed, mut client) = bed_by_cookie().await;
    bed.mover.position(Some(50));
    bed.mover.applied(Side::Monolith, 50);
    let_go(&mut client, "other").await;
    bed.mover.position(Some(60));
    count_up(&bed.monolith);
    // Of the extraction, of a page that stays, and of its reads.
    for (method, path, sid, side) in [
        ("POST", PATH, "1", "monolith"),
        ("GET", "/page", "2", "monolith"),
        ("GET", "/page", "3", "monolith"),
        ("GET", PATH, "4", "monolith"),
        ("GET", PATH, "5", "monolith"),
        // As a request that was under way meanwhile.
        ("POST", PATH, "3", "monolith"),
        ("GET", PATH, "6", "monolith"),
        ("GET", PATH, "other", "service"),
    ] {
        let answered = of_path_by_cookie(&mut client, method, path, sid).await;
        assert_eq!(answered.as_deref(), Some(side), "{method} {path} by {sid}");
    }
    bed.mover.applied(Side::Monolith, 60);
    let_go(&mut client, "6").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_known_wrote_follows_the_first_cookie() {
    let (bed, mut client) = bed_by_cookie().await;
    bed.mover.position(Some(50));
    bed.mover.applied(Side::Monolith, 50);
    let_go(&mut client, "other").await;
    bed.mover.position(Some(60));
    let written = client.request(build("POST", PATH, None, "")).await.unwrap();
    assert_eq!(written.side(), Some("monolith"));
    bed.monolith.behave(|_| async {
        let mut answer = text(200, "page");
        let cookie = "sid=first; Path=/".parse().unwrap();
        answer.headers_mut().insert("set-cookie", cookie);
        answer
    });
    let page = client
        .request(build("GET", "/page", None, ""))
        .await
        .unwrap();
    assert_eq!(page.side(), Some("monolith"));
    for (sid, side) in [("first", "monolith"), ("other", "service")] {
        let answered = side_by_cookie(&mut client, "GET", sid).await;
        assert_eq!(answered.as_deref(), Some(side), "{sid}");
    }
    // It has flowed: whoever comes now without a cookie is given no pin.
    bed.mover.applied(Side::Monolith, 60);
    let_go(&mut client, "first").await;
    let sampled = bed.mover.samples(Side::Monolith);
    for _ in 0..20 {
        let page = build("GET", "/page", None, "");
        assert_eq!(client.request(page).await.unwrap().status, 200);
    }
    assert_eq!(bed.mover.samples(Side::Monolith), sampled);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_names_a_client_as_well() {
    let (bed, mut client) = bed_by_cookie().await;
    let_go(&mut client, "1").await;
    bed.mover.position(Some(50));
    for (method, sid, side) in [
        ("POST", "1", "monolith"),
        ("GET", "1", "monolith"),
        ("GET", "2", "service"),
    ] {
        let answered = side_by_cookie(&mut client, method, sid).await;
        assert_eq!(answered.as_deref(), Some(side), "{method} by {sid}");
    }
}
