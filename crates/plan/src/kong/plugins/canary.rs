//! Kong's plugin canary: a share of a route's requests goes elsewhere.
//!
//! Where that is becomes an upstream of its own, called as the route or the
//! service with the plugin and `-canary`, with its service's patience.

use crate::{
    base::{Node, Percent, PlanError, Position, ServiceName, UpstreamUrl, header_name},
    gateway_route::{Canary, CanaryKey, CanaryShare, Destination},
    kong::tree::Map,
    upstream::Upstream,
};
use std::{collections::BTreeMap, time::Duration};

/// Kong's own, of a canary that rises.
const STEPS: u64 = 1000;
const SECONDS: u64 = 3600;

/// The plugin as it is written.
#[derive(Debug, Clone)]
pub(crate) struct CanaryPlugin {
    at: Position,
    share: CanaryShare,
    by: CanaryKey,
    host: Option<String>,
    port: Option<u16>,
    path: Option<String>,
    header: Option<String>,
}

/// What a plugin takes requests from.
pub(crate) struct Primary<'a> {
    /// Of the route or the service that has the plugin, as names are here.
    pub(crate) name: String,
    pub(crate) service: &'a ServiceName,
    pub(crate) upstream: &'a Upstream,
}

/// The upstreams of all canaries.
#[derive(Debug, Default)]
pub(crate) struct Canaries {
    pub(crate) upstreams: BTreeMap<ServiceName, Upstream>,
}

impl Canaries {
    /// Takes a plugin, and the upstream that it needs. One plugin of a service
    /// comes here once for each of its routes.
    pub(crate) fn add(
        &mut self,
        plugin: &CanaryPlugin,
        of: &Primary<'_>,
    ) -> Result<Canary, PlanError> {
        let wrong = |why: String| PlanError::at(plugin.at, why);
        let to = if plugin.host.is_none() && plugin.port.is_none() {
            of.service.clone()
        } else {
            let primary = &of.upstream.url;
            let host = plugin.host.as_deref().unwrap_or(&primary.host);
            let port = plugin.port.unwrap_or(primary.port);
            let url = UpstreamUrl::parse(&format!("http://{host}:{port}")).map_err(wrong)?;
            let name = ServiceName::new(&format!("{}-canary", of.name)).map_err(wrong)?;
            let upstream = Upstream {
                url: url.clone(),
                ..of.upstream.clone()
            };
            let other = self.upstreams.insert(name.clone(), upstream);
            if other.is_some_and(|other| other.url != url) {
                return Err(wrong(format!("two canaries are called `{name}` here"))
                    .remedy("Rename the route or the service"));
            }
            name
        };
        Ok(Canary {
            share: plugin.share,
            by: plugin.by.clone(),
            to: Destination::Service(to),
            path: plugin.path.clone(),
            header: plugin.header.clone(),
        })
    }
}

impl CanaryPlugin {
    /// Reads its `config`.
    pub(crate) fn read(map: &mut Map) -> Result<Self, PlanError> {
        map.only_flag(
            "upstream_fallback",
            false,
            "A failed request is not repeated elsewhere",
        )?;
        let at = map.at;
        let share = share(map)?;
        let by = key(map)?;
        let header = map.text("canary_by_header_name")?;
        let port = map.whole("upstream_port")?;
        let plugin = Self {
            at,
            share,
            by,
            host: map.text("upstream_host")?.map(|host| host.value),
            port: port
                .map(|port| {
                    u16::try_from(port.value)
                        .map_err(|_| PlanError::at(port.at, "`upstream_port` is no port"))
                })
                .transpose()?,
            path: map.text("upstream_uri")?.map(|path| path.value),
            header: header
                .map(|name| header_name(&name.value).map_err(|why| PlanError::at(name.at, why)))
                .transpose()?,
        };
        if plugin.host.is_none() && plugin.port.is_none() && plugin.path.is_none() {
            return Err(PlanError::at(at, "plugin `canary` goes nowhere else")
                .remedy("Add upstream_host, upstream_port or upstream_uri"));
        }
        let is_path = |path: &String| {
            let plain = |byte: u8| byte.is_ascii_graphic() && !b"?#".contains(&byte);
            path.starts_with('/') && path.bytes().all(plain)
        };
        if !plugin.path.as_ref().is_none_or(is_path) {
            return Err(PlanError::at(
                at,
                "`upstream_uri` is no path that starts with /",
            ));
        }
        Ok(plugin)
    }
}

fn key(map: &mut Map) -> Result<CanaryKey, PlanError> {
    let at = map.at_of("hash");
    let header = map.text("hash_header")?;
    match map.text("hash")?.map(|hash| hash.value).as_deref() {
        None | Some("consumer") => Ok(CanaryKey::Consumer),
        Some("ip") => Ok(CanaryKey::Address),
        Some("none") => Ok(CanaryKey::Random),
        Some("header") => {
            let name = header.ok_or_else(|| PlanError::at(at, "`hash_header` is missing"))?;
            let name = header_name(&name.value).map_err(|why| PlanError::at(name.at, why))?;
            Ok(CanaryKey::Header(name))
        }
        Some(other) => Err(
            PlanError::at(at, format!("`hash: {other}` is not supported"))
                .remedy("Write consumer, ip, header or none"),
        ),
    }
}

fn share(map: &mut Map) -> Result<CanaryShare, PlanError> {
    let start = map.whole("start")?;
    let duration = map.whole("duration")?;
    let steps = map.whole("steps")?;
    let fixed = map.take("percentage").map(|node| {
        let text = match node.value {
            Node::Whole(number) => format!("{number}%"),
            Node::Fraction(number) => format!("{number}%"),
            _ => String::new(),
        };
        Percent::parse(&text).map_err(|why| PlanError::at(node.at, why))
    });
    match (fixed.transpose()?, start) {
        (Some(share), _) => Ok(CanaryShare::Fixed(share)),
        (None, Some(start)) => Ok(CanaryShare::Rising {
            start: start.value,
            duration: Duration::from_secs(duration.map_or(SECONDS, |time| time.value)),
            steps: steps
                .map_or(STEPS, |steps| steps.value)
                .try_into()
                .unwrap_or(u32::MAX),
        }),
        (None, None) => Err(PlanError::at(
            map.at,
            "plugin `canary` has no `percentage` and no `start`",
        )
        .remedy("Write the percentage, or when it begins, in seconds since 1970")),
    }
}
