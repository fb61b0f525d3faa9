//! Gates on what others measure: a query to Prometheus, a webhook, a command.

use crate::base::{
    Environment, Length, Located, PlanError, Position, Secret, Text, header_name, parse, plain,
    time_or,
};
use schemars::JsonSchema;
use serde::Deserialize;
use std::{collections::BTreeMap, time::Duration};
use url::Url;

/// Prometheus' usual interval of scrapes.
const EVERY: Duration = Duration::from_secs(15);
const EVERY_MIN: Duration = Duration::from_secs(1);
const HELD_FOR: Duration = Duration::from_mins(1);
const TIMEOUT: Duration = Duration::from_secs(10);
const TIMEOUT_MAX: Duration = Duration::from_hours(1);
/// What Prometheus itself takes for the newest.
const MAX_AGE: Duration = Duration::from_mins(5);
/// A query goes into the target of a request.
const QUERY_BYTES_MAX: usize = 4096;
const NAME_BYTES_MAX: usize = 40;

/// A query whose one value must keep to a limit.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PrometheusFile {
    /// Where Prometheus is, as `http://prometheus:9090`.
    pub(crate) server: Text,
    /// Headers to send, such as `authorization: "Bearer ${TOKEN}"`.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, Text>,
    /// Must answer with one value: a scalar, or a vector of one.
    pub(crate) query: Text,
    /// The most that the value may be; this or `min`.
    #[serde(default)]
    pub(crate) max: Option<Text>,
    /// The least.
    #[serde(default)]
    pub(crate) min: Option<Text>,
    /// How old its samples may be (default 5m, as Prometheus'): at least how far back the server
    /// looks. It is asked once the step is older than that, so that none is of before the step.
    #[serde(default)]
    pub(crate) max_age: Option<Text>,
    /// How often it is asked (default 15s).
    #[serde(default)]
    pub(crate) every: Option<Text>,
    /// For how long it must be the same to count, either way (default 1m).
    #[serde(default, rename = "for")]
    pub(crate) held_for: Option<Text>,
    /// How long an answer may take (default 10s).
    #[serde(default)]
    pub(crate) timeout: Option<Text>,
    /// `undo` takes the step back (the default), `wait` has it go on waiting.
    #[serde(default)]
    pub(crate) on_fail: Option<OnFail>,
    /// Not measured for longer than this is a failure as well (default: never; the
    /// step goes on waiting).
    #[serde(default)]
    pub(crate) unmeasured_max: Option<Text>,
    /// Report only, decide nothing (default false).
    #[serde(default)]
    pub(crate) dry_run: bool,
}

/// Somebody who is asked by POST: 2xx is yes. The body is Flagger's.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct WebhookFile {
    /// Who is asked.
    pub(crate) url: Text,
    /// Headers to send, such as `authorization: "Bearer ${TOKEN}"`.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, Text>,
    /// What is sent as `namespace` (default `default`).
    #[serde(default)]
    pub(crate) namespace: Option<Text>,
    /// What is sent as `metadata`, beside the `step`.
    #[serde(default)]
    pub(crate) metadata: BTreeMap<String, Text>,
    /// How often it is asked (default 15s).
    #[serde(default)]
    pub(crate) every: Option<Text>,
    /// For how long it must be the same to count, either way (default: one answer).
    #[serde(default, rename = "for")]
    pub(crate) held_for: Option<Text>,
    /// How long an answer may take (default 10s).
    #[serde(default)]
    pub(crate) timeout: Option<Text>,
    /// `wait` has the step go on waiting (the default), `undo` takes it back.
    #[serde(default)]
    pub(crate) on_fail: Option<OnFail>,
    /// Not answered for longer than this is a failure as well (default: never; the
    /// step goes on waiting).
    #[serde(default)]
    pub(crate) unmeasured_max: Option<Text>,
    /// Report only, decide nothing (default false).
    #[serde(default)]
    pub(crate) dry_run: bool,
}

