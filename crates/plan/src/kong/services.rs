//! Kong's services and routes.

use super::{
    canary::{self, Canaries},
    consumers::reference,
    plugins::{Loose, Plugins},
    tree::{Map, Node},
};
use crate::{
    Destination, GatewayRoute, HeaderMatch, HostPattern, KindRule, LimitsStore, PathPattern,
    PlanError, Policies, Rewrite, Route, ServiceName, Timeouts, Upstream, UpstreamUrl,
    located::{Located, Position},
    policy::header_name,
    resolve::{Environment, token},
    upstream::{ATTEMPTS_MAX, plain},
};
use std::{collections::BTreeMap, time::Duration};
use url::Url;

const UNKNOWN: &str = "Take it out, or keep Kong behind the gateway for this service";

/// Kong's own, in milliseconds.
const TIMEOUT: u64 = 60_000;

/// Kong's own.
const RETRIES: u32 = 5;

/// A route of more paths, hosts and headers' values is looked through too long.
const WAYS_MAX: usize = 1000;

/// Nobody waits longer, and a mistaken unit is found.
const TIMEOUT_MAX: u64 = 24 * 3_600_000;

struct Service {
    /// Its name in the file.
    name: String,
    /// Its name here.
    own: ServiceName,
    upstream: Upstream,
    base: String,
    plugins: Plugins,
}

/// Upstreams and routes.
type Found = (BTreeMap<ServiceName, Upstream>, Vec<GatewayRoute>);

/// Reads all services and routes. A route with several paths, hosts or values of
/// a header becomes several of one name, one for each way to meet it.
pub(crate) fn read(
    file: &mut Map,
    timeouts: Timeouts,
    environment: Environment<'_>,
    loose: &mut Loose,
    store: &mut Option<LimitsStore>,
) -> Result<Found, PlanError> {
    let mut services = BTreeMap::new();
    let mut routes = Vec::new();
    for node in file.list("services")?.unwrap_or_default() {
        let mut map = Map::of(node, "a service")?;
        let at = map.at;
        let nested = map.list("routes")?.unwrap_or_default();
        let service = service(map, timeouts, environment, loose, store)?;
        routes.extend(
            nested
                .into_iter()
                .map(|node| (Some(service.name.clone()), node)),
        );
        let name = service.name.clone();
        if services.insert(name.clone(), service).is_some() {
            return Err(PlanError::at(
                at,
                format!("service `{name}` is there twice"),
            ));
        }
    }
    let beside = file.list("routes")?.unwrap_or_default();
    routes.extend(beside.into_iter().map(|node| (None, node)));
    let mut all = Vec::new();
    let mut around = Around {
        services: &services,
        environment,
        loose,
        store,
        canaries: Canaries::default(),
    };
    for (number, (owner, node)) in (1..).zip(routes) {
        let map = Map::of(node, "a route")?;
        all.extend(route(map, owner, number, &mut around)?);
    }
    let canaries = around.canaries;
    let mut upstreams = BTreeMap::new();
    let own = services.into_values();
    let own = own.map(|service| (service.own, service.upstream));
    for (name, upstream) in own.chain(canaries.upstreams) {
        if upstreams.insert(name.clone(), upstream).is_some() {
            return Err(
                PlanError::whole(format!("two services are called `{name}` here"))
                    .remedy("Rename one: capitals, dots and underscores are not told apart"),
            );
        }
    }
    Ok((upstreams, all))
}

fn service(
    mut map: Map,
    defaults: Timeouts,
    environment: Environment<'_>,
    loose: &mut Loose,
    store: &mut Option<LimitsStore>,
) -> Result<Service, PlanError> {
    map.pass_over();
    let Some(name) = map.text("name")? else {
        return Err(PlanError::at(map.at, "a service has no `name`"));
    };
    let own =
        ServiceName::new(&plain_name(&name.value)).map_err(|why| PlanError::at(name.at, why))?;
    let name = name.value;
    map.what = format!("service `{name}`");
    map.only_flag("enabled", true, "Take the service out")?;
    let (url, base) = address(&mut map)?;
    let connect = milliseconds(&mut map, "connect_timeout")?;
    let write = milliseconds(&mut map, "write_timeout")?;
    let read = milliseconds(&mut map, "read_timeout")?;
    let timeouts = Timeouts {
        connect,
        first_byte: read.max(write),
        idle: read,
        ..defaults
    };
    let upstream = plain(url, timeouts, attempts(&mut map)?)?;
    let plugins = Plugins::read(
        &mut map,
        &format!("kong:service:{name}"),
        environment,
        store,
    )?
    .and(loose.of_service(&name))?;
    map.finish(UNKNOWN)?;
    Ok(Service {
        name,
        own,
        upstream,
        base,
        plugins,
    })
}

