//! The whole in four figures: those of the guides for leaving a monolith.

use conductor::status::{ExtractionStatus, SideAnswers};
use schemars::JsonSchema;
use serde::Serialize;

/// Never whole before the last row.
const COPYING_MAX: f64 = 99.9;

/// Fewer answers of a side say nothing about its quantiles.
const ANSWERS_MIN: u64 = 100;

/// The whole migration.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct Figures {
    /// Extractions whose data, or whose whole traffic, are the service's.
    pub services_migrated: usize,
    /// All extractions of the plan.
    pub total_services: usize,
    /// How much of what is to be copied is, over all extractions, in percent.
    pub data_sync_progress: Option<f64>,
    /// What the services failed of what they were sent lately, in percent.
    pub error_rate: Option<f64>,
    /// How much longer 95 of 100 answers take at the service than at the monolith in the
    /// same time, in percent: where it is worst. Negative: it is quicker everywhere.
    pub performance_impact: Option<f64>,
}

impl Figures {
    /// Of these extractions.
    pub fn new(statuses: &[ExtractionStatus]) -> Self {
        let rollouts = || statuses.iter().filter_map(|one| one.rollout.as_ref());
        let answers = || rollouts().filter_map(|one| one.answers.as_ref());
        let errors: u64 = answers().map(|both| both.service.errors).sum();
        let requests: u64 = answers().map(|both| both.service.requests).sum();
        let slower = answers().filter_map(|both| slower(&both.monolith, &both.service));
        Self {
            services_migrated: statuses.iter().filter(|one| one.has_switched()).count(),
            total_services: statuses.len(),
            data_sync_progress: mean(statuses.iter().filter_map(synced)),
            error_rate: percent_of(errors, requests),
            performance_impact: slower.max_by(f64::total_cmp),
        }
    }
}

/// How much of an extraction's data is at the service, in percent; none where both share.
fn synced(status: &ExtractionStatus) -> Option<f64> {
    let copy = &status.progress.copy;
    match status.phase.as_str() {
        "shared" => None,
        "planned" | "preparing" | "cancelling" => Some(0.0),
        // The total is an estimate until the copy ends.
        "copying" => Some(
            percent_of(copy.rows_copied, copy.rows_total)
                .unwrap_or(0.0)
                .min(COPYING_MAX),
        ),
        _ => Some(100.0),
    }
}

fn slower(monolith: &SideAnswers, service: &SideAnswers) -> Option<f64> {
    if monolith.requests < ANSWERS_MIN || service.requests < ANSWERS_MIN {
        return None;
    }
    let (before, now) = (monolith.p95_ms?, service.p95_ms?);
    (before > 0.0).then(|| 100.0 * (now / before - 1.0))
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn percent_of(part: u64, all: u64) -> Option<f64> {
    (all > 0).then(|| 100.0 * part as f64 / all as f64)
}

#[expect(clippy::cast_precision_loss, reason = "some extractions")]
fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let values: Vec<f64> = values.collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_answers_say_nothing_of_quantiles() {
        let side = |requests, p95| SideAnswers {
            requests,
            p95_ms: Some(p95),
            ..SideAnswers::default()
        };
        assert_eq!(slower(&side(99, 10.0), &side(500, 20.0)), None);
        assert_eq!(slower(&side(100, 0.0), &side(500, 20.0)), None);
        assert_eq!(slower(&side(100, 10.0), &side(500, 15.0)), Some(50.0));
    }

    #[test]
    fn what_is_not_begun_counts_as_not_copied() {
        let status = |phase: &str, copied, total| {
            let mut status = ExtractionStatus {
                phase: phase.to_owned(),
                ..ExtractionStatus::default()
            };
            status.progress.copy.rows_copied = copied;
            status.progress.copy.rows_total = total;
            status
        };
        assert_eq!(synced(&status("planned", 0, 0)), Some(0.0));
        assert_eq!(synced(&status("copying", 30, 120)), Some(25.0));
        assert_eq!(synced(&status("copying", 130, 120)), Some(99.9));
        assert_eq!(synced(&status("switched", 0, 0)), Some(100.0));
        assert_eq!(synced(&status("shared", 0, 0)), None);
    }
}