/// A command that is run, without a shell: 0 is yes, 1 is no, all else no answer.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CommandFile {
    /// The program and its arguments.
    pub(crate) run: Vec<Text>,
    /// How often it is run (default 15s), never twice at once.
    #[serde(default)]
    pub(crate) every: Option<Text>,
    /// For how long it must be the same to count, either way (default: one answer).
    #[serde(default, rename = "for")]
    pub(crate) held_for: Option<Text>,
    /// How long it may run; then it is killed, with all that it started (default 10s).
    #[serde(default)]
    pub(crate) timeout: Option<Text>,
    /// `wait` has the step go on waiting (the default), `undo` takes it back.
    #[serde(default)]
    pub(crate) on_fail: Option<OnFail>,
    /// Without an answer for longer than this is a failure as well (default: never; the
    /// step goes on waiting).
    #[serde(default)]
    pub(crate) unmeasured_max: Option<Text>,
    /// Report only, decide nothing (default false).
    #[serde(default)]
    pub(crate) dry_run: bool,
}

/// What follows from a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnFail {
    /// The step is taken back.
    Undo,
    /// It does not end before.
    Wait,
}

/// A gate on what others measure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeasuredGate {
    /// Its kind and its name in the plan, as `prometheus saturation`.
    pub name: String,
    /// Who is asked.
    pub source: GateSource,
    /// How often.
    pub every: Duration,
    /// For how long it must be the same to count.
    pub held_for: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
    /// What follows from a failure.
    pub on_fail: OnFail,
    /// Not measured for longer than this is a failure.
    pub unmeasured_max: Option<Duration>,
    /// Whether it decides nothing.
    pub dry_run: bool,
}

/// Who is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GateSource {
    /// Prometheus.
    Prometheus(PrometheusQuery),
    /// Somebody, by POST.
    Webhook(Webhook),
    /// A program, with its arguments; at least the program.
    Command(Vec<String>),
}

/// A query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrometheusQuery {
    /// Without credentials.
    pub server: Url,
    /// To send, names in lower case.
    pub headers: Vec<(String, Secret)>,
    /// As PromQL.
    pub query: String,
    /// What its value must keep to.
    pub limit: ValueLimit,
    /// How old its samples may be.
    pub max_age: Duration,
}

/// Somebody who is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Without credentials.
    pub url: Url,
    /// To send, names in lower case.
    pub headers: Vec<(String, Secret)>,
    /// What Flagger sends of itself.
    pub namespace: String,
    /// What the plan adds.
    pub metadata: BTreeMap<String, String>,
}

/// What a value must keep to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueLimit {
    /// Not above it.
    AtMost(Number),
    /// Not below it.
    AtLeast(Number),
}

/// A finite number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Number(f64);

impl Eq for Number {}

impl Number {
    /// Reads one.
    fn parse(text: &str) -> Result<Self, String> {
        let number = text.parse().ok().filter(|number: &f64| number.is_finite());
        number
            .map(Self)
            .ok_or_else(|| format!("`{text}` is no number: write 0.8 or 250"))
    }

    /// As it is calculated with.
    pub fn value(self) -> f64 {
        self.0
    }
}

/// What all kinds have in common, as it is written.
struct Common<'a> {
    every: Option<&'a Text>,
    held_for: Option<&'a Text>,
    timeout: Option<&'a Text>,
    on_fail: Option<OnFail>,
    unmeasured_max: Option<&'a Text>,
    dry_run: bool,
}

/// The gates of a file by kind.
#[derive(Default)]
pub(super) struct MeasuredFiles {
    pub(super) prometheus: BTreeMap<String, Located<PrometheusFile>>,
    pub(super) webhook: BTreeMap<String, Located<WebhookFile>>,
    pub(super) command: BTreeMap<String, Located<CommandFile>>,
}

