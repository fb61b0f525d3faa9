//! A gate on readings, one at a time against a limit.

use judge::{Limit, Missing, Moment, Reading, SeriesJudge, Verdict as Found, Why};
use protocol::rollout::{Gate, GateKind, Verdict};
use serde_json::json;
use std::time::Duration;
use tokio::time::Instant;

/// The longest text of others that is kept and shown.
const TEXT_CHARS_MAX: usize = 400;

/// What a gate's readings must be like, and what follows.
#[derive(Debug, Clone)]
pub(super) struct ReadingRule {
    pub(super) name: String,
    pub(super) kind: GateKind,
    pub(super) is_dry_run: bool,
    pub(super) limit: Limit,
    /// More bad readings in a row fail; so many good ones and one more pass.
    pub(super) tolerated: u32,
    /// Not measured for longer than this fails as well.
    pub(super) unmeasured_max: Option<Duration>,
    /// Where it is measured, in a word or two.
    pub(super) place: String,
    /// What is asked, for whoever reads why; without credentials.
    pub(super) source: serde_json::Value,
}

/// One reading, or why there is none.
#[derive(Debug, Clone)]
pub(super) struct NextReading {
    pub(super) at: Moment,
    pub(super) value: Reading<f64>,
    /// In words, where the number says less.
    pub(super) text: Option<String>,
}

/// A gate on readings, with what it has seen.
#[derive(Debug)]
pub(super) struct ReadingGate {
    rule: ReadingRule,
    judge: SeriesJudge,
    /// What was shown, of one that waits: until enough good readings end it. What takes a
    /// step back stays.
    failed: Option<Found>,
    last: Option<NextReading>,
    /// How much there is of the first reading, in words.
    gathered: Option<String>,
    /// Since when there is no reading.
    unmeasured_since: Option<Instant>,
}

impl ReadingGate {
    pub(super) fn new(rule: ReadingRule, now: Instant) -> Self {
        Self {
            judge: judge(&rule),
            rule,
            failed: None,
            last: None,
            gathered: None,
            unmeasured_since: Some(now),
        }
    }

    pub(super) fn observe(&mut self, reading: NextReading, now: Instant) {
        self.judge.observe(reading.at, &reading.value);
        // The judge has the last word on what is one.
        let found = self.judge.verdict();
        if let Found::Unknown { .. } = found {
            self.unmeasured_since.get_or_insert(now);
        } else {
            self.unmeasured_since = None;
        }
        match found {
            Found::Fail { .. } if self.rule.kind == GateKind::Enough => {
                self.failed = Some(found);
                self.judge = judge(&self.rule);
            }
            Found::Pass { .. } => self.failed = None,
            _ => {}
        }
        let text = reading.text.map(|text| shortened(&text));
        self.last = Some(NextReading { text, ..reading });
    }

    /// How much there is of the next reading: it is said until there is a first.
    pub(super) fn gathers(&mut self, text: String) {
        self.gathered = Some(text);
    }

    /// What it says now.
    pub(super) fn gate(&self, now: Instant) -> Gate {
        let found = self.failed.clone().unwrap_or_else(|| self.judge.verdict());
        let (mut verdict, mut text) = match &found {
            Found::Pass { .. } => (Verdict::Pass, self.seen()),
            Found::Fail { grounds } => {
                let row = grounds.evidence;
                (Verdict::Fail, self.failed(row))
            }
            Found::NeedMore { have, need, .. } => {
                let text = format!("{}: {have} of {need} good readings in a row", self.seen());
                (Verdict::NeedMore, text)
            }
            Found::Unknown {
                why: Why::NothingYet,
            } if self.gathered.is_some() => {
                (Verdict::NeedMore, self.gathered.clone().unwrap_or_default())
            }
            Found::Unknown { why } => (Verdict::Unknown, self.unknown(&why.to_string())),
        };
        let unmeasured = self.unmeasured_since.map(|since| now - since);
        let is_too_long =
            |length: &Duration| self.rule.unmeasured_max.is_some_and(|most| *length > most);
        if let Some(length) = unmeasured.filter(is_too_long) {
            verdict = Verdict::Fail;
            text = format!("not measured for {} s: {text}", length.as_secs());
        }
        Gate {
            name: self.rule.name.clone(),
            kind: self.rule.kind,
            is_dry_run: self.rule.is_dry_run,
            verdict,
            text,
            evidence: json!({
                "gate": self.rule.name,
                "source": self.rule.source,
                "limit": self.rule.limit,
                "last": self.last.as_ref().map(|last| json!({
                    "at": last.at, "reading": last.value, "text": last.text,
                })),
                "unmeasured_seconds": unmeasured.map(|length| length.as_secs()),
                "found": found,
                "dry_run": self.rule.is_dry_run,
            }),
        }
    }

    /// The last reading in words, with the limit where it is a number.
    fn seen(&self) -> String {
        match &self.last {
            Some(NextReading {
                text: Some(text), ..
            }) => text.clone(),
            Some(NextReading {
                value: Reading::Value(value),
                ..
            }) => {
                format!("{value}, and {}", limit(self.rule.limit))
            }
            _ => "nothing has been measured yet".to_owned(),
        }
    }

    fn failed(&self, in_a_row: f64) -> String {
        let seen = self.seen();
        if in_a_row > 1.0 {
            format!("{seen}, {in_a_row} readings in a row")
        } else {
            seen
        }
    }

    fn unknown(&self, why: &str) -> String {
        let text = self.last.as_ref().and_then(|last| last.text.as_ref());
        let place = &self.rule.place;
        match text {
            Some(text) => format!("{place}: {text}"),
            None => format!("{place}: {why}"),
        }
    }
}

