//! What must hold for a rollout to go on: `rollout.gates`.

use super::measured::{
    self, CommandFile, MeasuredFiles, MeasuredGate, OnFail, PrometheusFile, WebhookFile,
};
use crate::base::{ByteSize, Environment, Located, Percent, PlanError, Text, parse, size, time};
use schemars::JsonSchema;
use serde::Deserialize;
use std::{collections::BTreeMap, fmt, time::Duration};

/// What must hold. A gate of the first kind undoes a step that it finds harmful; the
/// others only have the next step wait.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct GatesFile {
    /// The service's answers with 5xx, of all its answers.
    #[serde(default)]
    pub(crate) error_rate: Option<Located<LimitFile>>,
    /// The time that half of its answers take at most.
    #[serde(default)]
    pub(crate) p50: Option<Located<LimitFile>>,
    /// The time that 95 of 100 take at most.
    #[serde(default)]
    pub(crate) p95: Option<Located<LimitFile>>,
    /// The time that 99 of 100 take at most.
    #[serde(default)]
    pub(crate) p99: Option<Located<LimitFile>>,
    /// How far the other side is behind, before the next step.
    #[serde(default)]
    pub(crate) lag: Option<Located<LagFile>>,
    /// How old the last proof that both sides agree may be, before the next step.
    #[serde(default)]
    pub(crate) verify: Option<VerifyFile>,
    /// How many requests the service must have answered in a step, before the next. Of all
    /// steps, this and the gates on its answers do not count where it gets 0%.
    #[serde(default)]
    pub(crate) requests: Option<Located<u32>>,
    /// How much of the traffic that its share lets expect reaches the service.
    #[serde(default)]
    pub(crate) throughput: Option<ThroughputFile>,
    /// How many of the reads that `shadow` has both sides answer differ.
    #[serde(default)]
    pub(crate) shadow: Option<ShadowLimitFile>,
    /// When a step may begin.
    #[serde(default)]
    pub(crate) window: Option<WindowFile>,
    /// Queries to Prometheus, by names of yours: saturation, say.
    #[serde(default)]
    pub(crate) prometheus: BTreeMap<String, Located<PrometheusFile>>,
    /// Who is asked by POST, by names of yours.
    #[serde(default)]
    pub(crate) webhook: BTreeMap<String, Located<WebhookFile>>,
    /// What is run, by names of yours: contract tests, say.
    #[serde(default)]
    pub(crate) command: BTreeMap<String, Located<CommandFile>>,
}

/// The most that a figure may be: as such, and by the monolith's in the same time.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LimitFile {
    /// At most this: a share such as `0.1%`, or a time such as `200ms`.
    #[serde(default)]
    pub(crate) max: Option<Text>,
    /// At most so much more than the monolith has for the same routes in the same
    /// time, as `+10%`.
    #[serde(default)]
    pub(crate) versus_monolith: Option<Text>,
    /// Report only, decide nothing (default false).
    #[serde(default)]
    pub(crate) dry_run: bool,
}

/// How much of the traffic that is expected must come.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ThroughputFile {
    /// The least, of the reads that its share of all in the same windows lets expect,
    /// as `50%`. Reads without the client's key stay at the owner, and are expected all
    /// the same.
    pub(crate) min: Text,
    /// `wait` has the step go on waiting (the default), `undo` takes it back.
    #[serde(default)]
    pub(crate) on_fail: Option<OnFail>,
    /// Report only, decide nothing (default false).
    #[serde(default)]
    pub(crate) dry_run: bool,
}

/// How many compared reads may differ.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ShadowLimitFile {
    /// The most, of those compared, as `0.1%`.
    pub(crate) max: Text,
    /// Of how many at a time (default 1000).
    #[serde(default)]
    pub(crate) compared: Option<Located<u32>>,
    /// `wait` has the step go on waiting (the default), `undo` takes it back.
    #[serde(default)]
    pub(crate) on_fail: Option<OnFail>,
    /// Report only, decide nothing (default false).
    #[serde(default)]
    pub(crate) dry_run: bool,
}

/// How far the other side may be behind.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LagFile {
    /// The age of the oldest change that is not applied.
    #[serde(default)]
    pub(crate) max: Option<Text>,
    /// The bytes of log that are not applied.
    #[serde(default)]
    pub(crate) bytes: Option<Text>,
}

/// How old the last verify may be.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct VerifyFile {
    /// Older than this is made anew.
    pub(crate) max_age: Text,
}