/// A name that services have here.
fn plain_name(name: &str) -> String {
    let plain = |letter: char| match letter.to_ascii_lowercase() {
        fits @ ('a'..='z' | '0'..='9') => fits,
        _ => '-',
    };
    name.chars().map(plain).collect()
}

/// Tries in all, from `retries`.
fn attempts(map: &mut Map) -> Result<u32, PlanError> {
    let Some(retries) = map.whole("retries")? else {
        return Ok(RETRIES + 1);
    };
    u32::try_from(retries.value)
        .ok()
        .and_then(|count| count.checked_add(1))
        .filter(|tries| *tries <= ATTEMPTS_MAX)
        .ok_or_else(|| {
            let most = ATTEMPTS_MAX - 1;
            PlanError::at(retries.at, format!("`retries` is more than {most}"))
                .remedy("So many tries together make an overload worse")
        })
}

fn milliseconds(map: &mut Map, key: &str) -> Result<Duration, PlanError> {
    match map.whole(key)? {
        None => Ok(Duration::from_millis(TIMEOUT)),
        Some(time) if (1..=TIMEOUT_MAX).contains(&time.value) => {
            Ok(Duration::from_millis(time.value))
        }
        Some(time) => Err(PlanError::at(
            time.at,
            format!("`{key}` must be 1 to {TIMEOUT_MAX} milliseconds"),
        )),
    }
}

/// `url`, or its parts.
fn address(map: &mut Map) -> Result<(UpstreamUrl, String), PlanError> {
    let at = map.at;
    let (text, at) = if let Some(url) = map.text("url")? {
        (url.value, url.at)
    } else {
        let text = |found: Option<Located<String>>| found.map(|text| text.value);
        let protocol = text(map.text("protocol")?).unwrap_or_else(|| "http".to_owned());
        let port = map.whole("port")?.map_or(80, |port| port.value);
        let path = text(map.text("path")?).unwrap_or_default();
        let Some(host) = map.text("host")? else {
            let message = format!("{} has no `url` and no `host`", map.what);
            return Err(PlanError::at(at, message));
        };
        (format!("{protocol}://{}:{port}{path}", host.value), host.at)
    };
    let wrong = |why: &str| PlanError::at(at, format!("`{text}` is no upstream: {why}"));
    let url = Url::parse(&text).map_err(|error| wrong(&error.to_string()))?;
    if url.query().is_some() || url.fragment().is_some() || url.password().is_some() {
        return Err(wrong("it has more than a host, a port and a path"));
    }
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return Err(wrong("it has no host"));
    };
    let plain = format!("{}://{host}:{port}", url.scheme());
    let upstream = UpstreamUrl::parse(&plain).map_err(|why| PlanError::at(at, why))?;
    Ok((upstream, url.path().to_owned()))
}

/// What routes are read with.
struct Around<'a> {
    services: &'a BTreeMap<String, Service>,
    environment: Environment<'a>,
    loose: &'a mut Loose,
    store: &'a mut Option<LimitsStore>,
    canaries: Canaries,
}

