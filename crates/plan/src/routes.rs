//! Routes and what traffic is split by, from the file to checked values.

use crate::{
    CohortKey, Destination, Force, GatewayRoute, HeaderMatch, HostPattern, KindRule, MethodKind,
    Operations, PathPattern, PlanError, Policies, ReadYourWrites, Rewrite, Route, Secret,
    ServiceName, Upstream, flags,
    located::Located,
    operation::OperationFile,
    own_writes::{self, ReadYourWritesFile},
    policy::{self, file::PoliciesFile},
    resolve::{Environment, parse, token},
};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

type Text = Located<String>;

/// A set of requests.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteFile {
    /// `/x` for exactly this path, `/x/*` for it and all below it, `/x/{id}`
    /// for one more segment.
    pub(crate) path: Text,
    /// Methods; all when left out.
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

/// A route that belongs to no extraction.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct GatewayRouteFile {
    /// `monolith`, or the name of a service.
    pub(crate) to: Text,
    /// As in the routes of extractions.
    pub(crate) path: Text,
    /// As in the routes of extractions.
    #[serde(default)]
    pub(crate) methods: Option<Vec<Text>>,
    /// As in the routes of extractions.
    #[serde(default)]
    pub(crate) host: Option<Text>,
    /// As in the routes of extractions.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, Text>,
    /// As in the routes of extractions.
    #[serde(default, rename = "as")]
    pub(crate) kind: Option<KindFile>,
    /// As in the routes of extractions.
    #[serde(default)]
    pub(crate) operation: Option<Located<OperationFile>>,
    /// Take away the part of the path that `path` spells out (default false).
    #[serde(default)]
    pub(crate) strip_path: bool,
    /// Put this in front of the path.
    #[serde(default)]
    pub(crate) prefix: Option<Text>,
    /// Send the client's `Host` rather than the upstream's (default true).
    #[serde(default)]
    pub(crate) preserve_host: Option<bool>,
    /// What is demanded of its requests.
    #[serde(default)]
    pub(crate) policies: Option<PoliciesFile>,
}

/// How traffic is shifted.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RolloutFile {
    /// What a client is known by.
    pub(crate) key: Located<KeyFile>,
    /// How testers choose a side themselves.
    #[serde(default)]
    pub(crate) force: Option<ForceFile>,
    /// What clients bring back, so that every gateway shows them what they
    /// wrote. Whoever does not bring it back reads from the owner.
    #[serde(default)]
    pub(crate) read_your_writes: Option<Located<ReadYourWritesFile>>,
    /// A feature flag that chooses a side for a user's reads, and for the
    /// writes where both sides share the data: in `gateway.flags`, by what
    /// clients are known by.
    #[serde(default)]
    pub(crate) flag: Option<Text>,
}

/// How traffic is shifted.
pub(crate) struct Rollout {
    pub(crate) key: CohortKey,
    pub(crate) force: Option<Force>,
    pub(crate) read_your_writes: Option<Located<ReadYourWrites>>,
    pub(crate) flag: Option<String>,
}

/// What a client is known by: exactly one of these.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum KeyFile {
    /// The value of a request header.
    Header(Text),
    /// The value of a cookie.
    Cookie(Text),
    /// A parameter of the routes' paths.
    Path(Text),
    /// A parameter of the query.
    Query(Text),
    /// The client's address.
    Address,
    /// A claim of its JSON web token, which `jwt` must demand of the
    /// extraction's requests.
    Claim(Text),
}

/// How testers choose a side for their reads, and for their writes where both
/// sides share the data.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ForceFile {
    /// A header: `always` for the service, `never` for the monolith.
    pub(crate) header: Text,
    /// What the header of that name and `-key` must hold.
    pub(crate) key: Text,
}