/// A part of the week, in UTC.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WindowFile {
    /// `mon` to `sun` (default all).
    #[serde(default)]
    pub(crate) days: Vec<Text>,
    /// From this time of the day on, as `08:00`.
    pub(crate) from: Text,
    /// Until this one.
    pub(crate) until: Text,
}

/// What must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gates {
    /// Of answers with 5xx.
    pub error_rate: Option<Limit<Percent>>,
    /// Of times, by the share of answers that are as quick: `p50`, `p95`, `p99`.
    pub latency: Vec<(Quantile, Limit<Duration>)>,
    /// How far the other side may be behind.
    pub lag: Option<LagLimit>,
    /// How old the last verify may be.
    pub verify: Option<Duration>,
    /// How many answers of the service a step takes.
    pub requests: Option<u32>,
    /// How much of the expected traffic must come.
    pub throughput: Option<Throughput>,
    /// How many compared reads may differ.
    pub shadow: Option<ShadowLimit>,
    /// When a step may begin.
    pub window: Option<WeekWindow>,
    /// What others measure.
    pub measured: Vec<MeasuredGate>,
}

/// Which share of the answers is as quick.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quantile {
    /// Half.
    P50,
    /// 95 of 100.
    P95,
    /// 99 of 100.
    P99,
}

/// The most that a figure may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit<T> {
    /// As such.
    pub max: Option<T>,
    /// More than the monolith's, in hundredths of a percent of that.
    pub versus_monolith: Option<u32>,
    /// Whether it decides nothing.
    pub dry_run: bool,
}

/// How far the other side may be behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LagLimit {
    /// The age of the oldest change that is not applied.
    pub age: Option<Duration>,
    /// Bytes of log.
    pub bytes: Option<ByteSize>,
}

/// How much of the expected traffic must come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Throughput {
    /// Of what is expected; not nothing.
    pub min: Percent,
    /// What follows from a failure.
    pub on_fail: OnFail,
    /// Whether it decides nothing.
    pub dry_run: bool,
}

/// How many compared reads may differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShadowLimit {
    /// Of those compared.
    pub max: Percent,
    /// Of how many at a time; at least one.
    pub compared: u32,
    /// What follows from a failure.
    pub on_fail: OnFail,
    /// Whether it decides nothing.
    pub dry_run: bool,
}

/// A part of each week, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WeekWindow {
    /// A bit for each day, Monday's the lowest.
    days: u8,
    /// In minutes from midnight; `until` is later.
    from: u32,
    until: u32,
}

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
/// So many reads are compared where the plan does not say.
const COMPARED: u32 = 1000;
/// A proof that must be younger is too old before the step begins.
const VERIFY_AGE_MIN: Duration = Duration::from_mins(1);
const DAY_MINUTES: u32 = 24 * 60;

impl Gates {
    /// Those of all steps that one with these shares of reads and writes can pass: where the
    /// service gets nothing, there is nothing to say of its answers.
    pub(super) fn of_shares(&self, shares: Option<(Percent, Percent)>) -> Self {
        let mut gates = self.clone();
        if let Some((Percent::ZERO, writes)) = shares {
            gates.throughput = None;
            if writes == Percent::ZERO {
                gates.error_rate = None;
                gates.latency.clear();
                gates.requests = None;
            }
        }
        gates
    }

    /// Their names, those that decide nothing with that.
    pub fn names(&self) -> Vec<String> {
        let named = |name: &str, dry_run: bool| {
            let dry = if dry_run { " (dry-run)" } else { "" };
            format!("{name}{dry}")
        };
        let mut all = Vec::new();
        all.extend(self.error_rate.map(|one| named("error-rate", one.dry_run)));
        for (of, limit) in &self.latency {
            all.push(named(of.as_str(), limit.dry_run));
        }
        all.extend(self.throughput.map(|one| named("throughput", one.dry_run)));
        all.extend(self.shadow.map(|one| named("shadow", one.dry_run)));
        all.extend(self.requests.map(|_| named("requests", false)));
        all.extend(self.lag.map(|_| named("lag", false)));
        all.extend(self.verify.map(|_| named("verify", false)));
        all.extend(self.window.map(|_| named("window", false)));
        let measured = self.measured.iter();
        all.extend(measured.map(|gate| named(&gate.name, gate.dry_run)));
        all
    }
}

impl Quantile {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::P50, Self::P95, Self::P99];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::P50 => "p50",
            Self::P95 => "p95",
            Self::P99 => "p99",
        }
    }

    /// The share of the answers that are as quick.
    pub fn share(self) -> f64 {
        match self {
            Self::P50 => 0.5,
            Self::P95 => 0.95,
            Self::P99 => 0.99,
        }
    }
}