/// Adds those of the file; one of the same kind and name is replaced.
pub(super) fn resolve(
    files: &MeasuredFiles,
    gates: &mut Vec<MeasuredGate>,
    environment: Environment<'_>,
) -> Result<(), PlanError> {
    let mut add = |gate: MeasuredGate| {
        gates.retain(|other| other.name != gate.name);
        gates.push(gate);
    };
    for (name, Located { value: file, at }) in &files.prometheus {
        add(prometheus(
            &named("prometheus", name, *at)?,
            file,
            *at,
            environment,
        )?);
    }
    for (name, Located { value: file, at }) in &files.webhook {
        add(webhook(&named("webhook", name, *at)?, file, environment)?);
    }
    for (name, Located { value: file, at }) in &files.command {
        add(command(
            &named("command", name, *at)?,
            file,
            *at,
            environment,
        )?);
    }
    Ok(())
}

fn named(kind: &str, name: &str, at: Position) -> Result<String, PlanError> {
    let shape = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(shape) {
        let why =
            format!("`{name}` is no name of a gate: use a-z, 0-9 and -, at most {NAME_BYTES_MAX}");
        return Err(PlanError::at(at, why));
    }
    Ok(format!("{kind} {name}"))
}

fn prometheus(
    name: &str,
    file: &PrometheusFile,
    at: Position,
    environment: Environment<'_>,
) -> Result<MeasuredGate, PlanError> {
    let number = |text: &Text| parse(text, environment, Number::parse);
    let limit = match (&file.max, &file.min) {
        (Some(max), None) => ValueLimit::AtMost(number(max)?),
        (None, Some(min)) => ValueLimit::AtLeast(number(min)?),
        _ => {
            return Err(
                PlanError::at(at, "the gate needs `max` or `min`, and only one of them")
                    .remedy("For both limits write two gates"),
            );
        }
    };
    let query = plain(&file.query, environment)?;
    if query.trim().is_empty() || query.len() > QUERY_BYTES_MAX {
        let why = format!("a query has 1 to {QUERY_BYTES_MAX} bytes");
        return Err(PlanError::at(file.query.at, why)
            .remedy("Give a longer one a name in Prometheus' rules, and ask for that"));
    }
    let source = GateSource::Prometheus(PrometheusQuery {
        server: parse(&file.server, environment, address)?,
        headers: headers(&file.headers, environment)?,
        query,
        limit,
        max_age: max_age(file.max_age.as_ref())?,
    });
    let common = Common {
        every: file.every.as_ref(),
        held_for: file.held_for.as_ref(),
        timeout: file.timeout.as_ref(),
        on_fail: file.on_fail,
        unmeasured_max: file.unmeasured_max.as_ref(),
        dry_run: file.dry_run,
    };
    common.gate(name, source, (OnFail::Undo, HELD_FOR))
}

fn max_age(text: Option<&Text>) -> Result<Duration, PlanError> {
    let age = time_or(text, MAX_AGE)?;
    match text {
        Some(text) if age < EVERY_MIN => Err(PlanError::at(
            text.at,
            "no sample is ever as recent as that",
        )
        .remedy("Write 1s at least, and no less than the interval of scrapes")),
        _ => Ok(age),
    }
}

fn webhook(
    name: &str,
    file: &WebhookFile,
    environment: Environment<'_>,
) -> Result<MeasuredGate, PlanError> {
    let metadata = file.metadata.iter().map(|(key, text)| {
        let value = plain(text, environment)?;
        Ok((key.clone(), value))
    });
    let namespace = file.namespace.as_ref();
    let source = GateSource::Webhook(Webhook {
        url: parse(&file.url, environment, address)?,
        headers: headers(&file.headers, environment)?,
        namespace: namespace.map_or(Ok("default".to_owned()), |text| plain(text, environment))?,
        metadata: metadata.collect::<Result<_, PlanError>>()?,
    });
    let common = Common {
        every: file.every.as_ref(),
        held_for: file.held_for.as_ref(),
        timeout: file.timeout.as_ref(),
        on_fail: file.on_fail,
        unmeasured_max: file.unmeasured_max.as_ref(),
        dry_run: file.dry_run,
    };
    common.gate(name, source, (OnFail::Wait, Duration::ZERO))
}

