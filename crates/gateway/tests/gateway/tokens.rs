//! A client is shown what it wrote by every gateway, by the token that it
//! brings back.

use crate::support::*;
use gateway::Gateway;
use plan::{Data, Plan, ReadYourWrites, Secret, TokenTransport};
use protocol::{InstanceId, Side, routing::Writes};
use std::time::{Duration, Instant};

const PATH: &str = "/api/contracts";
const DOCUMENTS: &str = "/api/documents";
const SECRET: &str = "0123456789abcdef";

/// Two gateways in front of the same upstreams.
struct Pair {
    bed: Bed,
    plan: Plan,
    other: Gateway,
}

impl Pair {
    /// Both know that `writes` go to their owner, and that all so far has been
    /// applied on the other side, where all reads go but those of the bound.
    async fn start(writes: Writes) -> Self {
        Self::with(writes, TokenTransport::Cookie("seen".to_owned())).await
    }

    async fn with(writes: Writes, transport: TokenTransport) -> Self {
        let mut used = None;
        let bed = Bed::changed(Knobs::default(), |plan| {
            *own_writes(plan) = Some(ReadYourWrites {
                transport,
                secret: Secret::new(SECRET).unwrap(),
            });
            used = Some(plan.clone());
        })
        .await;
        let plan = used.unwrap();
        let other = bed.another(&plan);
        bed.publish(1, writes, share(writes));
        other.publish(&routing(1, writes, share(writes)));
        Self { bed, plan, other }
    }

    async fn send(gateway: &Gateway, method: &str, path: &str, token: Option<&str>) -> Answer {
        let mut client = Client::connect(gateway.local_addr()).await;
        let mut request = build(method, path, Some("writer"), "");
        if let Some(token) = token {
            let headers = request.headers_mut();
            headers.insert("cookie", format!("a=b; seen={token}").parse().unwrap());
            headers.insert("x-seen", token.parse().unwrap());
        }
        client.request(request).await.unwrap()
    }

    /// Where a read through the second gateway goes.
    async fn side(&self, token: &str) -> Option<String> {
        let answer = Self::send(&self.other, "GET", PATH, Some(token)).await;
        answer.side().map(str::to_owned)
    }

    /// A write through the first gateway, and the token of its answer.
    async fn write(&self) -> String {
        let answer = Self::send(&self.bed.gateway, "POST", PATH, None).await;
        assert_eq!(answer.status, 200);
        token(&answer).expect("no token for a write")
    }

    /// The token of one that has written nothing so far.
    async fn fresh(&self, gateway: &Gateway) -> String {
        let end = Instant::now() + DEADLINE;
        loop {
            let answer = Self::send(gateway, "GET", PATH, None).await;
            match token(&answer) {
                Some(token) => return token,
                None => assert!(Instant::now() < end, "never got a token"),
            }
        }
    }

    /// Until a read with this token goes there.
    async fn reads_from(&self, side: Side, token: &str) {
        let end = Instant::now() + DEADLINE;
        while self.side(token).await.as_deref() != Some(side.as_str()) {
            assert!(Instant::now() < end, "never read from the {side}");
        }
    }
}

/// The share under which all reads go to the side that does not own.
fn own_writes(plan: &mut Plan) -> &mut Option<ReadYourWrites> {
    let extraction = plan.extractions.get_mut(&contracts()).unwrap();
    let Data::Replicate(data) = &mut extraction.data else {
        panic!("its data move")
    };
    &mut data.read_your_writes
}

fn share(writes: Writes) -> u16 {
    if writes == TO_MONOLITH { 100 } else { 0 }
}