fn route(
    mut map: Map,
    nested_in: Option<String>,
    number: usize,
    around: &mut Around<'_>,
) -> Result<Vec<GatewayRoute>, PlanError> {
    map.pass_over();
    let name = match map.text("name")? {
        Some(name) => name.value,
        None => format!("route-{number}"),
    };
    map.what = format!("route `{name}`");
    let service = owner(&mut map, nested_in, around.services)?;
    protocols(&mut map)?;
    let at = map.at;
    let paths = map.texts("paths")?.unwrap_or_default();
    let methods = map.texts("methods")?;
    let hosts = map.texts("hosts")?.unwrap_or_default();
    let strip = map.flag("strip_path", true)?;
    let preserve_host = map.flag("preserve_host", false)?;
    handling(&mut map)?;
    let headers = headers(map.map("headers", "`headers`")?)?;
    let scope = format!("kong:route:{name}");
    let plugins = Plugins::read(&mut map, &scope, around.environment, around.store)?
        .and(around.loose.of_route(&name))?;
    let what = map.what.clone();
    map.finish(UNKNOWN)?;
    let hosts = hosts
        .iter()
        .map(|host| HostPattern::parse(&host.value).map_err(|why| PlanError::at(host.at, why)))
        .collect::<Result<Vec<_>, _>>()?;
    let method = |one: &Located<String>| {
        let name = token(&one.value).map_err(|why| PlanError::at(one.at, why))?;
        Ok(name.to_ascii_uppercase())
    };
    let methods: Option<Vec<String>> = methods
        .filter(|all| !all.is_empty())
        .map(|all| all.iter().map(method).collect::<Result<_, PlanError>>())
        .transpose()?;
    let unconditional = headers.iter().all(Vec::is_empty);
    if paths.is_empty() && hosts.is_empty() && unconditional && methods.is_none() {
        return Err(PlanError::at(at, format!("{what} has no condition"))
            .remedy("Add paths, hosts, headers or methods"));
    }
    let canary = match (&plugins.canary, &service.plugins.canary) {
        (Some(own), _) => Some((own, &name)),
        (None, Some(shared)) => Some((shared, &service.name)),
        (None, None) => None,
    };
    let canary = canary
        .map(|(plugin, of)| {
            let of = canary::Primary {
                name: plain_name(of),
                service: &service.own,
                upstream: &service.upstream,
            };
            around.canaries.add(plugin, &of)
        })
        .transpose()?;
    let policies: Policies = plugins.policies.over(&service.plugins.policies);
    let paths = match &paths[..] {
        [] => vec![PathPattern::all()],
        some => some.iter().map(pattern).collect::<Result<Vec<_>, _>>()?,
    };
    let hosts: Vec<Option<HostPattern>> = match hosts.len() {
        0 => vec![None],
        _ => hosts.into_iter().map(Some).collect(),
    };
    let count = paths.len() * hosts.len() * headers.len();
    if count > WAYS_MAX {
        return Err(
            PlanError::at(at, format!("{what} can be met in {count} ways"))
                .remedy(format!("At most {WAYS_MAX} are taken: split it")),
        );
    }
    let mut all = Vec::new();
    for path in paths {
        for host in &hosts {
            for headers in &headers {
                all.push(GatewayRoute {
                    name: name.clone(),
                    route: Route {
                        path: path.clone(),
                        methods: methods.clone(),
                        host: host.clone(),
                        headers: headers.clone(),
                        kind: KindRule::ByMethod,
                        operations: None,
                    },
                    to: Destination::Service(service.own.clone()),
                    rewrite: Rewrite {
                        strip,
                        // Whether the path ends with a slash is the client's choice.
                        prefix: service.base.trim_end_matches('/').to_owned(),
                    },
                    preserve_host,
                    policies: policies.clone(),
                    canary: canary.clone(),
                });
            }
        }
    }
    Ok(all)
}

fn owner<'a>(
    map: &mut Map,
    nested_in: Option<String>,
    services: &'a BTreeMap<String, Service>,
) -> Result<&'a Service, PlanError> {
    let at = map.at;
    let (name, at) = match (reference(map, "service", "name")?, nested_in) {
        (Some(said), _) => (said.value, said.at),
        (None, Some(nested)) => (nested, at),
        (None, None) => {
            return Err(PlanError::at(at, format!("{} has no `service`", map.what))
                .remedy("Routes that only plugins answer are not supported"));
        }
    };
    services.get(&name).ok_or_else(|| {
        PlanError::at(at, format!("there is no service `{name}`"))
            .remedy("Add it under `services:` or correct the name")
    })
}

