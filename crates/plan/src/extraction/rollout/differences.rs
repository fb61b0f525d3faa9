//! How a step differs from what it was: by the keys of the plan, with both values.

use super::{
    gates::{Gates, LagLimit, Limit, ShadowLimit, Throughput},
    measured::{GateSource, MeasuredGate, OnFail, ValueLimit},
    steps::Step,
};
use crate::base::Length;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// Longer values, such as queries, are cut: what differs stands in the plan.
const VALUE_CHARS_MAX: usize = 100;

/// A key of a step of which the plan says something else.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct StepDifference {
    /// Below the step, as `gates.p95.max`; [`Self::STEP`] where it does another thing, or
    /// lasts for another time.
    pub key: String,
    /// What it was; `None`: it was not there.
    was: Option<String>,
    /// What it is.
    is: Option<String>,
}

impl StepDifference {
    /// What a step does, and for how long.
    pub const STEP: &str = "step";
}

impl fmt::Display for StepDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.was, &self.is) {
            (Some(was), Some(is)) if self.key == Self::STEP => write!(f, "`{was}` is `{is}` now"),
            // It is not shown.
            (Some(was), Some(is)) if was == is => write!(f, "`{}` is another one", self.key),
            (Some(was), Some(is)) => write!(f, "`{}` was `{was}` and is `{is}`", self.key),
            (Some(was), None) => write!(f, "`{}` is gone, and was `{was}`", self.key),
            (None, Some(is)) => write!(f, "`{}` is new, and `{is}`", self.key),
            (None, None) => Ok(()),
        }
    }
}

impl Step {
    /// What the plan says otherwise in `next`; nothing where both are the same.
    pub fn differences(&self, next: &Self) -> Vec<StepDifference> {
        let (was, is) = (settings(self), settings(next));
        let keys: BTreeSet<_> = was.keys().chain(is.keys()).collect();
        let mut found: Vec<_> = keys
            .into_iter()
            .filter(|key| was.get(*key) != is.get(*key))
            .map(|key| StepDifference {
                key: key.clone(),
                was: was.get(key).map(|value| shown(value)),
                is: is.get(key).map(|value| shown(value)),
            })
            .collect();
        found.extend(unshown(&self.gates, &next.gates));
        found
    }
}

/// Cut to what fits a line or two.
fn shown(value: &str) -> String {
    match value.char_indices().nth(VALUE_CHARS_MAX) {
        Some((end, _)) => format!("{}...", value.get(..end).unwrap_or_default()),
        None => value.to_owned(),
    }
}

/// What a gate sends may hold secrets: it is compared, and not shown.
fn unshown(was: &Gates, is: &Gates) -> Vec<StepDifference> {
    let mut found = Vec::new();
    for one in &was.measured {
        let Some(other) = is.measured.iter().find(|other| other.name == one.name) else {
            continue;
        };
        let keys = match (&one.source, &other.source) {
            (GateSource::Prometheus(was), GateSource::Prometheus(is)) => {
                vec![("headers", was.headers != is.headers)]
            }
            (GateSource::Webhook(was), GateSource::Webhook(is)) => vec![
                ("url", was.url != is.url),
                ("headers", was.headers != is.headers),
                ("metadata", was.metadata != is.metadata),
            ],
            _ => Vec::new(),
        };
        let differ = keys.into_iter().filter(|(_, differs)| *differs);
        found.extend(differ.map(|(name, _)| StepDifference {
            key: format!("{}.{name}", key(one)),
            was: Some(String::new()),
            is: Some(String::new()),
        }));
    }
    found
}

/// All that a step says, by its keys.
fn settings(step: &Step) -> BTreeMap<String, String> {
    let Step {
        does: _,
        lasts: _,
        approval,
        checklist,
        gates,
    } = step;
    let mut all = BTreeMap::from([(StepDifference::STEP.to_owned(), step.to_string())]);
    if let Some(approval) = approval {
        all.insert("approval".to_owned(), approval.clone());
    }
    if !checklist.is_empty() {
        all.insert("checklist".to_owned(), checklist.join(", "));
    }
    all.extend(of_gates(gates));
    all
}

