//! The whole plan: `banyan.yaml`.

mod checks;
mod control;
mod dead_ends;
mod exposure;
mod oversight;
mod reload;
mod schedules;
mod step_path;

pub use control::{Control, People, Person, Role};
pub use exposure::Exposure;
pub use oversight::Oversight;

use crate::{
    base::{
        ExtractionName, KeyPath, Located, ParseContext, PlanError, ScalarOrMap, ServiceName,
        time_or, unreadable,
    },
    checklists::{self, Checklists, ChecklistsFile},
    extraction::{self, Extraction, ExtractionFile, Replicate},
    gateway::{self, Gateway, GatewayFile},
    upstream::{Upstream, UpstreamFile, default_timeouts, upstream},
};
use control::ControlFile;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// A Banyan plan: what is moved out of a monolith, and how.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanFile {
    /// The old side: the monolith's HTTP address and its database.
    pub(crate) monolith: UpstreamFile,
    /// The new sides, by name. None at first: all requests pass to the monolith.
    #[serde(default)]
    pub(crate) services: BTreeMap<String, UpstreamFile>,
    /// The gateway that stands in front of both.
    pub(crate) gateway: GatewayFile,
    /// The conductor's API, for the command line: `address:port`, or a mapping.
    #[serde(default)]
    pub(crate) control: Option<Located<ScalarOrMap<ControlFile>>>,
    /// What has to be done before an extraction goes on.
    #[serde(default)]
    pub(crate) checklists: Option<ChecklistsFile>,
    /// The units of migration, by name. None at first.
    #[serde(default)]
    pub(crate) extractions: BTreeMap<String, Located<ExtractionFile>>,
}

/// A plan whose every value has been checked.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The old side.
    pub monolith: Upstream,
    /// The new sides, by name.
    pub services: BTreeMap<ServiceName, Upstream>,
    /// Where and how the gateway listens.
    pub gateway: Gateway,
    /// The conductor's API.
    pub control: Control,
    /// What has to be done before an extraction goes on.
    pub checklists: Checklists,
    /// The units of migration, by name.
    pub extractions: BTreeMap<ExtractionName, Extraction>,
}

impl Plan {
    /// Parses a plan that names no files, as on a machine with one processor.
    /// `environment` looks up a variable for `${NAME}`.
    pub fn parse(
        text: &str,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, PlanError> {
        Self::parse_with(text, &ParseContext::new(&environment))
    }

    /// Parses a plan with all that it may take from its machine.
    pub fn parse_with(text: &str, context: &ParseContext<'_>) -> Result<Self, PlanError> {
        let file: PlanFile =
            serde_saphyr::from_str(text).map_err(|error| unreadable(&error, text))?;
        resolve(file, context).map_err(|error| error.placed_in(text))
    }

    /// The extractions whose data are copied and followed, and how.
    pub fn replicated(&self) -> impl Iterator<Item = (&Extraction, &Replicate)> {
        let all = self.extractions.values();
        all.filter_map(|one| Some((one, one.data.replicate()?)))
    }

    /// The upstream of an extraction's service.
    ///
    /// Every extraction of a parsed plan names a service of that plan.
    pub fn service_of(&self, extraction: &Extraction) -> &Upstream {
        &self.services[&extraction.service]
    }
}

fn resolve(file: PlanFile, context: &ParseContext<'_>) -> Result<Plan, PlanError> {
    let environment = context.environment;
    let first_byte = time_or(file.gateway.first_byte.as_ref(), gateway::FIRST_BYTE)?;
    let timeouts = default_timeouts(file.gateway.timeouts.as_ref(), first_byte)?;
    let monolith = upstream("monolith", file.monolith, timeouts, environment)
        .map_err(|error| error.under(KeyPath::top("monolith")))?;
    let mut services = BTreeMap::new();
    for (name, service) in file.services {
        let path = KeyPath::top("services").key(&name);
        let name = ServiceName::new(&name).map_err(|why| PlanError::of(path.clone(), why))?;
        let service = upstream(name.as_str(), service, timeouts, environment)
            .map_err(|error| error.under(path))?;
        services.insert(name, service);
    }
    let mut extractions = BTreeMap::new();
    for (name, located) in file.extractions {
        let name = ExtractionName::new(&name).map_err(|why| PlanError::at(located.at, why))?;
        let found = extraction::resolve(name.clone(), located, &monolith, &services, environment)?;
        extractions.insert(name, found);
    }
    let is_used = |flag: &str| {
        let mut flags = extractions.values().filter_map(|one| one.flag.as_deref());
        flags.any(|used| used == flag)
    };
    let gateway = gateway::resolve(file.gateway, &mut services, timeouts, is_used, context)?;
    checks::check(&gateway, &extractions)?;
    let checklists = checklists::resolve(file.checklists, environment)?;
    schedules::check(&extractions, &checklists)?;
    let control = control::resolve(file.control, environment)?;
    dead_ends::check(&extractions, &checklists, &control.people)?;
    Ok(Plan {
        monolith,
        services,
        gateway,
        control,
        checklists,
        extractions,
    })
}
