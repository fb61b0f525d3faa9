//! All extractions, a row each.

use super::{
    dashboards::{Dashboard, dashboards},
    format, next,
    rail::{Stop, lag_seconds, rail},
    reasons::reasons,
};
use conductor::status::{ExtractionStatus, Status};

/// What the first page shows.
#[derive(Debug)]
pub(crate) struct MigrationsView {
    pub(crate) sentence: String,
    pub(crate) notices: Vec<String>,
    pub(crate) figures: Vec<Figure>,
    pub(crate) rows: Vec<Row>,
    /// Of Grafana's dashboards.
    pub(crate) dashboards: Vec<Dashboard>,
}

/// A number of the whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) value: String,
    pub(crate) note: String,
}

/// One extraction.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) owner: String,
    pub(crate) owner_class: &'static str,
    pub(crate) rail: Vec<Stop>,
    /// Where on the rail it is, for who does not see it.
    pub(crate) at: String,
    pub(crate) share: String,
    /// Of 100, for the bar.
    pub(crate) share_width: String,
    pub(crate) lag: String,
    pub(crate) waits_for: String,
    /// Until when it waits, or more of what a person is asked.
    pub(crate) more: String,
    pub(crate) is_in_trouble: bool,
    /// Whether it waits, has stopped, or was refused something.
    pub(crate) has_reasons: bool,
}

/// How everything stands.
pub(crate) fn migrations(status: &Status, now_ms: i64) -> MigrationsView {
    let rows = status.extractions.iter().map(row);
    MigrationsView {
        sentence: sentence(status, now_ms),
        notices: notices(status),
        figures: figures(status),
        rows: rows.collect(),
        dashboards: dashboards(status),
    }
}

/// What is of no extraction alone.
pub(crate) fn notices(status: &Status) -> Vec<String> {
    let halted = status
        .halted
        .as_ref()
        .map(|why| format!("All automatic steps are halted: {why}."));
    let earlier = status.predecessors.iter().map(|predecessor| {
        format!(
            "{}. Until then all reads go to the owner.",
            format::capital(&predecessor.to_string())
        )
    });
    halted.into_iter().chain(earlier).collect()
}

fn sentence(status: &Status, now_ms: i64) -> String {
    let figures = report::Figures::new(&status.extractions);
    if figures.total_services == 0 {
        return "The plan has no extractions: there is nothing to migrate.".to_owned();
    }
    let needing = status.extractions.iter();
    let needing = needing.filter(|one| needs_a_person(one, now_ms));
    let mut needing: Vec<_> = needing.map(|one| one.name.as_str()).collect();
    if !status.ills().is_empty() {
        needing.push("the halt");
    }
    let owns = match (figures.services_migrated, figures.total_services) {
        (0, 1) => "The monolith owns its data still".to_owned(),
        (1, 1) => "The service owns its data".to_owned(),
        (done, all) => format!("{done} of {all} services own their data"),
    };
    match needing.as_slice() {
        [] => format!("{owns}; nothing needs you."),
        [one] => format!("{owns}; {one} needs you."),
        [rest @ .., last] => format!("{owns}; {} and {last} need you.", rest.join(", ")),
    }
}

/// Whether it waits for somebody, or is not well: `banyan status --check` says the same.
fn needs_a_person(one: &ExtractionStatus, now_ms: i64) -> bool {
    one.asks.is_some() || !one.ills(now_ms).is_empty()
}

fn figures(status: &Status) -> Vec<Figure> {
    let figures = report::Figures::new(&status.extractions);
    let lags = status.extractions.iter().filter_map(lag_seconds);
    let figure = |name, value: Option<String>, note: &str| Figure {
        name,
        note: if value.is_some() { note } else { UNKNOWN }.to_owned(),
        value: value.unwrap_or_else(|| "–".to_owned()),
    };
    vec![
        figure(
            "services migrated",
            Some(format!(
                "{} of {}",
                figures.services_migrated, figures.total_services
            )),
            "own their data",
        ),
        figure(
            "data sync",
            figures.data_sync_progress.map(format::percent),
            &lags.reduce(f64::max).map_or_else(
                || "no stream runs".to_owned(),
                |lag| format!("at most {} behind", format::seconds(lag)),
            ),
        ),
        figure(
            "error rate",
            figures.error_rate.map(format::percent),
            "of the services' answers in the last minute",
        ),
        figure(
            "performance",
            figures.performance_impact.map(format::change),
            "p95 against the monolith's, where it is worst",
        ),
    ]
}

/// Of a figure that there is none of.
const UNKNOWN: &str = "not known: counted where the plan has steps, and both sides answer";

