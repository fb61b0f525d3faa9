//! Feature flags choose a side for the reads of single users.

use crate::{redis::Redis, support::*};
use plan::{Flag, FlagChoice, FlagStore, Force, Secret};
use protocol::Side;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

const PATH: &str = "/api/contracts";
const FLAG: &str = "new_contracts";

/// A bed with the flag, as the plan sets it and as Redis has it.
async fn flagged(flag: Flag, redis: Option<&Redis>) -> Bed {
    Bed::changed(Knobs::default(), |plan| {
        let extraction = plan.extractions.get_mut(&contracts()).unwrap();
        extraction.flag = Some(FLAG.to_owned());
        extraction.force = Some(Force {
            header: "x-canary".to_owned(),
            key: Secret::new("tester").unwrap(),
        });
        plan.gateway.flags.set = BTreeMap::from([(FLAG.to_owned(), flag)]);
        plan.gateway.flags.store = redis.map(|redis| store(&redis.address.to_string()));
    })
    .await
}

fn store(address: &str) -> FlagStore {
    FlagStore {
        redis: Secret::new(&format!("redis://{address}")).unwrap(),
        every: Duration::from_millis(50),
    }
}

fn users(choices: &[(&str, FlagChoice)]) -> Flag {
    let users = choices.iter();
    Flag {
        everybody: None,
        users: users
            .map(|(user, one)| ((*user).to_owned(), *one))
            .collect(),
    }
}

async fn side(bed: &Bed, user: Option<&str>) -> Option<String> {
    bed.get(PATH, user).await.side().map(str::to_owned)
}