fn of_gates(gates: &Gates) -> BTreeMap<String, String> {
    let Gates {
        error_rate,
        latency,
        lag,
        verify,
        requests,
        throughput,
        shadow,
        window,
        measured,
    } = gates;
    let mut all = BTreeMap::new();
    let mut say = |key: &str, value: Option<String>| {
        all.extend(value.map(|value| (format!("gates.{key}"), value)));
    };
    let decides = |dry_run: bool| dry_run.then(|| "true".to_owned());
    if let Some(limit) = error_rate {
        of_limit(&mut say, "error-rate", limit, ToString::to_string);
    }
    for (quantile, limit) in latency {
        of_limit(&mut say, quantile.as_str(), limit, |max| {
            Length(*max).to_string()
        });
    }
    if let Some(LagLimit { age, bytes }) = lag {
        say("lag.max", age.map(|age| Length(age).to_string()));
        say("lag.bytes", bytes.map(|bytes| bytes.to_string()));
    }
    say("verify.max-age", verify.map(|age| Length(age).to_string()));
    say("requests", requests.map(|count| count.to_string()));
    if let Some(Throughput {
        min,
        on_fail,
        dry_run,
    }) = throughput
    {
        say("throughput.min", Some(min.to_string()));
        say("throughput.on-fail", Some(undo_or_wait(*on_fail)));
        say("throughput.dry-run", decides(*dry_run));
    }
    if let Some(ShadowLimit {
        max,
        compared,
        on_fail,
        dry_run,
    }) = shadow
    {
        say("shadow.max", Some(max.to_string()));
        say("shadow.compared", Some(compared.to_string()));
        say("shadow.on-fail", Some(undo_or_wait(*on_fail)));
        say("shadow.dry-run", decides(*dry_run));
    }
    say("window", window.map(|window| window.to_string()));
    for gate in measured {
        all.extend(of_measured(gate));
    }
    all
}

fn of_limit<T>(
    say: &mut impl FnMut(&str, Option<String>),
    gate: &str,
    limit: &Limit<T>,
    words: impl Fn(&T) -> String,
) {
    let Limit {
        max,
        versus_monolith,
        dry_run,
    } = limit;
    let more = versus_monolith.map(|points| {
        let (whole, rest) = (points / 100, points % 100);
        match rest {
            0 => format!("+{whole}%"),
            _ => format!("+{whole}.{rest:02}%"),
        }
    });
    say(&format!("{gate}.max"), max.as_ref().map(words));
    say(&format!("{gate}.versus-monolith"), more);
    let dry_run = dry_run.then(|| "true".to_owned());
    say(&format!("{gate}.dry-run"), dry_run);
}

/// Its keys' beginning.
fn key(gate: &MeasuredGate) -> String {
    format!("gates.{}", gate.name.replacen(' ', ".", 1))
}

fn of_measured(gate: &MeasuredGate) -> BTreeMap<String, String> {
    let MeasuredGate {
        name: _,
        source,
        every,
        held_for,
        timeout,
        on_fail,
        unmeasured_max,
        dry_run,
    } = gate;
    let mut all = vec![
        ("every", Length(*every).to_string()),
        ("for", Length(*held_for).to_string()),
        ("timeout", Length(*timeout).to_string()),
        ("on-fail", undo_or_wait(*on_fail)),
    ];
    all.extend(unmeasured_max.map(|max| ("unmeasured-max", Length(max).to_string())));
    all.extend(dry_run.then(|| ("dry-run", "true".to_owned())));
    match source {
        GateSource::Prometheus(query) => {
            all.push(("server", query.server.to_string()));
            all.push(("query", query.query.clone()));
            all.push(("max-age", Length(query.max_age).to_string()));
            all.push(match query.limit {
                ValueLimit::AtMost(max) => ("max", max.value().to_string()),
                ValueLimit::AtLeast(min) => ("min", min.value().to_string()),
            });
        }
        GateSource::Webhook(webhook) => {
            all.push(("namespace", webhook.namespace.clone()));
        }
        GateSource::Command(run) => all.push(("run", run.join(" "))),
    }
    let key = key(gate);
    let named = |(name, value)| (format!("{key}.{name}"), value);
    all.into_iter().map(named).collect()
}