impl WeekWindow {
    /// Whether a moment, in milliseconds since 1970, is in it.
    pub fn has(self, at_ms: i64) -> bool {
        let minutes = at_ms.div_euclid(60_000);
        let minute = minutes.rem_euclid(i64::from(DAY_MINUTES));
        // 1970 began on a Thursday.
        let day = (minutes.div_euclid(i64::from(DAY_MINUTES)) + 3).rem_euclid(7);
        self.days & (1 << day) != 0
            && (i64::from(self.from)..i64::from(self.until)).contains(&minute)
    }
}

impl fmt::Display for WeekWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = DAYS.iter().enumerate();
        let days = named.filter(|(at, _)| self.days & (1 << at) != 0);
        let days: Vec<_> = days.map(|(_, day)| *day).collect();
        let time = |minutes: u32| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        let (from, until) = (time(self.from), time(self.until));
        write!(f, "{}, {from} to {until}", days.join(" "))
    }
}

/// Those of the file, and of `common` what the file does not name.
pub(super) fn resolve(
    file: Option<GatesFile>,
    common: &Gates,
    environment: Environment<'_>,
) -> Result<Gates, PlanError> {
    let Some(file) = file else {
        return Ok(common.clone());
    };
    let mut gates = common.clone();
    if let Some(file) = file.error_rate {
        gates.error_rate = Some(limit(&file, |text| {
            parse(text, environment, Percent::parse)
        })?);
    }
    let quantiles = [
        (Quantile::P50, file.p50),
        (Quantile::P95, file.p95),
        (Quantile::P99, file.p99),
    ];
    for (quantile, file) in quantiles {
        if let Some(file) = file {
            gates.latency.retain(|(other, _)| *other != quantile);
            gates.latency.push((quantile, limit(&file, time)?));
        }
    }
    gates.latency.sort_by_key(|(quantile, _)| *quantile);
    if let Some(Located { value: file, at }) = file.lag {
        if file.max.is_none() && file.bytes.is_none() {
            return Err(PlanError::at(at, "the gate has no limit")
                .remedy("Give it `max`, `bytes`, or both"));
        }
        gates.lag = Some(LagLimit {
            age: file.max.as_ref().map(time).transpose()?,
            bytes: file.bytes.as_ref().map(size).transpose()?,
        });
    }
    if let Some(file) = file.verify {
        gates.verify = Some(verify_age(&file.max_age)?);
    }
    if let Some(file) = file.throughput {
        gates.throughput = Some(throughput(&file, environment)?);
    }
    if let Some(file) = file.shadow {
        gates.shadow = Some(shadow(&file, environment)?);
    }
    if let Some(file) = file.window {
        gates.window = Some(window(&file)?);
    }
    if let Some(count) = file.requests {
        if count.value == 0 {
            return Err(PlanError::at(count.at, "of no requests nothing is known")
                .remedy("Write how many are enough, as `requests: 1000`, or leave it out"));
        }
        gates.requests = Some(count.value);
    }
    let files = MeasuredFiles {
        prometheus: file.prometheus,
        webhook: file.webhook,
        command: file.command,
    };
    measured::resolve(&files, &mut gates.measured, environment)?;
    Ok(gates)
}

fn limit<T>(
    Located { value: file, at }: &Located<LimitFile>,
    read: impl Fn(&Text) -> Result<T, PlanError>,
) -> Result<Limit<T>, PlanError> {
    let increase = |text: &Text| increase(&text.value).map_err(|why| PlanError::at(text.at, why));
    let limit = Limit {
        max: file.max.as_ref().map(read).transpose()?,
        versus_monolith: file.versus_monolith.as_ref().map(increase).transpose()?,
        dry_run: file.dry_run,
    };
    if limit.max.is_none() && limit.versus_monolith.is_none() {
        return Err(PlanError::at(*at, "the gate has no limit")
            .remedy("Give it `max`, `versus-monolith`, or both"));
    }
    Ok(limit)
}

/// Reads `+10%`, in hundredths of a percent.
fn increase(text: &str) -> Result<u32, String> {
    let wrong = || format!("`{text}` is no increase: write +10%, +0.5% or +200%");
    let number = text
        .strip_prefix('+')
        .and_then(|rest| rest.strip_suffix('%'));
    let (whole, decimals) = number
        .map(|number| number.split_once('.').unwrap_or((number, "")))
        .ok_or_else(wrong)?;
    let are_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty()
        || whole.len() > 5
        || decimals.len() > 2
        || !are_digits(whole)
        || !are_digits(decimals)
    {
        return Err(wrong());
    }
    format!("{whole}{decimals:0<2}")
        .parse()
        .map_err(|_| wrong())
}

