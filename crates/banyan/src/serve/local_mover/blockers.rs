//! What stands in the way of a hand-over beside what the databases say:
//! streams that lag, undeclared writers, a side that is not healthy.

use super::{followers::Followers, looks::Looks};
use crate::serve::current_plan::CurrentPlan;
use conductor::ports::{Wanted, WorkError};
use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use gateway::HealthQuestion;
use mover::{
    Mover, MoverError,
    positions::Sampler,
    readiness::{
        keeping_up::{self, LagLimits},
        seen::Observations,
    },
};
use plan::{ExtractionName, Replicate, Switch};
use protocol::{Side, stream::Direction};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};

/// How long is waited for the least time of looking who writes; a longer one is
/// the operator's to wait for.
const OBSERVE_WAIT: Duration = Duration::from_secs(15);

/// How long a side is asked again that is not healthy, as a stream is waited for that
/// does not keep up. One answer may take longer where the plan says so.
const HEALTH_WAIT: Duration = keeping_up::PATIENCE;

/// Between two such questions.
const HEALTH_PAUSE: Duration = Duration::from_millis(500);

/// How much longer the rest may take once there is a reason.
const REST: Duration = Duration::from_secs(2);

/// The far end of a wait that something else ends.
const NO_END: Duration = Duration::from_hours(24);

/// Looks at several things at once. Where one of them is a reason, the others have
/// [`REST`] to say theirs, so that whoever mends it knows what else there is.
pub(super) async fn together(
    looks: Vec<BoxFuture<'_, Result<Vec<String>, WorkError>>>,
) -> Result<Vec<String>, WorkError> {
    let mut looks: FuturesUnordered<_> = looks.into_iter().collect();
    let mut found = Vec::new();
    let mut end = Instant::now() + NO_END;
    while let Ok(Some(look)) = timeout_at(end, looks.next()).await {
        let had_none = found.is_empty();
        found.extend(look?);
        if had_none && !found.is_empty() {
            end = Instant::now() + REST;
        }
    }
    Ok(found)
}

/// Streams that are not followed, or that only a person gets to go on.
pub(super) fn of_failed_streams(followers: &Followers) -> Vec<String> {
    let failed = |direction: Direction| match followers.status(direction) {
        None => Some(unfollowed(direction)),
        Some(status) => {
            let failed = keeping_up::failed_blocker(direction, &status.borrow());
            failed.map(|blocker| blocker.to_string())
        }
    };
    Direction::BOTH.into_iter().filter_map(failed).collect()
}

fn unfollowed(direction: Direction) -> String {
    format!("the {} stream is not followed yet", direction.as_str())
}

/// A stream that does not keep up. `samplers`: of the monolith, of the service.
pub(super) async fn of_stream(
    direction: Direction,
    followers: &Followers,
    samplers: &[Sampler; 2],
    switch: &Switch,
    looks: &Looks,
) -> Vec<String> {
    let Some(status) = followers.status(direction) else {
        return vec![unfollowed(direction)];
    };
    let limits = LagLimits::of(switch);
    let _look = looks.begin(format!(
        "whether the {} stream catches up within {:?}",
        direction.as_str(),
        limits.catch_up
    ));
    let source = &samplers[usize::from(direction.source() == Side::Service)];
    let patience = keeping_up::PATIENCE;
    let found = keeping_up::stream_blocker(direction, status, source, limits, patience).await;
    found.iter().map(ToString::to_string).collect()
}

/// What was seen and stands in the way. Of writers only where the monolith is to be
/// fenced; the time of looking only where waiting does not make it long enough.
pub(super) fn of_seen(
    seen: &Observations,
    name: &ExtractionName,
    from: Side,
    planned: &Replicate,
) -> Vec<String> {
    let mut found = seen.strangers_rows(name);
    if from == Side::Monolith {
        let observe = planned.switch.observe;
        if seen.still_to_look(observe) >= OBSERVE_WAIT {
            found.extend(seen.too_short(observe));
        }
        found.extend(seen.writers_in_the_way(name, &planned.writers));
    }
    found.iter().map(ToString::to_string).collect()
}

