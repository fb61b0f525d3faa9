//! Has the gates of a step that others measure be measured, beside the loop.

use super::{
    guarding::Guarding,
    readings::{NextReading, ReadingGate, ReadingRule, unmeasured},
};
use crate::ports::{Gauges, Measurement, Occasion};
use judge::{
    Limit, Moment, Reading,
    reading::{Freshness, latest, number},
};
use plan::{GateSource, MeasuredGate, OnFail, Step, ValueLimit};
use protocol::rollout::{Gate, GateKind, Standing, UnixMillis};
use serde_json::json;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

/// How much longer than its gate's `timeout` a measurement is waited for.
const GRACE: Duration = Duration::from_secs(5);

/// The measurements of the step whose gates protect what is so. Nothing of it outlasts the process:
/// after a restart rows of readings begin anew.
#[derive(Debug, Default)]
pub(super) struct Gauging {
    /// Of which step, and since when that is entered.
    step: Option<(usize, UnixMillis)>,
    gauged: Vec<Gauged>,
}

/// One gate, with the measurement that is under way.
#[derive(Debug)]
struct Gauged {
    gate: MeasuredGate,
    readings: ReadingGate,
    next: Instant,
    task: Option<AbortOnDropHandle<Result<Measurement, String>>>,
}

impl Gauging {
    /// Forgets what was measured, and ends what is under way.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// The gates of this step protect what is so.
    pub(super) fn enter(
        &mut self,
        guarding: &Guarding,
        step: &Step,
        standing: Standing,
        now: UnixMillis,
    ) {
        let gates = &step.gates.measured;
        let same = gates.iter().eq(self.gauged.iter().map(|one| &one.gate));
        if !matches!(standing, Standing::Owned { .. }) || guarding.goes_on(self.step, same) {
            return;
        }
        let age = moment(now).since(moment(guarding.step.1));
        self.step = Some(guarding.step);
        self.gauged = gates.iter().map(|gate| Gauged::new(gate, age)).collect();
    }

    /// Hears what was measured, and has the next be measured where that is due.
    pub(super) fn turn(&mut self, gauges: &Arc<dyn Gauges>, occasion: &Occasion, now: UnixMillis) {
        let Some((_, began)) = self.step else { return };
        for gauged in &mut self.gauged {
            gauged.hear(began, now);
            gauged.ask(gauges, occasion);
        }
    }

    /// What all of them say now.
    pub(super) fn gates(&self) -> impl Iterator<Item = Gate> {
        let now = Instant::now();
        self.gauged.iter().map(move |one| one.readings.gate(now))
    }
}

impl Gauged {
    /// `age`: of the step.
    fn new(gate: &MeasuredGate, age: Duration) -> Self {
        let now = Instant::now();
        let next = match &gate.source {
            // Before, what it finds may be a sample from before the step: how far back it looks
            // is the server's to say.
            GateSource::Prometheus(query) => now + query.max_age.saturating_sub(age),
            GateSource::Webhook(_) | GateSource::Command(_) => now,
        };
        Self {
            readings: ReadingGate::new(rule(gate), next),
            gate: gate.clone(),
            next,
            task: None,
        }
    }

    fn hear(&mut self, began: UnixMillis, now: UnixMillis) {
        let Some(task) = self.task.take_if(|task| task.is_finished()) else {
            return;
        };
        // It has ended, so that this is its result.
        let measured = futures_util::FutureExt::now_or_never(task);
        let gone = || Err("the measurement was given up".to_owned());
        let measured = measured.and_then(Result::ok).unwrap_or_else(gone);
        let reading = self.reading(measured, began, now);
        self.readings.observe(reading, Instant::now());
    }

    fn reading(
        &self,
        measured: Result<Measurement, String>,
        began: UnixMillis,
        now: UnixMillis,
    ) -> NextReading {
        let at = moment(now);
        match (measured, &self.gate.source) {
            (Err(why), _) => unmeasured(at, why),
            (Ok(Measurement::Answer(is_yes, text)), _) => NextReading {
                at,
                value: number(if is_yes { 1.0 } else { 0.0 }),
                text: Some(text),
            },
            (Ok(Measurement::Series(series)), GateSource::Prometheus(query)) => {
                let fresh = Freshness {
                    began: moment(began),
                    now: at,
                    max_age: query.max_age,
                };
                let last = series.first().and_then(|one| one.last());
                // A clock that is ahead is as wrong as one that is behind.
                let is_ahead = last.is_some_and(|last| last.at.since(at) > query.max_age);
                let value = match latest(&series, &fresh) {
                    Reading::Value(_) if is_ahead => Reading::Missing(judge::Missing::Stale),
                    value => value,
                };
                let at = last.map_or(at, |last| last.at);
                NextReading {
                    at,
                    value,
                    text: None,
                }
            }
            (Ok(Measurement::Series(_)), _) => {
                unmeasured(at, "it has answered with series".to_owned())
            }
        }
    }

    fn ask(&mut self, gauges: &Arc<dyn Gauges>, occasion: &Occasion) {
        let now = Instant::now();
        if self.task.is_some() || now < self.next {
            return;
        }
        self.next = now + self.gate.every;
        let occasion = occasion.clone();
        let (gauges, gate) = (Arc::clone(gauges), self.gate.clone());
        let task = tokio::spawn(async move {
            let limit = gate.timeout + GRACE;
            let measured = tokio::time::timeout(limit, gauges.measure(&gate, &occasion)).await;
            measured.unwrap_or_else(|_| Err(format!("no answer within {limit:?}")))
        });
        self.task = Some(AbortOnDropHandle::new(task));
    }
}

fn moment(at: UnixMillis) -> Moment {
    Moment::from_millis(u64::try_from(at.0).unwrap_or(0))
}

fn rule(gate: &MeasuredGate) -> ReadingRule {
    let (limit, place, source) = match &gate.source {
        GateSource::Prometheus(query) => {
            let limit = match query.limit {
                ValueLimit::AtMost(most) => Limit::AtMost(most.value()),
                ValueLimit::AtLeast(least) => Limit::AtLeast(least.value()),
            };
            let source = json!({ "prometheus": query.server.as_str(), "query": query.query });
            (limit, query.server.to_string(), source)
        }
        GateSource::Webhook(webhook) => {
            // Its path or query may be a secret.
            let place = webhook.url.origin().ascii_serialization();
            let source = json!({ "webhook": place });
            (Limit::AtLeast(1.0), place, source)
        }
        GateSource::Command(words) => {
            // Its arguments may be secrets.
            let program = words.first().cloned().unwrap_or_default();
            let source = json!({ "command": program, "arguments": words.len().saturating_sub(1) });
            (Limit::AtLeast(1.0), program, source)
        }
    };
    let tolerated = gate.held_for.as_millis() / gate.every.as_millis().max(1);
    ReadingRule {
        name: gate.name.clone(),
        kind: match gate.on_fail {
            OnFail::Undo => GateKind::Harm,
            OnFail::Wait => GateKind::Enough,
        },
        is_dry_run: gate.dry_run,
        limit,
        tolerated: u32::try_from(tolerated).unwrap_or(u32::MAX),
        unmeasured_max: gate.unmeasured_max,
        place,
        source,
    }
}
