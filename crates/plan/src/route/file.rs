//! Routes as they are written, and their checks.

use super::{
    HeaderMatch, HostPattern, KindRule, MethodKind, Operations, Route, operation::OperationFile,
};
use crate::{
    base::{
        Environment, Located, PathPattern, PlanError, Text, Toggle, header_name, http_token, parse,
        plain,
    },
    upstream::{RouteTimeoutsFile, route_timeouts},
};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// A set of requests.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteFile {
    /// `/x` for exactly this path, `/x/*` for it and all below it, `/x/{id}`
    /// for one more segment.
    pub(crate) path: Text,
    /// Methods; all when left out. With GET goes HEAD.
    #[serde(default)]
    pub(crate) methods: Option<Vec<Text>>,
    /// Host name, or `*.example.org`; all when left out.
    #[serde(default)]
    pub(crate) host: Option<Text>,
    /// Headers that must be there, with their values; `*` is any value.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, Text>,
    /// What its requests are taken for; by their methods when left out.
    #[serde(default, rename = "as")]
    pub(crate) kind: Option<KindFile>,
    /// Which of the operations that share this path; all when left out.
    #[serde(default)]
    pub(crate) operation: Option<Located<OperationFile>>,
    /// Whether a body that comes without a length (in chunks) is read to its end
    /// first, and sent with one (default on). `off` for streams; to WSGI such a
    /// body is then empty. gRPC is never read first.
    #[serde(default)]
    pub(crate) buffering: Option<Toggle>,
    /// How long its requests may take, where that differs.
    #[serde(default)]
    pub(crate) timeouts: RouteTimeoutsFile,
}

/// What requests are taken for.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KindFile {
    /// They change nothing, whatever their method.
    Reads,
    /// They may change data, whatever their method.
    Writes,
    /// They change none of the data that move, but have an effect of their own,
    /// such as a login: they go where reads go, and are not sent again.
    ReadsOnce,
}

/// The route of one entry.
pub(crate) fn resolve(file: RouteFile, environment: Environment<'_>) -> Result<Route, PlanError> {
    let method =
        |one: &Text| parse(one, environment, http_token).map(|text| text.to_ascii_uppercase());
    let methods = file
        .methods
        .map(|all| all.iter().map(method).collect::<Result<_, _>>())
        .transpose()?;
    let host = file
        .host
        .map(|one| parse(&one, environment, HostPattern::parse))
        .transpose()?;
    let header = |(name, value): (String, Text)| {
        let name = header_name(&name).map_err(|why| PlanError::at(value.at, why))?;
        let value = plain(&value, environment)?;
        Ok(HeaderMatch {
            name,
            value: Some(value).filter(|value| value != "*"),
        })
    };
    if let (Some(KindFile::ReadsOnce), Some(operation)) = (file.kind, &file.operation) {
        let why = "`as: reads-once` is for a whole path: operations that come together may be sent \
                   again together";
        return Err(PlanError::at(operation.at, why));
    }
    Ok(Route {
        path: parse(&file.path, environment, PathPattern::parse)?,
        methods,
        host,
        headers: file
            .headers
            .into_iter()
            .map(header)
            .collect::<Result<_, _>>()?,
        kind: match file.kind {
            None => KindRule::ByMethod,
            Some(KindFile::Reads) => KindRule::Always(MethodKind::Read),
            Some(KindFile::Writes) => KindRule::Always(MethodKind::Write),
            Some(KindFile::ReadsOnce) => KindRule::ReadsOnce,
        },
        operations: file
            .operation
            .map(|operation| Operations::resolve(operation, environment))
            .transpose()?,
        buffers: file.buffering.is_none_or(Toggle::is_on),
        timeouts: route_timeouts(&file.timeouts)?,
    })
}