fn token(answer: &Answer) -> Option<String> {
    let cookie = answer.header("set-cookie")?.strip_prefix("seen=")?;
    Some(cookie.split(';').next()?.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_through_one_gateway_binds_reads_through_the_other() {
    for (owner, to) in [(Side::Monolith, TO_MONOLITH), (Side::Service, TO_SERVICE)] {
        let pair = Pair::start(to).await;
        let (owners, others) = (Some(owner.as_str()), Some(owner.other().as_str()));
        let before = pair.fresh(&pair.other).await;
        // From its second read on, a client is split.
        pair.reads_from(owner.other(), &before).await;
        pair.bed.mover.position(Some(50));
        let written = pair.write().await;
        assert_eq!(pair.side(&written).await.as_deref(), owners);
        // It is the token that does it.
        assert_eq!(pair.side(&before).await.as_deref(), others);
        pair.bed.mover.applied(owner, 49);
        assert_eq!(pair.side(&written).await.as_deref(), owners);
        pair.bed.mover.applied(owner, 50);
        assert_eq!(pair.side(&written).await.as_deref(), others);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_outlives_the_gateway_that_made_it_and_an_aborted_hand_over() {
    let mut pair = Pair::start(TO_MONOLITH).await;
    pair.plan.gateway.pin_wait = Duration::from_secs(2);
    let before = pair.fresh(&pair.other).await;
    pair.bed.mover.position(Some(50));
    let written = pair.write().await;
    // What the new process finds by itself is settled at once.
    pair.bed.mover.position(Some(10));
    pair.bed.mover.applied(Side::Monolith, 49);
    pair.bed.gateway.shutdown(Duration::ZERO).await;
    pair.other.shutdown(Duration::ZERO).await;
    let other = pair.bed.another(&pair.plan);
    // It knows the owner since a later decision than the one of the write.
    other.publish(&routing(5, TO_MONOLITH, 100));
    let pair = Pair { other, ..pair };
    pair.reads_from(Side::Service, &before).await;
    assert_eq!(pair.side(&written).await.as_deref(), Some("monolith"));
    pair.bed.mover.applied(Side::Monolith, 50);
    assert_eq!(pair.side(&written).await.as_deref(), Some("service"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_good_token_one_reads_from_the_owner() {
    let pair = Pair::start(TO_MONOLITH).await;
    let good = pair.fresh(&pair.other).await;
    pair.reads_from(Side::Service, &good).await;
    let mut forged = good.clone().into_bytes();
    // Another epoch, with the same signature.
    let at = good.find(".1.").unwrap() + 1;
    forged[at] = b'9';
    let forged = String::from_utf8(forged).unwrap();
    let foreign = {
        let mut plan = pair.plan.clone();
        let own = own_writes(&mut plan).as_mut().unwrap();
        own.secret = Secret::new("another secret, of 16").unwrap();
        let foreign = pair.bed.another(&plan);
        foreign.publish(&routing(1, TO_MONOLITH, 100));
        pair.fresh(&foreign).await
    };
    for bad in [&forged, &foreign, &good[1..], "v2.mr.0.1.0.", "-", ""] {
        assert_eq!(pair.side(bad).await.as_deref(), Some("monolith"), "{bad}");
    }
    let answer = Pair::send(&pair.other, "GET", PATH, None).await;
    assert_eq!(answer.side(), Some("monolith"));
    assert_eq!(pair.side(&good).await.as_deref(), Some("service"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_that_is_not_known_binds_until_it_is() {
    let pair = Pair::start(TO_MONOLITH).await;
    pair.bed.mover.position(None);
    let unknown = pair.write().await;
    assert!(unknown.starts_with("v2.mw.0.1.-."), "{unknown}");
    assert_eq!(pair.side(&unknown).await.as_deref(), Some("monolith"));
    pair.bed.mover.position(Some(50));
    let end = Instant::now() + DEADLINE;
    let known = loop {
        let answer = Pair::send(&pair.other, "GET", PATH, Some(&unknown)).await;
        assert_eq!(answer.side(), Some("monolith"));
        if let Some(known) = token(&answer) {
            break known;
        }
        assert!(Instant::now() < end, "never told");
    };
    assert!(known.starts_with("v2.mw.0.1.32."), "{known}");
    assert_eq!(pair.side(&known).await.as_deref(), Some("monolith"));
    pair.bed.mover.applied(Side::Monolith, 50);
    pair.reads_from(Side::Service, &known).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_may_come_to_be_later_has_no_position() {
    let pair = Pair::start(TO_MONOLITH).await;
    pair.bed.mover.position(Some(50));
    pair.bed
        .monolith
        .behave(|_| async { text(502, "who knows") });
    let answer = Pair::send(&pair.bed.gateway, "POST", PATH, None).await;
    assert_eq!(answer.status, 502);
    assert!(token(&answer).unwrap().starts_with("v2.mw.0.1.32."));
    // Without any answer.
    let knobs = Knobs {
        first_byte: "50ms",
        ..Knobs::default()
    };
    let mut plan = plan(
        knobs,
        "127.0.0.1:0",
        pair.bed.monolith.address,
        pair.bed.service.address,
    );
    let own = own_writes(&mut pair.plan.clone()).clone();
    *own_writes(&mut plan) = own;
    let hasty = pair.bed.another(&plan);
    hasty.publish(&routing(1, TO_MONOLITH, 100));
    let _go = pair.bed.monolith.stall();
    let answer = Pair::send(&hasty, "POST", PATH, None).await;
    assert_eq!(answer.status, 504);
    assert!(token(&answer).unwrap().starts_with("v2.mw.0.1.-."));
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_that_stay_wait_for_what_a_token_says() {
    let pair = Pair::start(TO_SERVICE).await;
    let read = pair.fresh(&pair.other).await;
    pair.reads_from(Side::Monolith, &read).await;
    pair.bed.monolith.forget();
    for position in [Some(50), None] {
        pair.bed.mover.position(position);
        let written = pair.write().await;
        pair.bed.mover.position(Some(50));
        let other = pair.other.clone();
        let dependent =
            tokio::spawn(
                async move { Pair::send(&other, "POST", DOCUMENTS, Some(&written)).await },
            );
        until("it waits", || {
            encoded(&pair.other).contains("banyan_pin_waiting 1")
        })
        .await;
        // Those that wrote nothing, and those of whom nothing is known, pass.
        for token in [None, Some(read.as_str())] {
            let answer = Pair::send(&pair.other, "GET", DOCUMENTS, token).await;
            assert_eq!(answer.status, 200);
        }
        assert_eq!(pair.bed.monolith.count(), 2);
        pair.bed.mover.applied(Side::Service, 50);
        let answer = dependent.await.unwrap();
        assert_eq!((answer.status, answer.side()), (200, Some("monolith")));
        // Found out on the way.
        let known = token(&answer).map(|token| token.starts_with("v2.sw.0.1.32."));
        assert_eq!(known, position.is_none().then_some(true));
        pair.bed.mover.applied(Side::Service, 0);
        pair.bed.monolith.forget();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hand_over_settles_older_tokens_and_newer_ones_lead() {
    let pair = Pair::start(TO_MONOLITH).await;
    pair.bed.mover.position(Some(50));
    let older = pair.write().await;
    let hold = routing(2, HOLD, 100);
    pair.bed.gateway.publish(&hold);
    pair.other.publish(&hold);
    pair.bed.drained(2).await;
    // Only the first gateway has heard how it ended.
    pair.bed.publish(2, TO_SERVICE, 0);
    let newer = pair.write().await;
    assert!(newer.starts_with("v2.sw.0.2.32."), "{newer}");
    assert_eq!(pair.side(&older).await.as_deref(), Some("monolith"));
    assert_eq!(pair.side(&newer).await.as_deref(), Some("service"));
    pair.other.publish(&routing(2, TO_SERVICE, 0));
    assert_eq!(pair.side(&newer).await.as_deref(), Some("service"));
    // Its start settles: all that was written at the service by then.
    pair.bed.mover.applied(Side::Service, 49);
    assert_eq!(pair.side(&newer).await.as_deref(), Some("service"));
    assert_eq!(pair.side(&older).await.as_deref(), Some("monolith"));
    pair.bed.mover.applied(Side::Service, 50);
    pair.reads_from(Side::Monolith, &newer).await;
}

/// Switched, rolled back, cancelled, begun anew, and all processes started again: the
/// decisions count from the start, and tokens of before are still about.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_another_life_binds_nothing() {
    let of_life = |life: Option<u128>, epoch, writes| {
        let mut routing = routing(epoch, writes, 0);
        let extraction = routing.extractions.get_mut(&contracts()).unwrap();
        extraction.instance = life.map(|id| InstanceId(uuid::Uuid::from_u128(id << 96)));
        routing
    };
    let mut pair = Pair::start(TO_MONOLITH).await;
    pair.plan.gateway.pin_wait = Duration::from_secs(2);
    let before = pair.bed.another(&pair.plan);
    before.publish(&of_life(Some(1), 5, TO_SERVICE));
    pair.bed.mover.position(Some(90));
    let answer = Pair::send(&before, "POST", PATH, None).await;
    let written = token(&answer).expect("no token for a write");
    assert!(written.starts_with("v2.sw.1.5.5a."), "{written}");
    pair.bed.mover.position(Some(50));
    pair.bed.mover.applied(Side::Service, 50);
    for (life, writes, owner) in [
        (None, TO_MONOLITH, "monolith"),
        (Some(2), TO_MONOLITH, "monolith"),
        (Some(2), TO_SERVICE, "service"),
    ] {
        let now = pair.bed.another(&pair.plan);
        now.publish(&of_life(life, 0, writes));
        let stays = Pair::send(&now, "GET", DOCUMENTS, Some(&written)).await;
        assert_eq!(stays.status, 200, "{life:?}");
        // It has shown nothing of its client in this life.
        let read = Pair::send(&now, "GET", PATH, Some(&written)).await;
        assert_eq!(read.side(), Some(owner), "{life:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_with_tokens_are_private_and_others_have_none() {
    let pair = Pair::start(TO_MONOLITH).await;
    let answer = Pair::send(&pair.bed.gateway, "POST", PATH, None).await;
    let cookie = answer.header("set-cookie").unwrap();
    assert!(cookie.ends_with("; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax"));
    assert_eq!(answer.header("cache-control"), Some("private"));
    // Whoever reads from the owner anyway needs none.
    pair.other.publish(&routing(1, TO_MONOLITH, 0));
    for path in [PATH, DOCUMENTS] {
        let answer = Pair::send(&pair.other, "GET", path, None).await;
        assert_eq!(answer.header("set-cookie"), None);
        assert_eq!(answer.header("cache-control"), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_does_as_well() {
    let transport = TokenTransport::Header("x-seen".to_owned());
    let pair = Pair::with(TO_MONOLITH, transport).await;
    pair.bed.mover.position(Some(50));
    let answer = Pair::send(&pair.bed.gateway, "POST", PATH, None).await;
    let written = answer.header("x-seen").unwrap();
    assert_eq!(answer.header("set-cookie"), None);
    assert_eq!(pair.side(written).await.as_deref(), Some("monolith"));
    pair.bed.mover.applied(Side::Monolith, 50);
    pair.reads_from(Side::Service, written).await;
}