fn row(one: &ExtractionStatus) -> Row {
    let rail = rail(one);
    let at = rail.iter().find(|stop| stop.class == "now");
    let at = at.map_or_else(|| "done".to_owned(), |stop| stop.name.clone());
    let (waits_for, more) = match &one.trouble {
        Some(trouble) => (trouble.clone(), String::new()),
        None => next::sentence(one),
    };
    let (owner, owner_class) = match one.owner.as_str() {
        "monolith" => ("monolith", "old"),
        "service" => ("service", "new"),
        "" => ("not known", ""),
        other => (other, ""),
    };
    Row {
        name: one.name.clone(),
        owner: owner.to_owned(),
        owner_class,
        at,
        rail,
        share: format::percent(one.reads_percent),
        share_width: format!("{:.2}", one.reads_percent.clamp(0.0, 100.0)),
        lag: lag_seconds(one).map_or_else(|| "–".to_owned(), format::seconds),
        waits_for,
        more,
        is_in_trouble: one.trouble.is_some(),
        has_reasons: !reasons(one).is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use conductor::{outlook, status::RolloutStatus};

    const NOW_MS: i64 = 1_800_000_000_000;

    fn status(owners: &[(&str, &str, Option<&str>)]) -> Status {
        let one = |(name, phase, trouble): &(&str, &str, Option<&str>)| {
            outlook::with(ExtractionStatus {
                name: (*name).to_owned(),
                phase: (*phase).to_owned(),
                owner: if *phase == "finished" {
                    "service".to_owned()
                } else {
                    "monolith".to_owned()
                },
                trouble: trouble.map(str::to_owned),
                ..ExtractionStatus::default()
            })
        };
        Status {
            extractions: owners.iter().map(one).collect(),
            ..Status::default()
        }
    }

    #[test]
    fn the_sentence_says_whom_it_needs() {
        for (of, wanted) in [
            (
                status(&[("a", "copying", None), ("b", "finished", None)]),
                "1 of 2 services own their data; nothing needs you.",
            ),
            (
                status(&[
                    ("a", "copying", Some("the disk is full")),
                    ("b", "finished", None),
                ]),
                "1 of 2 services own their data; a needs you.",
            ),
            (
                status(&[
                    ("a", "planned", None),
                    ("b", "planned", None),
                    ("c", "planned", None),
                ]),
                "0 of 3 services own their data; a, b and c need you.",
            ),
            (
                status(&[]),
                "The plan has no extractions: there is nothing to migrate.",
            ),
        ] {
            assert_eq!(sentence(&of, NOW_MS), wanted);
        }
    }

    /// What `banyan status --check` calls an ill is none that "needs nobody".
    #[test]
    fn what_is_not_well_needs_somebody() {
        let mut all = status(&[("a", "following", None)]);
        let one = &mut all.extractions[0];
        one.asks = None;
        one.rollout = Some(RolloutStatus {
            state: "running".to_owned(),
            ..RolloutStatus::default()
        });
        let well = "The monolith owns its data still; nothing needs you.";
        assert_eq!(sentence(&all, NOW_MS), well);
        all.halted = Some("halted by ada".to_owned());
        let halted = "The monolith owns its data still; the halt needs you.";
        assert_eq!(sentence(&all, NOW_MS), halted);
        let refused = Some("step 1 is gone by".to_owned());
        all.extractions[0].rollout.as_mut().unwrap().steps_refused = refused;
        let both = "The monolith owns its data still; a and the halt need you.";
        assert_eq!(sentence(&all, NOW_MS), both);
    }

    #[test]
    fn a_step_that_waits_says_until_when() {
        let mut one = status(&[("a", "following", None)]).extractions.remove(0);
        one.rollout = Some(RolloutStatus {
            state: "running".to_owned(),
            step: Some(1),
            steps: vec!["reads 10%".to_owned(), "reads 50%".to_owned()],
            entered_ms: Some(7),
            waits_for: vec!["the step's time".to_owned()],
            until_ms: Some(0),
            ..RolloutStatus::default()
        });
        let shown = row(&outlook::with(one.clone()));
        assert_eq!(
            shown.waits_for,
            "Step 2 of 2, reads 50%, after the step's time."
        );
        assert_eq!(shown.more, "Until 1970-01-01 00:00 UTC at least.");
        one.trouble = Some("the disk is full".to_owned());
        let shown = row(&outlook::with(one));
        assert_eq!(
            (shown.waits_for.as_str(), shown.more.as_str()),
            ("the disk is full", "")
        );
    }
}
