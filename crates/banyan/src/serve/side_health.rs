//! How a side is, from what the gateway thinks of its instances.

use conductor::status::SideHealth;
use gateway::{BreakerState, InstanceReport, UpstreamReport};

/// Before the first answer nobody knows.
const NOT_YET: &str = "it has not answered yet";

/// `planned`: whether the plan says how its health is asked for.
pub(super) fn of(report: &UpstreamReport, planned: bool) -> SideHealth {
    let usable = |one: &&InstanceReport| one.healthy && !one.ejected;
    let sick: Vec<_> = report.instances.iter().filter(|one| !usable(one)).collect();
    let problems: Vec<String> = sick.iter().map(|one| problem(one)).collect();
    let mut reason = (!problems.is_empty()).then(|| problems.join("; "));
    let state = if report.is_up() {
        reason = reason.map(|reason| {
            format!(
                "{} of {} instances are not: {reason}",
                sick.len(),
                report.instances.len()
            )
        });
        let has_answered = report.instances.iter().any(|one| one.last_check.is_some());
        match (planned, has_answered) {
            (false, _) => "not-asked",
            (true, true) => "healthy",
            (true, false) => {
                reason = Some(NOT_YET.to_owned());
                "not-asked"
            }
        }
    } else {
        if report.breaker == Some(BreakerState::Open) {
            let open = "so many requests failed that its breaker is open".to_owned();
            reason = Some(reason.map_or(open.clone(), |reason| format!("{open}; {reason}")));
        }
        "unhealthy"
    };
    // Of those that make it what it is.
    let since = match state {
        "unhealthy" => sick.iter().filter_map(|one| one.since).min(),
        _ => report.instances.iter().filter_map(|one| one.since).max(),
    };
    SideHealth {
        state: state.to_owned(),
        reason,
        for_seconds: since.map(|since| since.as_secs_f64()),
    }
}

fn problem(one: &InstanceReport) -> String {
    match &one.problem {
        Some(problem) if !one.healthy => problem.clone(),
        _ => format!(
            "requests to {} failed, it is left alone for a while",
            one.url
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway::CheckReport;
    use std::time::Duration;

    fn instance(problem: Option<&str>, since: u64) -> InstanceReport {
        InstanceReport {
            url: "http://s:1".to_owned(),
            healthy: problem.is_none(),
            ejected: false,
            failing: false,
            in_flight: 0,
            last_check: Some(CheckReport {
                ago: Duration::ZERO,
                passed: problem.is_none(),
            }),
            since: Some(Duration::from_secs(since)),
            problem: problem.map(str::to_owned),
        }
    }

    fn upstream(instances: Vec<InstanceReport>) -> UpstreamReport {
        UpstreamReport {
            name: "s".to_owned(),
            breaker: None,
            instances,
        }
    }

    #[test]
    fn a_side_is_what_its_instances_are() {
        let bad = Some("GET http://s:1/health answers 503");
        let (well, sick) = (instance(None, 9), instance(bad, 3));
        let mut ejected = instance(None, 9);
        ejected.ejected = true;
        let mut new = well.clone();
        new.last_check = None;
        for (instances, planned, state, reason, seconds) in [
            (vec![well.clone()], true, "healthy", None, 9.0),
            (vec![well.clone()], false, "not-asked", None, 9.0),
            (vec![new], true, "not-asked", Some(NOT_YET), 9.0),
            (vec![sick.clone()], true, "unhealthy", bad, 3.0),
            (
                vec![well, sick],
                true,
                "healthy",
                Some("1 of 2 instances are not"),
                9.0,
            ),
            (vec![ejected], false, "unhealthy", Some("left alone"), 9.0),
        ] {
            let found = of(&upstream(instances), planned);
            assert_eq!(found.state, state);
            assert_eq!(found.for_seconds, Some(seconds));
            let told = found.reason.as_deref();
            let as_wanted = match reason {
                Some(reason) => told.is_some_and(|told| told.contains(reason)),
                None => told.is_none(),
            };
            assert!(as_wanted, "{told:?}, not {reason:?}");
        }
    }

    #[test]
    fn an_open_breaker_speaks_against_it() {
        let mut report = upstream(vec![instance(None, 9)]);
        report.breaker = Some(BreakerState::Open);
        let found = of(&report, true);
        assert_eq!(found.state, "unhealthy");
        assert!(
            found
                .reason
                .is_some_and(|reason| reason.contains("breaker"))
        );
    }
}
