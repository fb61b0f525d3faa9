//! A unit of migration: the routes and the tables that move to one service.

mod cohort_key;
mod data;
mod read_your_writes;
mod retire;
mod rollout;
mod shadow;
mod switch;

pub use cohort_key::CohortKey;
pub use data::{
    ColumnPair, Data, Databases, ForeignColumn, ForeignKeyRule, Replicate, TableMapping,
    TableWrites, WriterPattern,
};
pub use read_your_writes::{ReadYourWrites, TokenTransport};
pub use retire::Retire;
pub(crate) use rollout::setting_changes;
pub use rollout::{
    Automatic, Force, GateSource, Gates, LagLimit, Limit, MeasuredGate, Number, OnFail,
    PrometheusQuery, Quantile, Schedule, ShadowLimit, Step, StepDifference, StepDoes, Throughput,
    ValueLimit, Webhook, WeekWindow, step_changes,
};
pub use shadow::{DeclaredVolatile, Ignored, Shadow};
pub use switch::Switch;

use crate::{
    base::{Environment, ExtractionName, Located, PlanError, ServiceName, Text, parse},
    policy::{self, Policies, PoliciesFile},
    route::{self, Route, RouteFile},
    upstream::Upstream,
};
use data::file::DataFile;
use retire::RetireFile;
use rollout::RolloutFile;
use schemars::JsonSchema;
use serde::Deserialize;
use shadow::ShadowFile;
use std::collections::BTreeMap;
use switch::SwitchFile;

/// One unit of migration.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend(
    "if" = { "properties": { "data": { "properties": { "mode": { "const": "shared" } } } } },
    "then" = { "properties": { "switch": false, "rollout": { "properties": {
        "read-your-writes": false, "stale-reads": false
    } } } }
))]
pub struct ExtractionFile {
    /// The service that it moves to.
    pub(crate) service: Text,
    /// The requests that it owns.
    pub(crate) routes: Vec<RouteFile>,
    /// The tables that move, or that both sides share.
    pub(crate) data: DataFile,
    /// How traffic is shifted.
    #[serde(default)]
    pub(crate) rollout: Option<RolloutFile>,
    /// The bounds of a hand-over.
    #[serde(default)]
    pub(crate) switch: Option<Located<SwitchFile>>,
    /// What is demanded of its requests.
    #[serde(default)]
    pub(crate) policies: Option<PoliciesFile>,
    /// Copies of its requests whose answers are compared.
    #[serde(default)]
    pub(crate) shadow: Option<ShadowFile>,
    /// When the old side may go.
    #[serde(default)]
    pub(crate) retire: Option<RetireFile>,
}

/// One unit of migration: routes and tables that move to one service.
#[derive(Debug, Clone)]
pub struct Extraction {
    /// Its name.
    pub name: ExtractionName,
    /// The service that it moves to.
    pub service: ServiceName,
    /// The requests that it owns; see [`Route::by_priority`].
    pub routes: Vec<Route>,
    /// The tables that move, or that both sides share.
    pub data: Data,
    /// What a client is known by. Clients without it stay with the owner;
    /// where data are shared, with the monolith until the share is all.
    pub cohort_key: CohortKey,
    /// How testers choose a side themselves.
    pub force: Option<Force>,
    /// The feature flag that chooses a side for a user's reads; for the
    /// writes, too, where data are shared.
    pub flag: Option<String>,
    /// Whether reads stay at the service while its change stream is not well.
    pub stale_reads: bool,
    /// What is demanded of its requests, over what is demanded of all.
    pub policies: Policies,
    /// Whether copies of its requests are compared.
    pub shadow: Option<Shadow>,
    /// What it goes through by itself.
    pub schedule: Option<Schedule>,
    /// When the old side may go.
    pub retire: Option<Retire>,
}

pub(crate) fn resolve(
    name: ExtractionName,
    located: Located<ExtractionFile>,
    monolith: &Upstream,
    services: &BTreeMap<ServiceName, Upstream>,
    environment: Environment<'_>,
) -> Result<Extraction, PlanError> {
    let Located { value: file, at } = located;
    let service = parse(&file.service, environment, ServiceName::new)?;
    let Some(target) = services.get(&service) else {
        return Err(
            PlanError::at(file.service.at, format!("there is no service `{service}`"))
                .remedy("Add it under `services:` or correct the name"),
        );
    };
    if file.routes.is_empty() {
        return Err(
            PlanError::at(at, format!("extraction `{name}` has no routes"))
                .remedy("Add at least one under `routes:`"),
        );
    }
    let routes = file
        .routes
        .into_iter()
        .map(|one| route::resolve(one, environment))
        .collect::<Result<Vec<_>, _>>()?;
    let rollout = rollout::resolve(file.rollout, &routes, environment)?;
    let context = data::DataContext {
        name: &name,
        at,
        monolith,
        service: (&service, file.service.at, target),
        switch: file.switch,
        read_your_writes: rollout.read_your_writes,
    };
    let data = data::data(file.data, context, environment)?;
    let policies = match file.policies {
        Some(policies) => policy::resolve(policies, &format!("extraction:{name}"), environment)?,
        None => Policies::default(),
    };
    let shadow = file.shadow.as_ref();
    let shadow = shadow.map(|shadow| shadow::resolve(shadow, monolith, services, environment));
    Ok(Extraction {
        shadow: shadow.transpose()?,
        data,
        name,
        service,
        routes,
        cohort_key: rollout.key,
        force: rollout.force,
        flag: rollout.flag,
        stale_reads: rollout.stale_reads,
        schedule: rollout.schedule,
        retire: file.retire.map(retire::resolve).transpose()?,
        policies,
    })
}