fn undo_or_wait(on_fail: OnFail) -> String {
    match on_fail {
        OnFail::Undo => "undo",
        OnFail::Wait => "wait",
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use crate::{Plan, Schedule};

    fn schedule(rollout: &str) -> Schedule {
        let text = format!(
            r#"
monolith: {{ url: "http://127.0.0.1:1", database: "postgres://u:p@127.0.0.1:2/m" }}
services: {{ s: {{ url: "http://127.0.0.1:3", database: "postgres://u:p@127.0.0.1:4/s" }} }}
gateway: {{ listen: "127.0.0.1:0" }}
extractions:
  a:
    service: s
    routes: [{{ path: /a }}]
    shadow: {{ share: 1% }}
    data: {{ mode: replicate, schema: s, tables: {{ public.a: {{}} }} }}
    rollout: {{ key: {{ header: x }}, {rollout} }}
"#
        );
        let plan = Plan::parse(&text, |_| None).unwrap();
        plan.extractions
            .into_values()
            .next()
            .unwrap()
            .schedule
            .unwrap()
    }

    fn differences(was: &str, is: &str) -> Vec<String> {
        let step = |gates: &str| {
            schedule(&format!("steps: [{{ reads: 5%, {gates} }}]"))
                .steps
                .remove(0)
        };
        let (was, is) = (step(was), step(is));
        assert!(was.differences(&was).is_empty() && is.differences(&is).is_empty());
        let found = was.differences(&is);
        found.iter().map(ToString::to_string).collect()
    }

    /// Every key of a step, with what it was and is.
    #[test]
    fn what_differs_is_named_with_both_values() {
        let gates = |gates: &str| format!("gates: {{ {gates} }}");
        let query = |more: &str| {
            gates(&format!(
                "prometheus: {{ full: {{ server: \"http://p:9090\", query: q, {more} }} }}"
            ))
        };
        let webhook = |more: &str| gates(&format!("webhook: {{ lead: {{ {more}, every: 10s }} }}"));
        for (was, is, wanted) in [
            (
                "for: 1d",
                "for: 36h",
                "`reads 5% for 1d` is `reads 5% for 36h` now",
            ),
            (
                "for: 1d",
                "for: 1d, approval: lead",
                "`approval` is new, and `lead`",
            ),
            (
                &gates("p95: { max: 200ms }"),
                &gates("p95: { max: 300ms }"),
                "`gates.p95.max` was `200ms` and is `300ms`",
            ),
            (
                &gates("error-rate: { max: 0.1%, versus-monolith: +50% }"),
                &gates("error-rate: { max: 0.1%, versus-monolith: +0.5% }"),
                "`gates.error-rate.versus-monolith` was `+50%` and is `+0.50%`",
            ),
            (
                &gates("error-rate: { max: 1% }"),
                &gates("error-rate: { max: 1%, dry-run: true }"),
                "`gates.error-rate.dry-run` is new, and `true`",
            ),
            (
                &gates("lag: { max: 5s, bytes: 16MiB }"),
                &gates("lag: { max: 5s }"),
                "`gates.lag.bytes` is gone, and was `16MiB`",
            ),
            (
                &gates("window: { days: [mon, tue], from: \"08:00\", until: \"17:30\" }"),
                &gates("window: { days: [mon], from: \"08:00\", until: \"17:30\" }"),
                "`gates.window` was `mon tue, 08:00 to 17:30` and is `mon, 08:00 to 17:30`",
            ),
            (
                &gates("throughput: { min: 50% }"),
                &gates("throughput: { min: 50%, on-fail: undo }"),
                "`gates.throughput.on-fail` was `wait` and is `undo`",
            ),
            (
                &gates("shadow: { max: 1% }"),
                &gates("shadow: { max: 1%, compared: 10 }"),
                "`gates.shadow.compared` was `1000` and is `10`",
            ),
            (
                &query("max: 0.8"),
                &query("max: 0.9"),
                "`gates.prometheus.full.max` was `0.8` and is `0.9`",
            ),
            (
                &webhook("url: \"http://one/a\""),
                &webhook("url: \"http://one/b\""),
                "`gates.webhook.lead.url` is another one",
            ),
            (
                &webhook("url: \"http://one/a\""),
                &webhook("url: \"http://one/a\", headers: { x: secret }"),
                "`gates.webhook.lead.headers` is another one",
            ),
        ] {
            assert_eq!(differences(was, is), [wanted], "{was} to {is}");
        }
        let long = "x".repeat(300);
        let found = differences("for: 1d", &format!("for: 1d, approval: {long}"));
        assert!(found[0].len() < 150, "{found:?}");
    }
}