/// Waits until it was looked for long enough, and says what was seen by then. The
/// databases have been read now.
pub(super) async fn of_writers(
    mover: &Mover,
    mut seen: Observations,
    planned: &Replicate,
    looks: &Looks,
) -> Result<(Observations, Vec<String>), MoverError> {
    let observe = planned.switch.observe;
    let _look = looks.begin(format!(
        "who writes the tables, for the {observe:?} of `switch.observe`"
    ));
    let until = Instant::now() + OBSERVE_WAIT;
    while !seen.still_to_look(observe).is_zero() && Instant::now() < until {
        sleep(seen.still_to_look(observe).min(Duration::from_secs(1))).await;
        seen = mover.seen().await?;
    }
    let name = &mover.extraction().name;
    let mut found: Vec<_> = seen.too_short(observe).into_iter().collect();
    found.extend(seen.writers_in_the_way(name, &planned.writers));
    let found = found.iter().map(ToString::to_string).collect();
    Ok((seen, found))
}

/// Who is to get the writes must say that it can work, or answer at all where
/// the plan does not say how to ask; or only take connections, where that is all
/// that is wanted. The plan may change while this waits. Asked once where
/// `patience` is zero.
pub(super) async fn of_health(
    current: &CurrentPlan,
    name: &ExtractionName,
    to: Side,
    wanted: Wanted,
    patience: Duration,
    looks: &Looks,
) -> Vec<String> {
    let began = Instant::now();
    let mut look = None;
    let mut tries = 0;
    loop {
        let plan = current.get();
        let upstream = match (to, plan.extractions.get(name)) {
            (Side::Monolith, _) => &plan.monolith,
            (Side::Service, Some(extraction)) => plan.service_of(extraction),
            // No plan that leaves out what has begun is gone by.
            (Side::Service, None) => return Vec::new(),
        };
        let question = HealthQuestion::of(upstream);
        let what = format!("the {to}'s health: {}", question.asked.join(", "));
        let look = look.get_or_insert_with(|| looks.begin(what.clone()));
        let resolve = &plan.gateway.host_addresses;
        let asked = match wanted {
            Wanted::Health => gateway::check_health(upstream, resolve).await,
            Wanted::Presence => gateway::check_presence(upstream, resolve).await,
        };
        tries += 1;
        let Err(problem) = asked else {
            return Vec::new();
        };
        if began.elapsed() + HEALTH_PAUSE + question.limit > patience {
            let asked = HealthProblem {
                problem: problem.to_string(),
                tries,
                during: began.elapsed(),
            };
            return vec![unhealthy(name, to, wanted, &question, &asked)];
        }
        look.again(what, problem.to_string());
        sleep(HEALTH_PAUSE).await;
    }
}

/// For as long as is reasonable.
pub(super) const fn health_wait() -> Duration {
    HEALTH_WAIT
}

struct HealthProblem {
    problem: String,
    tries: u32,
    during: Duration,
}

