//! What people and programs get to see of the gateway: `gateway.access-log`,
//! `tracing`, `metrics` and `status`.

use crate::base::{Environment, Located, Percent, PlanError, Text, parse, plain};
use schemars::JsonSchema;
use serde::Deserialize;
use std::path::PathBuf;
use url::Url;

/// Where OTLP's receivers take traces.
const TRACES_PATH: &str = "/v1/traces";

/// What one span in a hundred costs is not felt, and enough to see a pattern.
const SAMPLE: u16 = 100;

/// What the gateway's spans come from, where the plan names nothing else.
const SERVICE_NAME: &str = "banyan-gateway";

/// One line for each request.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct AccessLogFile {
    /// A file, which is opened again when it was renamed, or `stdout`.
    path: Text,
    /// `json`: one document a line, the only format so far.
    #[serde(default)]
    format: Option<Located<FormatFile>>,
    /// Log queries, too (default false): they may hold secrets.
    #[serde(default)]
    query: bool,
}

/// How a line is written.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FormatFile {
    /// One document a line.
    Json,
}

/// Spans for a tracing system.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TracingFile {
    /// Where OTLP over HTTP is taken, `http://host:4318`.
    endpoint: Text,
    /// Share of the traces begun here that are exported (default 1%). Of
    /// others, who began them has decided.
    #[serde(default)]
    sample: Option<Text>,
    /// What the spans come from (default banyan-gateway).
    #[serde(default)]
    service_name: Option<Text>,
}

/// What metrics hold.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct MetricsFile {
    /// Keep native histograms beside the classic ones (default false): for a
    /// Prometheus that asks for its protobuf format.
    #[serde(default)]
    native_histograms: bool,
}

/// Pages of the gateway's own, answered before any route.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct StatusFile {
    /// Where it says how its upstreams are, such as `/health`.
    #[serde(default)]
    health: Option<Text>,
    /// Further paths where it says so: what callers of the monolith know.
    #[serde(default)]
    health_also: Vec<Text>,
    /// Where it lists them, such as `/registry`; with the operators' key only,
    /// where GATEWAY_API_KEY is set.
    #[serde(default)]
    registry: Option<Text>,
}

/// What people and programs get to see.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Observe {
    /// One line for each request.
    pub access_log: Option<AccessLog>,
    /// Spans for a tracing system.
    pub tracing: Option<Tracing>,
    /// Whether there are native histograms.
    pub native_histograms: bool,
    /// Pages of the gateway's own.
    pub status: StatusPages,
}

/// One line for each request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessLog {
    /// Where the lines go.
    pub to: LogTarget,
    /// Whether queries are part of them.
    pub query: bool,
}

/// Where lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogTarget {
    /// To standard output.
    Stdout,
    /// To the end of a file.
    File(PathBuf),
}

/// Spans for a tracing system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tracing {
    /// Where they are sent.
    pub endpoint: Url,
    /// The share of the traces begun here that are.
    pub sample: Percent,
    /// What they come from.
    pub service_name: String,
}

/// Where the gateway's own pages are, if anywhere.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StatusPages {
    /// How the upstreams are.
    pub health: Vec<String>,
    /// Which there are.
    pub registry: Option<String>,
}

/// Takes the four sections.
pub(crate) fn resolve(
    access_log: Option<AccessLogFile>,
    tracing: Option<TracingFile>,
    metrics: Option<&MetricsFile>,
    status: Option<StatusFile>,
    environment: Environment<'_>,
) -> Result<Observe, PlanError> {
    let log = |file: AccessLogFile| {
        let (None | Some(FormatFile::Json)) = file.format.map(|format| format.value);
        Ok(AccessLog {
            to: parse(&file.path, environment, target)?,
            query: file.query,
        })
    };
    let page = |text: Option<Text>| text.map(|text| parse(&text, environment, page)).transpose();
    Ok(Observe {
        access_log: access_log.map(log).transpose()?,
        tracing: tracing.map(|file| spans(&file, environment)).transpose()?,
        native_histograms: metrics.is_some_and(|file| file.native_histograms),
        status: match status {
            None => StatusPages::default(),
            Some(file) => StatusPages {
                health: file
                    .health
                    .into_iter()
                    .chain(file.health_also)
                    .map(|text| parse(&text, environment, self::page))
                    .collect::<Result<_, _>>()?,
                registry: page(file.registry)?,
            },
        },
    })
}

fn target(text: &str) -> Result<LogTarget, String> {
    match text {
        "" => Err("there is no path; write a file's, or stdout".to_owned()),
        "stdout" => Ok(LogTarget::Stdout),
        path => Ok(LogTarget::File(PathBuf::from(path))),
    }
}

fn spans(file: &TracingFile, environment: Environment<'_>) -> Result<Tracing, PlanError> {
    let sample = Percent::from_basis_points(SAMPLE).unwrap_or(Percent::ZERO);
    Ok(Tracing {
        endpoint: parse(&file.endpoint, environment, endpoint)?,
        sample: match &file.sample {
            Some(text) => parse(text, environment, Percent::parse)?,
            None => sample,
        },
        service_name: match &file.service_name {
            Some(text) => plain(text, environment)?,
            None => SERVICE_NAME.to_owned(),
        },
    })
}

fn endpoint(text: &str) -> Result<Url, String> {
    let wrong = |why: &str| {
        format!("`{text}` is no receiver of traces: {why}; write http://host:4318, of a collector")
    };
    let mut url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
    if url.scheme() != "http" || url.host_str().is_none() {
        return Err(wrong("only http:// is spoken"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("it holds a name or a password"));
    }
    if matches!(url.path(), "" | "/") {
        url.set_path(TRACES_PATH);
    }
    Ok(url)
}

/// The path of a page: as it is compared, byte by byte.
fn page(text: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
    if text.starts_with('/') && text.bytes().all(plain) {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "`{text}` is no page: write a path of letters, digits, - and _, such as /health"
        ))
    }
}