fn protocols(map: &mut Map) -> Result<(), PlanError> {
    let Some(all) = map.texts("protocols")? else {
        return Ok(());
    };
    let web = |one: &&Located<String>| !matches!(one.value.as_str(), "http" | "https");
    if let Some(other) = all.iter().find(web) {
        let message = format!(
            "protocol `{}` of {} is not supported",
            other.value, map.what
        );
        return Err(PlanError::at(other.at, message).remedy("Write http, or http and https"));
    }
    match &all[..] {
        [only] if only.value == "https" => Err(PlanError::at(
            only.at,
            format!(
                "{} is for https only, which is not told apart here",
                map.what
            ),
        )
        .remedy("Write http and https, and let nobody but TLS reach the gateway")),
        _ => Ok(()),
    }
}

/// What has one meaning here.
fn handling(map: &mut Map) -> Result<(), PlanError> {
    let at = map.at_of("path_handling");
    match map.text("path_handling")? {
        Some(version) if version.value != "v0" => {
            return Err(PlanError::at(at, "`path_handling` is not v0")
                .remedy("Write v0, and the paths that it means"));
        }
        _ => {}
    }
    // It orders regular expressions, of which there are none.
    map.whole("regex_priority")?;
    map.only_flag(
        "request_buffering",
        true,
        "Bodies are passed on as they come, or as they must",
    )?;
    map.only_flag(
        "response_buffering",
        true,
        "Answers are passed on as they come",
    )?;
    let at = map.at_of("https_redirect_status_code");
    match map.whole("https_redirect_status_code")? {
        Some(code) if code.value != 426 => Err(PlanError::at(
            at,
            "`https_redirect_status_code` is not supported",
        )
        .remedy("Take it out: http is not redirected here")),
        _ => Ok(()),
    }
}

/// Every way to meet the headers' conditions: one value of each.
fn headers(map: Map) -> Result<Vec<Vec<HeaderMatch>>, PlanError> {
    let mut all = vec![Vec::new()];
    for (name, node) in map.pairs() {
        let at: Position = name.at.known().unwrap_or(node.at);
        let wrong = |why: String| PlanError::at(at, why);
        let name = header_name(&name.value).map_err(wrong)?;
        let Node::List(list) = node.value else {
            return Err(wrong(format!("header `{name}` has no list of values")));
        };
        if list.is_empty() || all.len() * list.len() > WAYS_MAX {
            return Err(wrong(format!("header `{name}` has no values, or too many")));
        }
        let mut ways = Vec::new();
        for value in list {
            let Node::Text(text) = value.value else {
                return Err(wrong(format!("header `{name}` has no list of texts")));
            };
            if text.starts_with("~*") {
                return Err(PlanError::at(
                    value.at,
                    format!("`{text}` is a regular expression, which is not supported"),
                )
                .remedy("List the values"));
            }
            for known in &all {
                let mut way: Vec<HeaderMatch> = known.clone();
                way.push(HeaderMatch {
                    name: name.clone(),
                    value: Some(text.clone()),
                });
                ways.push(way);
            }
        }
        all = ways;
    }
    Ok(all)
}

/// A path and all below it.
fn pattern(path: &Located<String>) -> Result<PathPattern, PlanError> {
    let text = &path.value;
    if let Some(regex) = text.strip_prefix('~') {
        return Err(PlanError::at(
            path.at,
            format!("`~{regex}` is a regular expression, which is not supported"),
        )
        .remedy("Write the paths that it begins with"));
    }
    let own = text.trim_end_matches('/');
    let pattern = PathPattern::parse(&format!("{own}/*"))
        .map_err(|_| PlanError::at(path.at, format!("`{text}` is no path")))?;
    if !text.starts_with('/') {
        return Err(PlanError::at(
            path.at,
            format!("`{text}` does not start with /"),
        ));
    }
    // `{x}` would be a parameter here, which it is not for Kong.
    if matches!(pattern, PathPattern::Template(_)) {
        return Err(PlanError::at(path.at, format!("`{text}` holds a brace")));
    }
    Ok(pattern)
}
