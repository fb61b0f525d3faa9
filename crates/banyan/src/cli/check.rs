//! `banyan check`: what stands in the way of the plan. Needs no `serve`.

use super::{
    begun, checklist_findings, findings, gate_findings, gateway_findings, render, statements,
};
use crate::exit::Failure;
use mover::{Mover, MoverError, check};
use plan::{Data, ExtractionName, Plan};
use protocol::{
    Side,
    finding::{Finding, FindingId, Severity, explanation, page},
    owner::Owner,
};
use schemars::JsonSchema;
use serde::Serialize;
use std::path::Path;

/// A finding, and whose databases it speaks of.
#[derive(Serialize, JsonSchema)]
struct ReportedFinding {
    #[serde(skip_serializing_if = "Option::is_none")]
    extraction: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<String>,
    #[serde(flatten)]
    finding: Finding,
}

/// What it prints with `--json`.
#[derive(Serialize, JsonSchema)]
pub(super) struct Report<'a> {
    /// Whether nothing is refused.
    ok: bool,
    findings: &'a [ReportedFinding],
    /// What a first extraction still wants; empty once the plan has one.
    wants: Vec<&'static str>,
}

/// What `check` finds, and what was seen while it ran, if it does.
async fn of_moved(mover: &Mover) -> Result<Vec<Finding>, MoverError> {
    let mut found = mover.check().await?;
    // Databases that cannot be reached are a finding already.
    if let Ok(seen) = mover.seen_by_the_monolith().await {
        let extraction = mover.extraction();
        found.extend(seen.findings(&extraction.name, &extraction.data.writers));
    }
    Ok(found)
}

/// In which form it is told.
pub(super) enum Form {
    Text,
    Json,
    /// What is to be run: at `monolith`, at the service of this name, or [`ALL`].
    Sql(String),
}

/// All databases of the plan.
pub(super) const ALL: &str = "all";

pub(super) async fn run(plan: &Plan, state: &Path, form: Form) -> Result<(), Failure> {
    if let Form::Sql(place) = &form {
        is_a_place(plan, place)?;
    }
    let phases = begun::phases(state).await;
    let found = look(plan, &phases).await?;
    let refuses = |one: &ReportedFinding| one.finding.severity == Severity::Refuse;
    let ok = !found.iter().any(refuses);
    let wants = wants(plan);
    let next = next(plan, &phases, wants.is_empty()).await;
    let conclusion = conclusion(found.iter().map(|one| &one.finding), &next);
    match form {
        Form::Json => render::json(&Report {
            ok,
            findings: &found,
            wants,
        })?,
        Form::Sql(place) => {
            let of_services = found.iter().map(|one| {
                let service = one.service.as_deref().unwrap_or("service");
                (service, &one.finding)
            });
            let wanted = (place != ALL).then_some(place.as_str());
            let script = statements::script(of_services, wanted);
            say!("{}", script.trim_end());
            eprintln!("{}", render::wrapped(&conclusion));
        }
        Form::Text => {
            findings::print(found.iter().map(|one| &one.finding));
            tell_wants(&wants);
            say!("{}", render::wrapped(&conclusion));
        }
    }
    if ok {
        Ok(())
    } else {
        Err(Failure::Reported(2))
    }
}

/// Refuses a database that the plan does not have.
fn is_a_place(plan: &Plan, place: &str) -> Result<(), Failure> {
    let services = plan.services.keys().map(plan::ServiceName::as_str);
    let places: Vec<&str> = [Side::Monolith.as_str()]
        .into_iter()
        .chain(services)
        .collect();
    if place == ALL || places.contains(&place) {
        return Ok(());
    }
    Err(Failure::Refused(format!(
        "`--sql={place}` is no database of the plan's: it has {}",
        places.join(", ")
    )))
}

/// Whether the service keeps it for good: there is nothing left to move, and what its
/// tables hold is the only copy.
fn is_finished(phases: &[(String, String)], name: &ExtractionName) -> bool {
    let mut phases = phases.iter();
    phases.any(|(one, phase)| one == name.as_str() && phase == begun::FINISHED)
}