fn command(
    name: &str,
    file: &CommandFile,
    at: Position,
    environment: Environment<'_>,
) -> Result<MeasuredGate, PlanError> {
    let words = file.run.iter().map(|text| plain(text, environment));
    let words = words.collect::<Result<Vec<_>, _>>()?;
    if words.first().is_none_or(String::is_empty) || words.iter().any(|word| word.contains('\0')) {
        return Err(PlanError::at(at, "there is nothing to run").remedy(
            "Write the program and its arguments as a list: run: [./contract-tests, --quiet]",
        ));
    }
    let common = Common {
        every: file.every.as_ref(),
        held_for: file.held_for.as_ref(),
        timeout: file.timeout.as_ref(),
        on_fail: file.on_fail,
        unmeasured_max: file.unmeasured_max.as_ref(),
        dry_run: file.dry_run,
    };
    common.gate(
        name,
        GateSource::Command(words),
        (OnFail::Wait, Duration::ZERO),
    )
}

impl Common<'_> {
    fn gate(
        self,
        name: &str,
        source: GateSource,
        (on_fail, held_for): (OnFail, Duration),
    ) -> Result<MeasuredGate, PlanError> {
        let at_least = |text: Option<&Text>, default, least: Duration, why: &str| {
            let time = time_or(text, default)?;
            match text {
                Some(text) if time < least => Err(PlanError::at(text.at, why)),
                _ => Ok(time),
            }
        };
        let every = at_least(self.every, EVERY, EVERY_MIN, "`every` is 1s at least")?;
        let timeout = time_or(self.timeout, TIMEOUT)?;
        if let Some(text) = self.timeout.filter(|_| timeout > TIMEOUT_MAX) {
            return Err(PlanError::at(text.at, "`timeout` is 1h at most"));
        }
        // Once is not for any time.
        let wrong = "`for` is shorter than `every`: in that time nobody asks";
        let remedy = "Raise `for`, ask more often, or leave `for` out";
        let held_for = at_least(self.held_for, held_for, every, wrong)
            .map_err(|error| error.remedy(remedy))?;
        let held_for = match self.held_for {
            None if !held_for.is_zero() => held_for.max(every),
            _ => held_for,
        };
        // An answer that is under way is not missing.
        let wrong = "`unmeasured-max` is shorter than `every` or `timeout`: the step would be \
                     taken back while it waits for an answer";
        let unmeasured_max = self
            .unmeasured_max
            .map(|text| {
                let least = every.max(timeout);
                at_least(Some(text), least, least, wrong)
                    .map_err(|error| error.remedy(format!("Write {} at least", Length(least))))
            })
            .transpose()?;
        Ok(MeasuredGate {
            name: name.to_owned(),
            source,
            every,
            held_for,
            timeout,
            on_fail: self.on_fail.unwrap_or(on_fail),
            unmeasured_max,
            dry_run: self.dry_run,
        })
    }
}

/// The text is not repeated in an error: there may be a password in it.
fn address(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("it is no address: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err("it is no address: write http://host:port or https://host".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            "the address holds a name or a password, and addresses are shown: write \
             `headers: { authorization: \"Basic ${CREDENTIALS}\" }`"
                .to_owned(),
        );
    }
    Ok(url)
}

fn headers(
    file: &BTreeMap<String, Text>,
    environment: Environment<'_>,
) -> Result<Vec<(String, Secret)>, PlanError> {
    let header = |(name, text): (&String, &Text)| {
        let name = header_name(name).map_err(|why| PlanError::at(text.at, why))?;
        let value = parse(text, environment, |text| {
            let is_plain = text
                .bytes()
                .all(|byte| byte == b'\t' || (32..127).contains(&byte));
            if !is_plain {
                return Err("a header's value has visible characters only".to_owned());
            }
            Secret::new(text)
        })?;
        Ok((name, value))
    };
    file.iter().map(header).collect()
}