fn unhealthy(
    name: &ExtractionName,
    to: Side,
    wanted: Wanted,
    question: &HealthQuestion,
    asked: &HealthProblem,
) -> String {
    let HealthProblem {
        problem,
        tries,
        during,
    } = asked;
    let problem = format!(
        "the {to} is not healthy: {problem} (asked {tries} times in {:.0} s). See to the {to} first",
        during.as_secs_f64()
    );
    if wanted == Wanted::Presence {
        return problem;
    }
    let key = match to {
        Side::Monolith => "monolith",
        Side::Service => "its service",
    };
    let plan = if question.planned {
        format!("correct `health` of {key} in the plan (`path`, `timeout`)")
    } else {
        format!("say in the plan how {key} is asked (`health: {{ path: /health, timeout: 5s }}`)")
    };
    let past = match to {
        Side::Service => String::new(),
        Side::Monolith => format!(
            ". If it works all the same: `banyan rollback {name} --unhealthy` wants only that it              takes connections"
        ),
    };
    format!("{problem}, or {plan} and `banyan reload`, which also counts while this waits{past}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{
        FutureExt,
        future::{pending, ready},
    };
    use plan::Plan;
    use std::net::SocketAddr;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    fn plan(monolith: SocketAddr) -> Plan {
        let text = format!(
            r#"
monolith:
  url: "http://{monolith}"
  database: "postgres://u@127.0.0.1:1/m"
  health: {{ path: /health, timeout: 20ms }}
services: {{ contracts: {{ url: "http://127.0.0.1:2", database: "postgres://u@127.0.0.1:1/s" }} }}
gateway: {{ listen: "127.0.0.1:3" }}
extractions:
  contracts:
    service: contracts
    routes: [{{ path: /contracts }}]
    data: {{ mode: replicate, schema: s, tables: {{ public.c: {{ to: c }} }} }}
    rollout: {{ key: {{ header: x-user-id }} }}
"#
        );
        Plan::parse(&text, |_| None).unwrap()
    }

    async fn of_monolith(
        current: &CurrentPlan,
        wanted: Wanted,
        patience: Duration,
        looks: &Looks,
    ) -> Vec<String> {
        let name = ExtractionName::new("contracts").unwrap();
        of_health(current, &name, Side::Monolith, wanted, patience, looks).await
    }

    /// One that takes connections is slow, one that does not is dead: only the slow one
    /// can be gone back to.
    #[tokio::test]
    async fn a_refusal_says_what_was_asked_and_the_way_past_it() {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = silent.local_addr().unwrap();
        let current = CurrentPlan::new(plan(address).into());
        let looks = Looks::default();
        let ask = async |wanted| of_monolith(&current, wanted, Duration::ZERO, &looks).await;
        let found = ask(Wanted::Health).await.join("\n");
        for part in [
            format!("GET http://{address}/health takes connections, but has not answered"),
            "within 20ms (asked 1 times".to_owned(),
            "`banyan reload`".to_owned(),
            "`banyan rollback contracts --unhealthy`".to_owned(),
        ] {
            assert!(found.contains(&part), "{found}");
        }
        assert_eq!(ask(Wanted::Presence).await, Vec::<String>::new());
        drop(silent);
        for wanted in [Wanted::Health, Wanted::Presence] {
            let found = ask(wanted).await.join("\n");
            assert!(found.contains("cannot be reached"), "{found}");
        }
        assert_eq!(looks.report(), []);
    }

    #[tokio::test]
    async fn a_plan_that_changes_while_it_waits_counts() {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let well = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let other = plan(well.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = well.accept().await {
                let _ = stream.read(&mut [0; 1024]).await;
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
                let _ = stream.write_all(answer).await;
            }
        });
        let current = CurrentPlan::new(plan(silent.local_addr().unwrap()).into());
        let looks = Looks::default();
        let asking = of_monolith(&current, Wanted::Health, NO_END, &looks);
        let changing = async {
            while looks
                .report()
                .first()
                .is_none_or(|look| look.last.is_none())
            {
                sleep(Duration::from_millis(5)).await;
            }
            current.replace(other.into());
        };
        let (found, ()) = tokio::join!(asking, changing);
        assert_eq!(found, Vec::<String>::new());
    }

    /// Who mends one reason is not to be told of the next only then, nor waits for what
    /// takes longer.
    #[tokio::test]
    async fn a_reason_ends_the_wait_for_what_takes_longer() {
        let told = |reasons: &[&str]| {
            let reasons: Vec<_> = reasons.iter().map(|&one| one.to_owned()).collect();
            ready(Ok(reasons)).boxed()
        };
        let looks = vec![pending().boxed(), told(&[]), told(&["a"]), told(&["b"])];
        let mut found = together(looks).await.unwrap();
        found.sort_unstable();
        assert_eq!(found, ["a", "b"]);
        assert_eq!(
            together(vec![told(&[]), told(&["c"])]).await.unwrap(),
            ["c"]
        );
    }
}