async fn look(plan: &Plan, phases: &[(String, String)]) -> Result<Vec<ReportedFinding>, Failure> {
    let (begun, gates, checklists) = tokio::join!(
        begun::otherwise(plan, phases),
        gate_findings::of(plan),
        checklist_findings::of(plan)
    );
    let mut all: Vec<ReportedFinding> = begun
        .into_iter()
        .chain(gateway_findings::of(plan))
        .chain(gates)
        .chain(checklists)
        .map(|finding| ReportedFinding {
            extraction: None,
            service: None,
            finding,
        })
        .collect();
    for extraction in plan.extractions.values() {
        let name = &extraction.name;
        if is_finished(phases, name) {
            continue;
        }
        let found = match &extraction.data {
            Data::Replicate(data) => of_moved(&Mover::new(name, data)).await,
            Data::Shared => {
                let service = plan.service_of(extraction).database.as_ref();
                let monolith = plan.monolith.database.as_ref();
                Ok(check::sharing::of_databases(name, monolith, service).await)
            }
        };
        let found = found.map_err(Failure::refused)?.into_iter();
        all.extend(found.map(|finding| ReportedFinding {
            extraction: Some(name.to_string()),
            service: Some(extraction.service.to_string()),
            finding,
        }));
    }
    Ok(all)
}

fn tell_wants(wants: &[&str]) {
    if wants.is_empty() {
        return;
    }
    say!("The plan moves nothing yet. A first extraction wants:\n");
    for want in wants {
        say!("{}", render::wrapped(&format!("- {want}")));
    }
    say!("\ndocs/first-extraction.md goes through it, docs/reference/plan.md has every key.\n");
}

/// What the plan lacks for a first extraction, in the order in which it is
/// written down; nothing where it has one.
fn wants(plan: &Plan) -> Vec<&'static str> {
    if !plan.extractions.is_empty() {
        return Vec::new();
    }
    let mut wants = Vec::new();
    if plan.monolith.database.is_none() {
        wants.push(
            "`monolith.database`: the address of its PostgreSQL database, with a role of Banyan's \
             own. Where both sides keep to one database (`mode: shared`) it may be left out",
        );
    }
    if plan.services.is_empty() {
        wants.push(
            "under `services:` the service that is to take over, with its `url` and its \
             `database`, where the tables stand that the rows move to",
        );
    } else if plan
        .services
        .values()
        .all(|service| service.database.is_none())
    {
        wants.push("the `database` of the service, where the tables stand that the rows move to");
    }
    wants.push(
        "under `extractions:` its name, with the `service`, the `routes` that move, and `data:` \
         with the tables that move. `banyan check` then says of each what stands in the way, which \
         grants are missing, and which tables are written together with them",
    );
    wants
}

/// What comes after `serve`: of an extraction that has begun no start.
async fn next(plan: &Plan, phases: &[(String, String)], moves: bool) -> String {
    if !moves {
        return String::new();
    }
    let mut begun = Vec::new();
    for (extraction, data) in plan.replicated() {
        if is_finished(phases, &extraction.name) {
            begun.push(Some(Owner::Service));
            continue;
        }
        // One that does not answer is a finding already.
        let of_it = Mover::new(&extraction.name, data);
        let row = of_it.read_row(Side::Monolith).await.ok().flatten();
        begun.push(row.map(|row| row.owner));
    }
    next_text(&begun).to_owned()
}

/// By the owners of those that have begun.
fn next_text(begun: &[Option<Owner>]) -> &'static str {
    if begun.is_empty() || begun.contains(&None) {
        ", then `banyan start NAME`"
    } else if begun.iter().all(|owner| *owner == Some(Owner::Service)) {
        "; all that moves has switched: `banyan status`"
    } else {
        "; all that moves has begun: `banyan status`"
    }
}