/// One of nothing yet.
fn judge(rule: &ReadingRule) -> SeriesJudge {
    let needed = rule.tolerated.saturating_add(1);
    SeriesJudge::new(rule.limit, rule.tolerated, needed)
}

fn limit(limit: Limit) -> String {
    match limit {
        Limit::AtMost(most) => format!("{most} is the most"),
        Limit::AtLeast(least) => format!("{least} is the least"),
    }
}

/// A reading that could not be made, and why.
pub(super) fn unmeasured(at: Moment, why: String) -> NextReading {
    NextReading {
        at,
        value: Reading::Missing(Missing::Failed),
        text: Some(why),
    }
}

/// In one line, and no longer than fits.
fn shortened(text: &str) -> String {
    let line: Vec<&str> = text.split_whitespace().collect();
    let line = line.join(" ");
    let mut short: String = line
        .chars()
        .filter(|c| !c.is_control())
        .take(TEXT_CHARS_MAX)
        .collect();
    if short.len() < line.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(kind: GateKind, tolerated: u32) -> ReadingGate {
        let rule = ReadingRule {
            name: "prometheus saturation".to_owned(),
            kind,
            is_dry_run: false,
            limit: Limit::AtMost(0.8),
            tolerated,
            unmeasured_max: Some(Duration::from_mins(10)),
            place: "http://prometheus:9090/".to_owned(),
            source: json!({ "query": "up" }),
        };
        ReadingGate::new(rule, Instant::now())
    }

    fn see(gate: &mut ReadingGate, second: u64, value: Reading<f64>) -> Gate {
        let reading = NextReading {
            at: Moment::from_millis(second * 1000),
            value,
            text: None,
        };
        gate.observe(reading, Instant::now());
        gate.gate(Instant::now())
    }

    #[test]
    fn what_takes_a_step_back_stays_failed_and_what_waits_recovers() {
        for (kind, at_last) in [
            (GateKind::Harm, Verdict::Fail),
            (GateKind::Enough, Verdict::Pass),
        ] {
            let mut gate = gate(kind, 1);
            let values = [0.5, 0.9, 0.9, 0.5, 0.5];
            let verdicts: Vec<Verdict> = (1..)
                .zip(values)
                .map(|(at, value)| see(&mut gate, at, Reading::Value(value)).verdict)
                .collect();
            let (more, fail) = (Verdict::NeedMore, Verdict::Fail);
            assert_eq!(verdicts, [more, more, fail, fail, at_last], "{kind:?}");
        }
    }

    #[test]
    fn what_is_missing_is_no_pass_and_says_what_and_where() {
        let mut gate = gate(GateKind::Harm, 0);
        assert_eq!(gate.gate(Instant::now()).verdict, Verdict::Unknown);
        assert_eq!(
            see(&mut gate, 1, Reading::Value(0.1)).verdict,
            Verdict::Pass
        );
        for why in [
            Missing::NoSeries,
            Missing::SeveralSeries(2),
            Missing::NoSamples,
            Missing::NotANumber,
            Missing::Infinite,
            Missing::BeforeStep,
            Missing::Stale,
            Missing::CounterReset,
            Missing::Gap,
            Missing::Failed,
        ] {
            let said = see(&mut gate, 2, Reading::Missing(why));
            assert_eq!(said.verdict, Verdict::Unknown, "{why}");
            let text = format!("http://prometheus:9090/: {why}");
            assert_eq!(said.text, text);
        }
        // Nor is a number that is none, whoever let it through.
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let said = see(&mut gate, 3, Reading::Value(value));
            assert_eq!(said.verdict, Verdict::Unknown, "{value}");
        }
        // Nor one that was counted already.
        let said = see(&mut gate, 1, Reading::Value(0.1));
        assert_eq!(said.verdict, Verdict::Unknown);
        assert_eq!(
            see(&mut gate, 4, Reading::Value(0.1)).verdict,
            Verdict::Pass
        );
    }

    #[test]
    fn what_is_not_measured_fails_only_where_the_plan_says_so_and_only_after_its_time() {
        let mut gate = gate(GateKind::Harm, 0);
        let began = Instant::now();
        see(&mut gate, 1, Reading::Missing(Missing::Failed));
        assert_eq!(
            gate.gate(began + Duration::from_mins(9)).verdict,
            Verdict::Unknown
        );
        let late = gate.gate(began + Duration::from_mins(11));
        assert_eq!(late.verdict, Verdict::Fail);
        assert!(late.text.starts_with("not measured for 6"), "{}", late.text);
        see(&mut gate, 2, Reading::Value(0.1));
        assert_eq!(
            gate.gate(began + Duration::from_mins(30)).verdict,
            Verdict::Pass
        );
        gate.rule.unmeasured_max = None;
        see(&mut gate, 3, Reading::Missing(Missing::Failed));
        assert_eq!(
            gate.gate(began + Duration::from_hours(99)).verdict,
            Verdict::Unknown
        );
    }

    #[test]
    fn the_evidence_has_source_limit_and_number() {
        let mut gate = gate(GateKind::Harm, 0);
        let said = see(&mut gate, 1, Reading::Value(0.93));
        assert_eq!(said.text, "0.93, and 0.8 is the most");
        let evidence = said.evidence;
        assert_eq!(evidence["source"]["query"], "up");
        assert_eq!(evidence["limit"]["at-most"], 0.8);
        assert_eq!(evidence["last"]["reading"]["value"], 0.93);
        assert_eq!(evidence["found"]["verdict"], "fail");
    }
}
