//! One test from block to block.

use crate::{
    baseline::float,
    block::Block,
    evidence::{Clients, Evidence, Towards},
    measure::{Measure, NEGLIGIBLE},
    reading::Moment,
    verdict::{Grounds, TestName},
    windows::Windows,
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// One test: what it measures, and the evidence both ways.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Comparison {
    measure: Measure,
    /// For "worse than allowed".
    worse: Windows,
    /// For "not harmful".
    harmless: Evidence,
    /// For "hardly any errors", however many the monolith has.
    negligible: Evidence,
    false_pass: f64,
    last: Option<Moment>,
}

/// What is said of the whole step where no alarm is.
pub(crate) struct Conclusion {
    pub(crate) grounds: Grounds,
    /// About how many requests it takes; none where harm has been excluded.
    pub(crate) need: Option<u64>,
}

impl Comparison {
    pub(crate) fn new(
        measure: Measure,
        clients: Clients,
        block: Duration,
        false_alarm: f64,
        false_pass: f64,
    ) -> Self {
        Self {
            measure,
            worse: Windows::new(block, false_alarm, clients),
            harmless: Evidence::new(Towards::Better, clients),
            negligible: Evidence::new(Towards::Better, Clients::Given),
            false_pass,
            last: None,
        }
    }

    pub(crate) fn measure(&self) -> &Measure {
        &self.measure
    }

    pub(crate) fn add(&mut self, block: &Block) {
        if let Some(measured) = self.measure.read(block) {
            self.worse.add(block.began, &measured.fail);
            self.harmless.add(block.began, &measured.pass);
            if let Some(negligible) = &measured.negligible {
                self.negligible.add(block.began, negligible);
            }
            self.last = Some(block.ended);
        }
    }

    /// What shows that the service is worse than allowed.
    pub(crate) fn alarm(&self) -> Option<Grounds> {
        let mut alarms = self.worse.alarms();
        let (evidence, needed) = alarms.find(|(evidence, needed)| {
            evidence.log() >= *needed && self.measure.concerns_service(evidence)
        })?;
        Some(self.grounds(evidence, evidence, needed))
    }

    /// Whether harm has been excluded, or what it takes.
    pub(crate) fn conclusion(&self) -> Conclusion {
        let whole = self.worse.whole();
        let needed = (1.0 / self.false_pass).ln();
        if self.negligible.log() >= needed {
            return Conclusion {
                grounds: self.negligible_grounds(needed),
                need: None,
            };
        }
        let fine = self.measure.seems_fine(whole.counted());
        let shown = fine && self.harmless.log() >= needed;
        Conclusion {
            grounds: self.grounds(&self.harmless, whole, needed),
            need: (!shown).then(|| self.need(fine, needed)),
        }
    }

    /// Requests until it passes, if they go on as those until now; at least one
    /// more.
    fn need(&self, fine: bool, needed: f64) -> u64 {
        let have = float(self.worse.whole().counted().service.requests);
        let by = |evidence: &Evidence| evidence.requests_until(needed, have);
        let harmless = by(&self.harmless).filter(|_| fine);
        let need = match (harmless, by(&self.negligible)) {
            (Some(one), Some(other)) => one.min(other),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => self.measure.usual_need().max(2.0 * have),
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "counts; more than fit become the most that does"
        )]
        let need = need.ceil().max(have + 1.0) as u64;
        need
    }

    /// Of the evidence that decides; what was counted is of its window.
    fn grounds(&self, evidence: &Evidence, counted: &Evidence, needed: f64) -> Grounds {
        let (estimate, threshold) = self.measure.estimate(counted.counted());
        let monolith = counted.counted().monolith;
        Grounds {
            test: self.measure.test(),
            from: counted.since(),
            to: self.last,
            service: counted.counted().service,
            monolith: (monolith.requests > 0).then_some(monolith),
            estimate,
            threshold,
            evidence: evidence.log(),
            needed,
            dispersion: evidence.dispersion(),
        }
    }

    fn negligible_grounds(&self, needed: f64) -> Grounds {
        let seen = self.negligible.counted();
        Grounds {
            test: TestName::OneProportion,
            estimate: Some(seen.numerator / seen.denominator),
            threshold: NEGLIGIBLE,
            ..self.grounds(&self.negligible, &self.negligible, needed)
        }
    }
}