/// The last line about findings, in every case.
fn conclusion<'a>(findings: impl IntoIterator<Item = &'a Finding>, next: &str) -> String {
    let findings: Vec<&Finding> = findings.into_iter().collect();
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
        format!(
            "\nWhat a finding means: `banyan check --explain {}`.",
            one.id
        )
    });
    let runs = |one: &&Finding| !one.remedy.statements.is_empty();
    let explained = if findings.iter().any(runs) {
        format!("{explained}\nWhat is to be run, for psql: `banyan check --sql`.")
    } else {
        explained
    };
    if refused == 0 {
        format!(
            "Passed{warned}. Next: `banyan serve` (`--take-over` where one runs){next}.{explained}"
        )
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

/// A refusal with all that one may have.
#[cfg(test)]
pub(super) fn example() -> serde_json::Value {
    use protocol::finding::{Remedy, Statement};
    let statement = Statement::new(Side::Monolith, "grant a to b")
        .by_superuser()
        .caution("it is gone then");
    let remedy = Remedy::run("Run", [statement]);
    let found = ReportedFinding {
        extraction: Some("contracts".to_owned()),
        service: None,
        finding: Finding::refuse(FindingId::NoTable, "o", "p", remedy),
    };
    serde_json::json!(Report {
        ok: false,
        findings: &[found],
        wants: vec!["a database"],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_guard_that_another_way_avoids_is_told() {
        let text = "monolith: { url: \"http://127.0.0.1:1\" }\nservices: {}\ngateway:\n  \
                    listen: \"127.0.0.1:0\"\n  consumers: { a: { keys: [k] } }\n  routes:\n    \
                    office: { to: monolith, path: /office/*, policies: { keys: {} }, \
                    strip-path: true, prefix: /admin }\nextractions: {}\n";
        let plan = Plan::parse(text, |_| None).unwrap();
        let Ok(found) = look(&plan, &[]).await else {
            panic!("nothing was looked at")
        };
        let [found] = &found[..] else {
            panic!("{} are found", found.len())
        };
        let found = &found.finding;
        assert_eq!(found.id, FindingId::GuardAvoided);
        assert!(found.object.contains("`office`"), "{found:?}");
        assert!(found.problem.starts_with("`/admin`"), "{found:?}");
    }

    #[test]
    fn every_outcome_has_its_last_line() {
        let warning = Finding::warn(FindingId::ColumnAtService, "o", "p", "r");
        let refusal = Finding::refuse(FindingId::NoTable, "o", "p", "r");
        let explained = "Refused (1). Nothing was touched.\nWhat a finding means: `banyan check \
                         --explain BN-040`.";
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
            let line = conclusion(&findings, "");
            assert!(line.starts_with(expected), "{line}");
        }
        assert_eq!(
            conclusion(&[], ""),
            "Passed. Next: `banyan serve` (`--take-over` where one runs)."
        );
    }

    #[test]
    fn what_has_begun_is_not_to_be_started() {
        let (monolith, service) = (Some(Owner::Monolith), Some(Owner::Service));
        for (begun, next) in [
            (&[][..], "banyan start NAME"),
            (&[None, service], "banyan start NAME"),
            (&[monolith, service], "all that moves has begun"),
            (&[service], "all that moves has switched"),
        ] {
            assert!(next_text(begun).contains(next), "{begun:?}");
        }
    }

    #[test]
    fn the_smallest_plan_is_told_what_a_first_extraction_wants() {
        let plan = |database: &str, services: &str| {
            let text = format!(
                "monolith: {{ url: http://127.0.0.1:8000 {database} }}\n\
                 gateway: {{ listen: 127.0.0.1:8080 }}\n{services}"
            );
            Plan::parse(&text, |_| None).unwrap()
        };
        let all = wants(&plan("", ""));
        assert_eq!(all.len(), 3, "{all:?}");
        for (want, names) in all
            .iter()
            .zip(["monolith.database", "services:", "extractions:"])
        {
            assert!(want.contains(names), "{want}");
        }
        let (database, services) = (
            ", database: 'postgres://banyan:p@127.0.0.1/shop'",
            "services: { orders: { url: http://127.0.0.1:8001, \
             database: 'postgres://banyan:p@127.0.0.1/orders' } }",
        );
        assert_eq!(wants(&plan(database, services)).len(), 1);
    }
}
