//! How traffic is shifted: `rollout:`.

mod changes;
mod differences;
mod gates;
mod measured;
mod steps;

pub(crate) use changes::setting_changes;
pub use changes::step_changes;
pub use differences::StepDifference;
pub use gates::{Gates, LagLimit, Limit, Quantile, ShadowLimit, Throughput, WeekWindow};
pub use measured::{
    GateSource, MeasuredGate, Number, OnFail, PrometheusQuery, ValueLimit, Webhook,
};
pub use steps::{Automatic, Schedule, Step, StepDoes};

use crate::{
    base::{Environment, Located, PlanError, ScalarOrMap, Secret, Text, header_name, parse},
    extraction::{
        cohort_key::{self, CohortKey, KeyFile},
        read_your_writes::{self, ReadYourWrites, ReadYourWritesFile},
    },
    flags,
    route::Route,
};
use gates::GatesFile;
use schemars::JsonSchema;
use serde::Deserialize;
use steps::{AutomaticFile, ScheduleFile, StepFile};

/// How traffic is shifted.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RolloutFile {
    /// What a client is known by.
    pub(crate) key: Located<KeyFile>,
    /// How testers choose a side themselves.
    #[serde(default)]
    pub(crate) force: Option<ForceFile>,
    /// What clients bring back, so that every gateway shows them what they
    /// wrote. Whoever does not bring it back reads from the owner.
    #[serde(default)]
    pub(crate) read_your_writes: Option<Located<ReadYourWritesFile>>,
    /// A feature flag that chooses a side for a user's reads, and for the
    /// writes where both sides share the data: in `gateway.flags`, by what
    /// clients are known by.
    #[serde(default)]
    pub(crate) flag: Option<Text>,
    /// Whether reads stay at the service while its change stream is not well
    /// (default false: they go back to the owner until it is).
    #[serde(default)]
    pub(crate) stale_reads: bool,
    /// What it goes through by itself, in order, once it was started. None: each
    /// step is a person's.
    #[serde(default)]
    pub(crate) steps: Vec<Located<ScalarOrMap<StepFile>>>,
    /// What must hold for that to go on.
    #[serde(default)]
    pub(crate) gates: Option<GatesFile>,
    /// What of it happens without a person.
    #[serde(default)]
    pub(crate) automatic: AutomaticFile,
    /// The extractions that must have switched before a step of this one begins.
    #[serde(default)]
    pub(crate) after: Vec<Text>,
}

/// How traffic is shifted.
pub(crate) struct Rollout {
    pub(crate) key: CohortKey,
    pub(crate) force: Option<Force>,
    pub(crate) read_your_writes: Option<Located<ReadYourWrites>>,
    pub(crate) flag: Option<String>,
    pub(crate) stale_reads: bool,
    pub(crate) schedule: Option<Schedule>,
}

/// How testers choose a side for their reads, and for their writes where both
/// sides share the data.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ForceFile {
    /// A header: `always` for the service, `never` for the monolith.
    pub(crate) header: Text,
    /// What the header of that name and `-key` must hold.
    pub(crate) key: Text,
}

/// How testers choose a side for their reads, and for their writes where data
/// are shared: by `always` (the service) or
/// `never` in a header, with the key in the header of that name and `-key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Force {
    /// The header's name, lower case.
    pub header: String,
    /// What the other header must hold.
    pub key: Secret,
}

/// What clients are known by, and how testers choose.
pub(crate) fn resolve(
    file: Option<RolloutFile>,
    routes: &[Route],
    environment: Environment<'_>,
) -> Result<Rollout, PlanError> {
    let Some(file) = file else {
        return Ok(Rollout {
            key: CohortKey::None,
            force: None,
            read_your_writes: None,
            flag: None,
            stale_reads: false,
            schedule: None,
        });
    };
    let force = file
        .force
        .map(|force| {
            Ok(Force {
                header: parse(&force.header, environment, header_name)?,
                key: parse(&force.key, environment, Secret::new)?,
            })
        })
        .transpose()?;
    let key = cohort_key::resolve(&file.key.value, routes, environment)?;
    let read_your_writes = file
        .read_your_writes
        .map(|file| {
            let at = file.at;
            read_your_writes::resolve(file, &key, environment).map(|value| Located { value, at })
        })
        .transpose()?;
    let flag = file.flag;
    let flag = flag.map(|text| parse(&text, environment, flags::name));
    let schedule = ScheduleFile {
        steps: file.steps,
        gates: file.gates,
        automatic: file.automatic,
        after: file.after,
    };
    Ok(Rollout {
        schedule: steps::resolve(schedule, environment)?,
        key,
        force,
        read_your_writes,
        flag: flag.transpose()?,
        stale_reads: file.stale_reads,
    })
}