fn throughput(
    file: &ThroughputFile,
    environment: Environment<'_>,
) -> Result<Throughput, PlanError> {
    let min = parse(&file.min, environment, Percent::parse)?;
    if min == Percent::ZERO {
        return Err(PlanError::at(file.min.at, "nothing at all is always there")
            .remedy("Write how much of the expected traffic must come, as `min: 50%`"));
    }
    Ok(Throughput {
        min,
        on_fail: file.on_fail.unwrap_or(OnFail::Wait),
        dry_run: file.dry_run,
    })
}

fn shadow(file: &ShadowLimitFile, environment: Environment<'_>) -> Result<ShadowLimit, PlanError> {
    let compared = match &file.compared {
        None => COMPARED,
        Some(count) if count.value == 0 => {
            return Err(PlanError::at(count.at, "of no reads none differs")
                .remedy("Write of how many, as `compared: 1000`"));
        }
        Some(count) => count.value,
    };
    Ok(ShadowLimit {
        max: parse(&file.max, environment, Percent::parse)?,
        compared,
        on_fail: file.on_fail.unwrap_or(OnFail::Wait),
        dry_run: file.dry_run,
    })
}

fn verify_age(text: &Text) -> Result<Duration, PlanError> {
    let age = time(text)?;
    if age < VERIFY_AGE_MIN {
        return Err(
            PlanError::at(text.at, "no verify would ever be as recent as that")
                .remedy("Write 1m at least: it takes its time, and the step begins after it"),
        );
    }
    Ok(age)
}

fn window(file: &WindowFile) -> Result<WeekWindow, PlanError> {
    let minute = |text: &Text| minute(&text.value).map_err(|why| PlanError::at(text.at, why));
    let (from, until) = (minute(&file.from)?, minute(&file.until)?);
    if until <= from {
        return Err(
            PlanError::at(file.until.at, "the window ends before it begins")
                .remedy("Write times of one day in UTC, such as from: \"08:00\", until: \"18:00\""),
        );
    }
    let mut days = 0;
    for text in &file.days {
        let day = DAYS.iter().position(|day| *day == text.value);
        let Some(day) = day else {
            let why = format!("`{}` is no day: write {}", text.value, DAYS.join(", "));
            return Err(PlanError::at(text.at, why));
        };
        days |= 1 << day;
    }
    Ok(WeekWindow {
        days: if file.days.is_empty() { 127 } else { days },
        from,
        until,
    })
}

/// Reads `08:00`, in minutes from midnight; `24:00` is a day's end.
fn minute(text: &str) -> Result<u32, String> {
    let wrong = || format!("`{text}` is no time of the day: write 08:00, quoted");
    let (hour, minute) = text.split_once(':').ok_or_else(wrong)?;
    let number = |part: &str| match part.as_bytes() {
        [b'0'..=b'9', b'0'..=b'9'] => part.parse::<u32>().map_err(|_| wrong()),
        _ => Err(wrong()),
    };
    let (hour, minute) = (number(hour)?, number(minute)?);
    let all = hour * 60 + minute;
    if minute > 59 || all > DAY_MINUTES {
        return Err(wrong());
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn increases_are_read() {
        for (text, points) in [
            ("+10%", 1_000),
            ("+0.5%", 50),
            ("+200%", 20_000),
            ("+0%", 0),
        ] {
            assert_eq!(increase(text), Ok(points));
        }
        for text in ["10%", "+10", "+%", "+-1%", "+1.234%", "+1e3%", "+NaN%", ""] {
            assert!(increase(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_window_is_part_of_a_week() {
        let weekdays = WeekWindow {
            days: 0b001_1111,
            from: 8 * 60,
            until: 18 * 60,
        };
        let hour = 3_600_000;
        // 2026-11-30 is a Monday.
        let monday = 1_795_996_800_000;
        for (at, is_in) in [
            (monday + 8 * hour, true),
            (monday + 8 * hour - 1, false),
            (monday + 18 * hour - 1, true),
            (monday + 18 * hour, false),
            (monday + 4 * 24 * hour + 9 * hour, true),
            (monday + 5 * 24 * hour + 9 * hour, false),
            (monday - 24 * hour + 9 * hour, false),
        ] {
            assert_eq!(weekdays.has(at), is_in, "{at}");
        }
        assert!(minute("24:00").is_ok() && minute("24:01").is_err() && minute("8:00").is_err());
    }
}
