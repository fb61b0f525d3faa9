//! Kong's services.

use super::{plugins::Plugins, top_level_plugins::TopLevelPlugins, tree::Map};
use crate::{
    access::LimitsStore,
    base::{Environment, PlanError, ServiceName, Text, UpstreamUrl},
    upstream::{ATTEMPTS_MAX, Timeouts, Upstream, plain},
};
use std::time::Duration;
use url::Url;

/// What to do about a key that is not known.
pub(super) const UNKNOWN: &str = "Take it out, or keep Kong behind the gateway for this service";

/// Kong's own, in milliseconds.
const TIMEOUT: u64 = 60_000;

/// Kong's own.
const RETRIES: u32 = 5;

/// Nobody waits longer, and a mistaken unit is found.
const TIMEOUT_MAX: u64 = 24 * 3_600_000;

/// A service, and what its routes take from it.
pub(super) struct Service {
    /// Its name in the file.
    pub(super) name: String,
    /// Its name here.
    pub(super) own: ServiceName,
    pub(super) upstream: Upstream,
    /// The path in front of its routes' own.
    pub(super) base: String,
    pub(super) plugins: Plugins,
}

pub(super) fn read(
    mut map: Map,
    defaults: Timeouts,
    environment: Environment<'_>,
    top_level: &mut TopLevelPlugins,
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
    .and(top_level.of_service(&name))?;
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
pub(super) fn plain_name(name: &str) -> String {
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
        let text = |found: Option<Text>| found.map(|text| text.value);
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
