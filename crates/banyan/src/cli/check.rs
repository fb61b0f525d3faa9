//! `banyan check`: what stands in the way of the plan. Needs no `serve`.

use super::render;
use crate::exit::Failure;
use mover::{Mover, check};
use plan::{Data, Plan};
use protocol::finding::{Finding, Severity};
use serde::Serialize;

#[derive(Serialize)]
struct Report {
    ok: bool,
    findings: Vec<Finding>,
}

pub(super) async fn run(plan: &Plan, json: bool) -> Result<(), Failure> {
    let mut findings = Vec::new();
    for extraction in plan.extractions.values() {
        let name = &extraction.name;
        let found = match &extraction.data {
            Data::Replicate(data) => Mover::new(name, data).check().await,
            Data::Shared => {
                let service = plan.service_of(extraction).database.as_ref();
                let monolith = plan.monolith.database.as_ref();
                Ok(check::sharing::of_databases(name, monolith, service).await)
            }
        };
        findings.extend(found.map_err(Failure::refused)?);
    }
    let ok = findings
        .iter()
        .all(|finding| finding.severity != Severity::Refuse);
    if json {
        render::json(&Report { ok, findings })?;
    } else if findings.is_empty() {
        say!("Nothing stands in the way. Next: `banyan serve`, then `banyan start`.");
    } else {
        render::findings(&findings);
    }
    if ok {
        Ok(())
    } else {
        Err(Failure::Reported(2))
    }
}
