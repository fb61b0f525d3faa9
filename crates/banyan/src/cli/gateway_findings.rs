//! What stands in the way of the gateway: in the plan, and in the files that it names.

use gateway::{StartError, preflight, unusable_buffers};
use plan::{Exposure, Length, Oversight, Plan};
use protocol::finding::{Finding, FindingId};

/// What is found without any database.
pub(super) fn of(plan: &Plan) -> Vec<Finding> {
    let files = preflight(plan);
    let (exposures, oversights) = (plan.exposures(), plan.oversights());
    let files = files.iter().map(unusable);
    files
        .chain(buffers(plan))
        .chain(exposures.iter().map(avoided))
        .chain(oversights.iter().map(overseen))
        .collect()
}

fn unusable(error: &StartError) -> Finding {
    Finding::refuse(
        FindingId::UnusableFile,
        "the gateway's files",
        error.to_string(),
        "Until then neither `banyan serve` nor a reload takes this plan",
    )
}

fn buffers(plan: &Plan) -> Option<Finding> {
    let (directory, error) = unusable_buffers(plan)?;
    Some(Finding::refuse(
        FindingId::UnusableBuffers,
        directory.display().to_string(),
        format!(
            "no body can be kept there: {error}. One without a length above 1 MiB is answered 507"
        ),
        "Make the directory and let `banyan serve` write there, or name another one as \
         `gateway.buffering.directory`",
    ))
}

/// A guard that another way goes around.
fn avoided(exposure: &Exposure) -> Finding {
    let Exposure {
        guarded,
        demands,
        path,
        by,
    } = exposure;
    let demands = demands.join("`, `");
    let (by, remedy) = match by {
        Some(by) => (by.as_str(), format!("Demand `{demands}` there, too")),
        None => (
            "what no route matches",
            format!(
                "Demand `{demands}` under `gateway.policies`, or have it answered 404: `gateway: {{ \
                 unmatched: 404 }}`"
            ),
        ),
    };
    Finding::warn(
        FindingId::GuardAvoided,
        guarded,
        format!(
            "`{path}` is the same path of the same upstream, and goes there without `{demands}` by {by}"
        ),
        remedy,
    )
}

/// What the plan says and cannot be.
fn overseen(oversight: &Oversight) -> Finding {
    match oversight {
        Oversight::NoRequest { route, by } => Finding::warn(
            FindingId::RouteWithoutRequests,
            route,
            format!("it never gets a request: {by} matches the same and comes first"),
            "Take one of them away, or have them differ",
        ),
        Oversight::NobodyKnown { route } => Finding::refuse(
            FindingId::GroupsOfNobody,
            route,
            "`groups` is demanded there, and nothing that says who asks: each request is 403",
            "Demand `keys` or `jwt`, too",
        ),
        Oversight::QuietIsShort { extraction, quiet } => Finding::warn(
            FindingId::QuietIsShort,
            format!("`extractions.{extraction}.retire.quiet`"),
            format!(
                "it is {}: what runs once a day or more seldom does not show in it",
                Length(*quiet)
            ),
            "Write how long it takes until every job has run once: `quiet: 14d`",
        ),
        Oversight::GateOutlastsStep {
            extraction,
            step,
            gate,
            takes,
        } => Finding::warn(
            FindingId::GateOutlastsStep,
            format!("step {step} of {extraction}"),
            format!(
                "gate `{gate}` passes after {} at the soonest: the step lasts as long",
                Length(*takes)
            ),
            "Raise the step's `for`, or lower the gate's `for` or `max-age`",
        ),
        Oversight::StopCutsOff {
            route,
            first_byte,
            grace,
        } => Finding::warn(
            FindingId::StopCutsOff,
            route,
            format!(
                "it may wait {} for an answer, and a stop cuts it off after {}",
                Length(*first_byte),
                Length(*grace)
            ),
            format!(
                "Raise `gateway.grace` to {}, and with it how long whatever stops the \
                 process waits, or lower `first-byte`",
                Length(*first_byte)
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(gateway: &str) -> Vec<String> {
        let text = format!(
            "monolith: {{ url: http://127.0.0.1:1 }}\ngateway:\n  listen: 127.0.0.1:2\n{gateway}"
        );
        let found = of(&Plan::parse(&text, |_| None).unwrap());
        found.iter().map(|one| one.id.to_string()).collect()
    }

    #[test]
    fn files_that_are_not_there_are_found() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name).display().to_string();
        let (nowhere, here) = (at("none/at.all"), at("access.log"));
        let tls = format!(
            "  listeners: [{{ listen: '127.0.0.1:3', tls: {{ certificate: {nowhere}, key: {nowhere} }} }}]\n"
        );
        assert_eq!(found(&tls), ["BN-131"]);
        assert_eq!(
            found(&format!("  access-log: {{ path: {nowhere} }}\n")),
            ["BN-131"]
        );
        assert_eq!(
            found(&format!("  buffering: {{ directory: {nowhere} }}\n")),
            ["BN-132"]
        );
        let fine = format!(
            "  access-log: {{ path: {here} }}\n  buffering: {{ directory: {} }}\n",
            directory.path().display()
        );
        assert!(found(&fine).is_empty());
        // Nothing was made.
        assert!(!std::path::Path::new(&here).exists());
    }

    #[test]
    fn what_cannot_be_as_the_plan_says_is_found() {
        let routes = "  grace: 30s\n  routes:\n    a: { to: monolith, path: /x }\n    \
                      b: { to: monolith, path: /x }\n    \
                      g: { to: monolith, path: /g, policies: { groups: [nobody] } }\n";
        let mut all = found(routes);
        all.retain(|id| id != "BN-130");
        all.sort_unstable();
        assert_eq!(all, ["BN-133", "BN-134", "BN-135"]);
    }
}