fn why(bed: &Bed, user: &str) -> String {
    let request = http::Request::get(PATH).header("host", "a");
    let request = request
        .header("x-user-id", user)
        .body(bytes::Bytes::new())
        .unwrap();
    let address = std::net::Ipv4Addr::LOCALHOST.into();
    bed.gateway.explain(request, address).unwrap().why
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flag_chooses_for_its_users_whatever_the_share() {
    let flag = users(&[("7", FlagChoice::Always), ("8", FlagChoice::Never)]);
    let bed = flagged(flag, None).await;
    bed.settle(TO_MONOLITH, 0).await;
    assert_eq!(side(&bed, Some("7")).await.as_deref(), Some("service"));
    assert_eq!(side(&bed, Some("9")).await.as_deref(), Some("monolith"));
    bed.publish(1, TO_MONOLITH, 100);
    assert_eq!(side(&bed, Some("8")).await.as_deref(), Some("monolith"));
    assert_eq!(side(&bed, Some("9")).await.as_deref(), Some("service"));
    let flagged = "the feature flag `new_contracts` chose the side for its client";
    assert_eq!(
        (why(&bed, "7").as_str(), why(&bed, "8").as_str()),
        (flagged, flagged)
    );
    assert_ne!(why(&bed, "9"), flagged);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flag_moves_no_write_and_no_read_that_would_miss_one() {
    let everybody = Some(FlagChoice::Always);
    let flag = Flag {
        everybody,
        ..Flag::default()
    };
    for user in [Some("7"), None] {
        let bed = flagged(flag.clone(), None).await;
        // Nothing was applied so far of what was there before.
        bed.mover.position(Some(10));
        bed.publish(0, TO_MONOLITH, 0);
        assert_eq!(side(&bed, user).await.as_deref(), Some("monolith"));
        bed.mover.applied(Side::Monolith, 10);
        bed.client()
            .await
            .reads_from(Side::Service, PATH, user)
            .await;
        bed.mover.position(Some(50));
        assert_eq!(bed.post(PATH, user, "").await.side(), Some("monolith"));
        assert_eq!(side(&bed, user).await.as_deref(), Some("monolith"));
        bed.mover.applied(Side::Monolith, 50);
        bed.client()
            .await
            .reads_from(Side::Service, PATH, user)
            .await;
        // A tester's own choice comes first.
        let mut request = build("GET", PATH, user, "");
        let headers = request.headers_mut();
        headers.insert("x-canary", "never".parse().unwrap());
        headers.insert("x-canary-key", "tester".parse().unwrap());
        let answer = bed.client().await.request(request).await.unwrap();
        assert_eq!(answer.side(), Some("monolith"));
    }
}

/// Until a user's reads go there.
async fn goes_to(bed: &Bed, side: Side, user: &str) {
    bed.client().await.reads_from(side, PATH, Some(user)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn flags_in_redis_count_soon_and_stay_while_it_is_away() {
    let Some(mut redis) = Redis::start() else {
        return;
    };
    let bed = flagged(users(&[("8", FlagChoice::Always)]), Some(&redis)).await;
    bed.settle(TO_MONOLITH, 0).await;
    goes_to(&bed, Side::Service, "8").await;
    let url = format!("redis://{}", redis.address);
    let client = ::redis::Client::open(url.as_str()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut command = async |parts: &[&str]| {
        let mut command = ::redis::cmd(parts[0]);
        for part in &parts[1..] {
            command.arg(*part);
        }
        command.exec_async(&mut connection).await.unwrap();
    };
    // Among much else.
    for number in 0..2500 {
        command(&["SET", &format!("session:{number}"), "x"]).await;
    }
    command(&["HSET", "feature:new_contracts:user:9", "no", "flag"]).await;
    command(&["SET", "feature:new_contracts:user:7", "true"]).await;
    command(&["SET", "feature:new_contracts:user:8", "false"]).await;
    goes_to(&bed, Side::Service, "7").await;
    goes_to(&bed, Side::Monolith, "8").await;
    assert_eq!(side(&bed, Some("9")).await.as_deref(), Some("monolith"));
    command(&["SET", "feature:new_contracts", "true"]).await;
    goes_to(&bed, Side::Service, "9").await;
    assert_eq!(side(&bed, Some("8")).await.as_deref(), Some("monolith"));
    command(&[
        "DEL",
        "feature:new_contracts:user:8",
        "feature:new_contracts",
    ])
    .await;
    // The plan's word again.
    goes_to(&bed, Side::Service, "8").await;
    goes_to(&bed, Side::Monolith, "9").await;
    assert_eq!(bed.metric("banyan_flags_stale "), 0);
    redis.kill();
    until("it is missed", || bed.metric("banyan_flags_stale ") == 1).await;
    let failed = || bed.metric(r#"banyan_flags_reads_total{outcome="failed"} "#);
    let before = failed();
    until("it is tried again", || failed() > before).await;
    assert_eq!(side(&bed, Some("7")).await.as_deref(), Some("service"));
    redis.restart();
    // Empty, and so it is meant.
    goes_to(&bed, Side::Monolith, "7").await;
    assert_eq!(bed.metric("banyan_flags_stale "), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_never_answers_delays_nobody() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let bed = Bed::changed(Knobs::default(), |plan| {
        let extraction = plan.extractions.get_mut(&contracts()).unwrap();
        extraction.flag = Some(FLAG.to_owned());
        plan.gateway.flags.store = Some(store(&address.to_string()));
    })
    .await;
    bed.settle(TO_MONOLITH, 0).await;
    assert_eq!(side(&bed, Some("7")).await.as_deref(), Some("monolith"));
    // The first answer that it waits for is still to come.
    let failed = bed.metric(r#"banyan_flags_reads_total{outcome="failed"} "#);
    let end = Instant::now() + DEADLINE;
    let mut requests = 0;
    while failed == bed.metric(r#"banyan_flags_reads_total{outcome="failed"} "#) {
        assert!(Instant::now() < end, "it never gave up");
        assert_eq!(bed.get(PATH, Some("7")).await.status, 200);
        requests += 1;
    }
    assert!(requests > 2, "requests wait for Redis: {requests}");
    assert_eq!(bed.metric("banyan_flags_stale "), 1);
}
