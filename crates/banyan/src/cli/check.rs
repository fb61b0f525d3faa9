//! `banyan check`: what stands in the way of the plan. Needs no `serve`.

use super::{begun, render};
use crate::exit::Failure;
use mover::{Mover, MoverError, check};
use plan::{Data, Plan};
use protocol::finding::{Finding, FindingId, Severity, explanation, page};
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
    } else {
        render::findings(&findings);
        say!("{}", conclusion(&findings));
    }
    if ok {
        Ok(())
    } else {
        Err(Failure::Reported(2))
    }
}

/// The last line, in every case.
fn conclusion(findings: &[Finding]) -> String {
    let count = |severity| {
        findings
            .iter()
            .filter(|one| one.severity == severity)
            .count()
    };
    let (refused, warnings) = (count(Severity::Refuse), count(Severity::Warn));
    let warned = match warnings {
        0 => String::new(),
        1 => " with 1 warning".to_owned(),
        _ => format!(" with {warnings} warnings"),
    };
    let explained = findings.first().map_or_else(String::new, |one| {
        format!(" More on each: `banyan check --explain {}`.", one.id)
    });
    if refused == 0 {
        format!("Passed{warned}. Next: `banyan serve`, then `banyan start`.{explained}")
    } else {
        format!("Refused ({refused}){warned}. Nothing was touched.{explained}")
    }
}

/// What one finding means.
pub(super) fn explain(id: &str, json: bool) -> Result<(), Failure> {
    let id: FindingId = id.parse().map_err(Failure::refused)?;
    let Some(found) = explanation::of(id) else {
        return Err(Failure::Refused(format!("{id} is not explained")));
    };
    if json {
        return render::json(found);
    }
    say!("{}", render::wrapped(&page::text(found)));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_has_its_last_line() {
        let warning = Finding::warn(FindingId::ColumnAtService, "o", "p", "r");
        let refusal = Finding::refuse(FindingId::NoTable, "o", "p", "r");
        let explained = "Refused (1). Nothing was touched. More on each: `banyan check --explain \
                         BN-040`.";
        let cases = [
            (Vec::new(), "Passed. Next:"),
            (vec![warning.clone()], "Passed with 1 warning. Next:"),
            (vec![refusal.clone()], explained),
            (
                vec![refusal, warning.clone(), warning],
                "Refused (1) with 2 warnings.",
            ),
        ];
        for (findings, expected) in cases {
            let line = conclusion(&findings);
            assert!(line.starts_with(expected), "{line}");
        }
    }
}
