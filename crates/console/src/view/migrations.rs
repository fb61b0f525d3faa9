//! All extractions, a row each.

use super::{
    format,
    next::next,
    rail::{Stop, lag_seconds, rail},
};
use crate::role::Role;
use conductor::status::{AnswersStatus, ExtractionStatus, SideAnswers, Status};

/// What the first page shows.
#[derive(Debug)]
pub(crate) struct MigrationsView {
    pub(crate) sentence: String,
    pub(crate) notices: Vec<String>,
    pub(crate) figures: Vec<Figure>,
    pub(crate) rows: Vec<Row>,
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
    pub(crate) is_in_trouble: bool,
}

/// How everything stands.
pub(crate) fn migrations(status: &Status) -> MigrationsView {
    let rows = status.extractions.iter().map(row);
    MigrationsView {
        sentence: sentence(status),
        notices: notices(status),
        figures: figures(status),
        rows: rows.collect(),
    }
}

/// What is of no extraction alone.
pub(crate) fn notices(status: &Status) -> Vec<String> {
    let halted = status
        .halted
        .as_ref()
        .map(|why| format!("All automatic steps are frozen: {why}."));
    let earlier = status.predecessors.iter().map(|predecessor| {
        format!(
            "{}. Until then all reads go to the owner.",
            format::capital(&predecessor.to_string())
        )
    });
    halted.into_iter().chain(earlier).collect()
}

fn migrated(status: &Status) -> usize {
    let of_service = |one: &&ExtractionStatus| one.owner == "service";
    status.extractions.iter().filter(of_service).count()
}

fn sentence(status: &Status) -> String {
    let all = status.extractions.len();
    if all == 0 {
        return "The plan has no extractions: there is nothing to migrate.".to_owned();
    }
    let needing: Vec<_> = status
        .extractions
        .iter()
        .filter(|one| needs_a_person(one))
        .map(|one| one.name.as_str())
        .collect();
    let owns = match (migrated(status), all) {
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

/// Whether it waits for somebody.
fn needs_a_person(one: &ExtractionStatus) -> bool {
    let is_watched = one.phase == "switched" && one.rollout.is_none();
    one.trouble.is_some() || !is_watched && next(one, Role::Approver).primary.is_some()
}

fn figures(status: &Status) -> Vec<Figure> {
    let all = status.extractions.len();
    let progress = status.extractions.iter().map(|one| &one.progress.copy);
    let (copied, rows) = progress.fold((0_u64, 0_u64), |(copied, rows), copy| {
        (
            copied.saturating_add(copy.rows_copied),
            rows.saturating_add(copy.rows_total),
        )
    });
    let lag = status
        .extractions
        .iter()
        .filter_map(lag_seconds)
        .reduce(f64::max);
    let answers: Vec<&AnswersStatus> = status
        .extractions
        .iter()
        .filter_map(|one| one.rollout.as_ref()?.answers.as_ref())
        .collect();
    vec![
        Figure {
            name: "services migrated",
            value: format!("{} of {all}", migrated(status)),
            note: "own their data".to_owned(),
        },
        Figure {
            name: "data sync",
            value: synced(copied, rows),
            note: lag.map_or_else(
                || "no stream runs".to_owned(),
                |lag| format!("at most {} behind", format::seconds(lag)),
            ),
        },
        error_rate(&answers),
        performance(&answers),
    ]
}

/// Where nothing is counted.
const UNCOUNTED: &str = "counted where the plan has steps";

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn error_rate(answers: &[&AnswersStatus]) -> Figure {
    let rate = |of: fn(&AnswersStatus) -> &SideAnswers| {
        let (requests, errors) = answers.iter().fold((0_u64, 0_u64), |sum, one| {
            let side = of(one);
            (sum.0 + side.requests, sum.1 + side.errors)
        });
        (requests > 0).then(|| format::percent(100.0 * errors as f64 / requests as f64))
    };
    let service = rate(|one| &one.service);
    Figure {
        name: "error rate",
        note: match (rate(|one| &one.monolith), &service) {
            (None, None) => UNCOUNTED.to_owned(),
            (None, Some(_)) => "of the services' answers; the monolith answers none".to_owned(),
            (Some(monolith), _) => {
                format!("of the services' answers; {monolith} of the monolith's")
            }
        },
        value: service.unwrap_or_else(|| "–".to_owned()),
    }
}

/// The slowest service against the monolith.
fn performance(answers: &[&AnswersStatus]) -> Figure {
    let worst = answers
        .iter()
        .filter_map(|one| one.service.p95_ms.zip(one.monolith.p95_ms))
        .max_by(|(one, than), (other, than_other)| (one / than).total_cmp(&(other / than_other)));
    let difference = worst.and_then(|(service, monolith)| format::difference(service, monolith));
    Figure {
        name: "performance",
        note: match worst {
            None => UNCOUNTED.to_owned(),
            Some((service, monolith)) => format!(
                "p95 {} against the monolith's {}",
                format::milliseconds(service),
                format::milliseconds(monolith)
            ),
        },
        value: difference.unwrap_or_else(|| "–".to_owned()),
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn synced(copied: u64, rows: u64) -> String {
    if rows == 0 {
        return "–".to_owned();
    }
    // Never 100 before the last row.
    let share = 100.0 * copied as f64 / rows.max(copied) as f64;
    format::percent((share * 10.0).floor() / 10.0)
}

fn row(one: &ExtractionStatus) -> Row {
    let rail = rail(one);
    let at = rail.iter().find(|stop| stop.class == "now");
    let at = at.map_or_else(|| "done".to_owned(), |stop| stop.name.clone());
    let told = next(one, Role::Approver);
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
        waits_for: match &one.trouble {
            Some(trouble) => trouble.clone(),
            None => told.title,
        },
        is_in_trouble: one.trouble.is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(owners: &[(&str, &str, Option<&str>)]) -> Status {
        let one = |(name, phase, trouble): &(&str, &str, Option<&str>)| ExtractionStatus {
            name: (*name).to_owned(),
            phase: (*phase).to_owned(),
            owner: if *phase == "finished" {
                "service".to_owned()
            } else {
                "monolith".to_owned()
            },
            trouble: trouble.map(str::to_owned),
            ..ExtractionStatus::default()
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
            assert_eq!(sentence(&of), wanted);
        }
    }

    #[test]
    fn a_copy_is_not_whole_before_its_last_row() {
        assert_eq!(synced(999_999, 1_000_000), "99.9 %");
        assert_eq!(synced(1_000_000, 1_000_000), "100 %");
        assert_eq!(synced(0, 0), "–");
    }
}