/// The route of one entry.
pub(crate) fn route(file: RouteFile, environment: Environment<'_>) -> Result<Route, PlanError> {
    let method = |one: &Text| parse(one, environment, token).map(|text| text.to_ascii_uppercase());
    let methods = file
        .methods
        .map(|all| all.iter().map(method).collect::<Result<_, _>>())
        .transpose()?;
    let host = file
        .host
        .map(|one| parse(&one, environment, HostPattern::parse))
        .transpose()?;
    let header = |(name, value): (String, Text)| {
        let name = token(&name).map_err(|why| PlanError::at(value.at, why))?;
        let value = parse(&value, environment, |text| Ok(text.to_owned()))?;
        Ok(HeaderMatch {
            name: name.to_ascii_lowercase(),
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
    })
}

/// The routes beside those of the extractions.
pub(crate) fn gateway_routes(
    file: BTreeMap<String, Located<GatewayRouteFile>>,
    services: &BTreeMap<ServiceName, Upstream>,
    environment: Environment<'_>,
) -> Result<Vec<GatewayRoute>, PlanError> {
    file.into_iter()
        .map(|(name, located)| gateway_route(name, located, services, environment))
        .collect()
}

fn gateway_route(
    name: String,
    located: Located<GatewayRouteFile>,
    services: &BTreeMap<ServiceName, Upstream>,
    environment: Environment<'_>,
) -> Result<GatewayRoute, PlanError> {
    let Located { value: file, at } = located;
    // The same letters as other names that end up in metrics and commands.
    ServiceName::new(&name).map_err(|why| PlanError::at(at, why))?;
    let prefix = file
        .prefix
        .map(|text| parse(&text, environment, prefix))
        .transpose()?;
    Ok(GatewayRoute {
        to: destination(&file.to, services, environment)?,
        route: route(
            RouteFile {
                path: file.path,
                methods: file.methods,
                host: file.host,
                headers: file.headers,
                kind: file.kind,
                operation: file.operation,
            },
            environment,
        )?,
        rewrite: Rewrite {
            strip: file.strip_path,
            prefix: prefix.unwrap_or_default(),
        },
        preserve_host: file.preserve_host.unwrap_or(true),
        policies: match file.policies {
            Some(policies) => policy::resolve(policies, &format!("route:{name}"), environment)?,
            None => Policies::default(),
        },
        canary: None,
        name,
    })
}

fn destination(
    text: &Text,
    services: &BTreeMap<ServiceName, Upstream>,
    environment: Environment<'_>,
) -> Result<Destination, PlanError> {
    let name = parse(text, environment, |text| Ok(text.to_owned()))?;
    if name == "monolith" {
        return Ok(Destination::Monolith);
    }
    let service = ServiceName::new(&name).map_err(|why| PlanError::at(text.at, why))?;
    if !services.contains_key(&service) {
        return Err(
            PlanError::at(text.at, format!("there is no service `{service}`"))
                .remedy("Add it under `services:`, or write `monolith`"),
        );
    }
    Ok(Destination::Service(service))
}

fn prefix(text: &str) -> Result<String, String> {
    match PathPattern::parse(text)? {
        PathPattern::Exact(path) => Ok(path),
        _ => Err(format!(
            "`{text}` is no prefix: write a path without * or {{}}"
        )),
    }
}

/// What clients are known by, and how testers choose.
pub(crate) fn rollout(
    file: Option<RolloutFile>,
    routes: &[Route],
    environment: Environment<'_>,
) -> Result<Rollout, PlanError> {
    let Some(file) = file else {
        return Ok(Rollout {
            key: CohortKey::None,
            force: None,
            read_your_writes: None,
            flag: None,
        });
    };
    let force = file
        .force
        .map(|force| {
            Ok(Force {
                header: parse(&force.header, environment, token)?.to_ascii_lowercase(),
                key: parse(&force.key, environment, Secret::new)?,
            })
        })
        .transpose()?;
    let any = |text: &str| {
        (!text.is_empty())
            .then(|| text.to_owned())
            .ok_or_else(|| "a name is missing".to_owned())
    };
    let key = match &file.key.value {
        KeyFile::Header(name) => {
            CohortKey::Header(parse(name, environment, token)?.to_ascii_lowercase())
        }
        KeyFile::Cookie(name) => CohortKey::Cookie(parse(name, environment, token)?),
        KeyFile::Query(name) => CohortKey::Query(parse(name, environment, any)?),
        KeyFile::Address => CohortKey::Address,
        KeyFile::Claim(name) => CohortKey::Claim(parse(name, environment, any)?),
        KeyFile::Path(text) => {
            let name = parse(text, environment, any)?;
            if let Some(route) = routes.iter().find(|route| !route.path.has_parameter(&name)) {
                let message = format!("the route `{}` has no parameter {{{name}}}", route.path);
                return Err(PlanError::at(text.at, message).remedy(
                    "Every route of the extraction needs the one that clients are known by",
                ));
            }
            CohortKey::Path(name)
        }
    };
    let read_your_writes = file
        .read_your_writes
        .map(|file| {
            let at = file.at;
            own_writes::resolve(file, &key, environment).map(|value| Located { value, at })
        })
        .transpose()?;
    let flag = file.flag;
    let flag = flag.map(|text| parse(&text, environment, flags::name));
    Ok(Rollout {
        key,
        force,
        read_your_writes,
        flag: flag.transpose()?,
    })
}
