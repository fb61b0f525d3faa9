//! `banyan check`: what stands in the way of the plan. Needs no `serve`.

use super::{begun, render};
use crate::exit::Failure;
use mover::{Mover, MoverError, check};
use plan::{Data, Plan};
use protocol::finding::{Finding, Severity};
use serde::Serialize;
use std::path::Path;

#[derive(Serialize)]
struct Report {
    ok: bool,
    findings: Vec<Finding>,
}

/// What `check` finds, and what was seen while it ran, if it does.
async fn of_moved(mover: &Mover) -> Result<Vec<Finding>, MoverError> {
    let mut found = mover.check().await?;
    // Databases that cannot be reached are a finding already.
    if let Ok(seen) = mover.seen().await {
        let extraction = mover.extraction();
        found.extend(seen.findings(&extraction.name, &extraction.data.writers));
    }
    Ok(found)
}

pub(super) async fn run(plan: &Plan, state: &Path, json: bool) -> Result<(), Failure> {
    let mut findings = begun::otherwise(plan, state).await;
    for extraction in plan.extractions.values() {
        let name = &extraction.name;
        let found = match &extraction.data {
            Data::Replicate(data) => of_moved(&Mover::new(name, data)).await,
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
