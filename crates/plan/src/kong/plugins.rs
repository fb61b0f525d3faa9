//! Kong's plugins, as policies.

use super::{
    canary::Plugin,
    consumers::{reference, secret},
    tree::{Map, Node},
};
use crate::{
    ByteSize, Correlation, Cors, Generator, Jwt, Keys, Limit, LimitBy, Limits, LimitsStore,
    OnError, Origin, Origins, Period, PlanError, Policies, Secret, Store,
    located::{Located, Position},
    policy::header_name,
    resolve::{Environment, token},
};
use std::{num::NonZeroU64, time::Duration};

const UNKNOWN: &str = "Take it out if its default will do";

const KNOWN: &str = "Known are rate-limiting, jwt, key-auth, cors, request-size-limiting, \
                     correlation-id and canary";

/// Kong's own, of the plugin cors.
const METHODS: [&str; 9] = [
    "GET", "HEAD", "PUT", "PATCH", "POST", "DELETE", "OPTIONS", "TRACE", "CONNECT",
];

/// What Kong answers; another text would be lost.
const LIMIT_MESSAGE: &str = "API rate limit exceeded";

/// The plugins of one place.
#[derive(Debug, Default, Clone)]
pub(crate) struct Plugins {
    pub(crate) policies: Policies,
    pub(crate) canary: Option<Plugin>,
}

impl Plugins {
    /// Takes the plugins that stand inside a service or a route.
    pub(crate) fn read(
        map: &mut Map,
        scope: &str,
        environment: Environment<'_>,
        store: &mut Option<LimitsStore>,
    ) -> Result<Self, PlanError> {
        let mut all = Self::default();
        for node in map.list("plugins")?.unwrap_or_default() {
            let plugin = Map::of(node, "a plugin")?;
            all.add(plugin, scope, environment, store)?;
        }
        Ok(all)
    }

    /// Both, where none is there twice.
    pub(crate) fn and(self, beside: Option<(Position, Self)>) -> Result<Self, PlanError> {
        let Some((at, beside)) = beside else {
            return Ok(self);
        };
        let (a, b) = (&self.policies, &beside.policies);
        let twice = (a.cors.is_some() && b.cors.is_some())
            || (a.body.is_some() && b.body.is_some())
            || (a.keys.is_some() && b.keys.is_some())
            || (a.jwt.is_some() && b.jwt.is_some())
            || (a.limits.is_some() && b.limits.is_some())
            || (a.correlation.is_some() && b.correlation.is_some())
            || (self.canary.is_some() && beside.canary.is_some());
        if twice {
            return Err(PlanError::at(at, "a plugin of this place is there twice")
                .remedy("Leave one of them"));
        }
        Ok(Self {
            policies: self.policies.over(&beside.policies),
            canary: self.canary.or(beside.canary),
        })
    }

    fn add(
        &mut self,
        mut map: Map,
        scope: &str,
        environment: Environment<'_>,
        store: &mut Option<LimitsStore>,
    ) -> Result<(), PlanError> {
        map.pass_over();
        let Some(name) = map.text("name")? else {
            return Err(PlanError::at(map.at, "a plugin has no `name`"));
        };
        map.what = format!("plugin `{}`", name.value);
        let enabled = map.flag("enabled", true)?;
        protocols(&mut map)?;
        let what = format!("`config` of plugin `{}`", name.value);
        let mut config = map.map("config", &what)?;
        let at = map.at_of("consumer");
        for narrower in ["consumer", "consumer_group"] {
            if map.take(narrower).is_some() {
                let message = format!("`{narrower}` of {} is not supported", map.what);
                return Err(PlanError::at(at, message)
                    .remedy("Plugins stand for all, for a service or for a route"));
            }
        }
        map.finish(UNKNOWN)?;
        let policies = &mut self.policies;
        // Read though it is disabled: what is wrong is wrong.
        let twice = match name.value.as_str() {
            "rate-limiting" => {
                let found = limits(&mut config, scope, environment, store)?;
                enabled && policies.limits.replace(found).is_some()
            }
            "jwt" => {
                let found = jwt(&mut config)?;
                enabled && policies.jwt.replace(found).is_some()
            }
            "key-auth" => {
                let found = keys(&mut config)?;
                enabled && policies.keys.replace(found).is_some()
            }
            "cors" => {
                let found = cors(&mut config)?;
                enabled && policies.cors.replace(found).is_some()
            }
            "request-size-limiting" => {
                let found = size(&mut config)?;
                enabled && policies.body.replace(found).is_some()
            }
            "correlation-id" => {
                let found = correlation(&mut config)?;
                enabled && policies.correlation.replace(found).is_some()
            }
            "canary" => {
                let found = Plugin::read(&mut config)?;
                enabled && self.canary.replace(found).is_some()
            }
            other => {
                return Err(
                    PlanError::at(name.at, format!("plugin `{other}` is not supported"))
                        .remedy(KNOWN),
                );
            }
        };
        if twice {
            let message = format!("plugin `{}` is there twice for one place", name.value);
            return Err(PlanError::at(name.at, message).remedy("Leave one of them"));
        }
        config.finish(UNKNOWN)
    }
}

/// Plugins that stand beside services and routes, and say for which they are.
#[derive(Debug, Default)]
pub(crate) struct Loose {
    general: Plugins,
    services: Vec<(Located<String>, Plugins)>,
    routes: Vec<(Located<String>, Plugins)>,
}

impl Loose {
    pub(crate) fn read(
        file: &mut Map,
        environment: Environment<'_>,
        store: &mut Option<LimitsStore>,
    ) -> Result<Self, PlanError> {
        let mut loose = Self::default();
        for node in file.list("plugins")?.unwrap_or_default() {
            let mut map = Map::of(node, "a plugin")?;
            let service = reference(&mut map, "service", "name")?;
            let route = reference(&mut map, "route", "name")?;
            let (place, scope) = match (service, route) {
                (None, None) => (&mut loose.general, "kong".to_owned()),
                (Some(name), None) => {
                    let scope = format!("kong:service:{}", name.value);
                    (entry(&mut loose.services, name), scope)
                }
                (None, Some(name)) => {
                    let scope = format!("kong:route:{}", name.value);
                    (entry(&mut loose.routes, name), scope)
                }
                (Some(_), Some(name)) => {
                    return Err(
                        PlanError::at(name.at, "a plugin is for a service and a route")
                            .remedy("Leave the route: it has one service"),
                    );
                }
            };
            place.add(map, &scope, environment, store)?;
        }
        Ok(loose)
    }

    /// What is demanded of all.
    pub(crate) fn general(&self) -> Result<Policies, PlanError> {
        if self.general.canary.is_some() {
            return Err(PlanError::whole(
                "plugin `canary` is for a service or a route",
            ));
        }
        Ok(self.general.policies.clone())
    }

    pub(crate) fn of_service(&mut self, name: &str) -> Option<(Position, Plugins)> {
        taken(&mut self.services, name)
    }

    pub(crate) fn of_route(&mut self, name: &str) -> Option<(Position, Plugins)> {
        taken(&mut self.routes, name)
    }

    /// Refuses plugins of what is not there.
    pub(crate) fn finish(self) -> Result<(), PlanError> {
        let left = self.services.into_iter().chain(self.routes).next();
        match left {
            None => Ok(()),
            Some((name, _)) => Err(PlanError::at(
                name.at,
                format!("a plugin is for `{}`, which is not there", name.value),
            )
            .remedy("Correct the name")),
        }
    }
}

fn entry(all: &mut Vec<(Located<String>, Plugins)>, name: Located<String>) -> &mut Plugins {
    let known = all.iter().position(|(known, _)| known.value == name.value);
    let at = known.unwrap_or_else(|| {
        all.push((name, Plugins::default()));
        all.len() - 1
    });
    &mut all[at].1
}

fn taken(all: &mut Vec<(Located<String>, Plugins)>, name: &str) -> Option<(Position, Plugins)> {
    let at = all.iter().position(|(known, _)| known.value == name)?;
    let (name, plugins) = all.remove(at);
    Some((name.at, plugins))
}

/// A plugin is for http and https alike.
fn protocols(map: &mut Map) -> Result<(), PlanError> {
    let Some(all) = map.texts("protocols")? else {
        return Ok(());
    };
    if ["http", "https"]
        .iter()
        .all(|wanted| all.iter().any(|one| one.value == *wanted))
    {
        return Ok(());
    }
    let message = format!("`protocols` of {} leaves out http or https", map.what);
    Err(PlanError::at(map.at, message).remedy("Take it out"))
}

fn names(
    map: &mut Map,
    key: &str,
    default: &[&str],
    parser: impl Fn(&str) -> Result<String, String>,
) -> Result<Vec<String>, PlanError> {
    match map.texts(key)? {
        None => Ok(default.iter().map(|name| (*name).to_owned()).collect()),
        Some(all) => all
            .iter()
            .map(|one| parser(&one.value).map_err(|why| PlanError::at(one.at, why)))
            .collect(),
    }
}

fn limits(
    map: &mut Map,
    scope: &str,
    environment: Environment<'_>,
    store: &mut Option<LimitsStore>,
) -> Result<Limits, PlanError> {
    let at = map.at;
    let mut windows: Vec<(Period, NonZeroU64)> = Vec::new();
    for period in Period::ALL {
        let Some(count) = map.whole(period.as_str())? else {
            continue;
        };
        let wrong = |why: &str| PlanError::at(count.at, format!("`{}` {why}", period.as_str()));
        let number = NonZeroU64::new(count.value).ok_or_else(|| wrong("is 0"))?;
        if windows.last().is_some_and(|(_, shorter)| *shorter > number) {
            return Err(wrong("is less than that of a shorter window"));
        }
        windows.push((period, number));
    }
    if windows.is_empty() {
        return Err(PlanError::at(at, "plugin `rate-limiting` has no limit")
            .remedy("Add one of second, minute, hour, day, month, year"));
    }
    let by = limit_by(map)?;
    let remote = remote(map, environment)?;
    if let Some(found) = &remote
        && let Some(other) = store.replace(found.clone())
        && other != *found
    {
        return Err(PlanError::at(at, "limits count in two different Redis")
            .remedy("Let all of them count in one"));
    }
    let fault_tolerant = map.flag("fault_tolerant", true)?;
    let status_at = map.at_of("error_code");
    let status = match map.whole("error_code")? {
        None => 429,
        Some(code) => u16::try_from(code.value)
            .ok()
            .filter(|code| (400..600).contains(code))
            .ok_or_else(|| PlanError::at(status_at, "`error_code` is no status of 400 to 599"))?,
    };
    if let Some(message) = map.text("error_message")?
        && message.value != LIMIT_MESSAGE
    {
        return Err(
            PlanError::at(message.at, "`error_message` is not supported")
                .remedy("Take it out: refusals are problem details with a text of their own"),
        );
    }
    if let Some(rate) = map.take("sync_rate")
        && !matches!(rate.value, Node::Whole(-1))
    {
        return Err(PlanError::at(rate.at, "`sync_rate` is not supported")
            .remedy("Take it out: Redis is asked for each request"));
    }
    Ok(Limits {
        scope: scope.to_owned(),
        rules: vec![Limit {
            by,
            windows,
            tells: !map.flag("hide_client_headers", false)?,
            store: if remote.is_some() {
                Store::Redis
            } else {
                Store::Local
            },
            on_error: if fault_tolerant {
                OnError::Allow
            } else {
                OnError::Refuse
            },
            status,
        }],
    })
}

fn limit_by(map: &mut Map) -> Result<LimitBy, PlanError> {
    let at = map.at_of("limit_by");
    let header = map.text("header_name")?;
    let path = map.text("path")?;
    let name = map.text("limit_by")?.map(|name| name.value);
    let by = match name.as_deref() {
        None | Some("consumer") => LimitBy::Consumer,
        Some("credential") => LimitBy::Credential,
        Some("ip") => LimitBy::Address,
        Some("service") => LimitBy::Everybody,
        Some("header") => {
            let header = header.ok_or_else(|| PlanError::at(at, "`header_name` is missing"))?;
            let name = header_name(&header.value).map_err(|why| PlanError::at(header.at, why))?;
            LimitBy::Header(name)
        }
        Some("path") => {
            let path = path.ok_or_else(|| PlanError::at(at, "`path` is missing"))?;
            LimitBy::Path(path.value)
        }
        Some(other) => {
            return Err(
                PlanError::at(at, format!("`limit_by: {other}` is not supported"))
                    .remedy("Write consumer, credential, ip, service, header or path"),
            );
        }
    };
    Ok(by)
}

/// The Redis of `policy: redis`.
fn remote(map: &mut Map, environment: Environment<'_>) -> Result<Option<LimitsStore>, PlanError> {
    let at = map.at_of("policy");
    let policy = map.text("policy")?.map(|policy| policy.value);
    let mut redis = map.map("redis", "`redis`")?;
    match policy.as_deref() {
        // Its defaults are written out by some tools.
        None | Some("local") => return Ok(None),
        Some("redis") => {}
        Some(other) => {
            return Err(
                PlanError::at(at, format!("`policy: {other}` is not supported"))
                    .remedy("Write local, or redis for several gateways"),
            );
        }
    }
    let Some(host) = redis.text("host")? else {
        return Err(PlanError::at(at, "`policy: redis` has no `redis.host`"));
    };
    let port = redis.whole("port")?.map_or(6379, |port| port.value);
    let database = redis.whole("database")?.map_or(0, |number| number.value);
    let user = redis.text("username")?.map(|user| user.value);
    let password = secret(&mut redis, "password", environment)?;
    let wait = redis.whole("timeout")?.map_or(2000, |time| time.value);
    redis.only_flag("ssl", false, "TLS to Redis is not spoken yet")?;
    redis.only_flag("ssl_verify", false, "TLS to Redis is not spoken yet")?;
    redis.finish(UNKNOWN)?;
    let wrong = || PlanError::at(host.at, "the address of Redis is unusable");
    let mut url = url::Url::parse(&format!("redis://{}:{port}/{database}", host.value))
        .map_err(|_| wrong())?;
    url.set_username(&user.unwrap_or_default())
        .map_err(|()| wrong())?;
    url.set_password(password.as_ref().map(Secret::expose_text))
        .map_err(|()| wrong())?;
    Ok(Some(LimitsStore {
        redis: Secret::new(url.as_str()).map_err(|_| wrong())?,
        wait: Duration::from_millis(wait.clamp(1, 10_000)),
    }))
}

fn jwt(map: &mut Map) -> Result<Jwt, PlanError> {
    let plain = |text: &str| Ok(text.to_owned());
    map.only_flag(
        "run_on_preflight",
        true,
        "Answer preflights with the plugin cors",
    )?;
    let at = map.at_of("claims_to_verify");
    let required = names(map, "claims_to_verify", &[], plain)?;
    if let Some(other) = required
        .iter()
        .find(|name| !matches!(name.as_str(), "exp" | "nbf"))
    {
        return Err(PlanError::at(
            at,
            format!("the claim `{other}` cannot be verified"),
        ));
    }
    let longest = map
        .whole("maximum_expiration")?
        .filter(|time| time.value > 0);
    Ok(Jwt {
        headers: names(map, "header_names", &["authorization"], header_name)?,
        query: names(map, "uri_param_names", &["jwt"], plain)?,
        cookies: names(map, "cookie_names", &[], token)?,
        key_claim: map
            .text("key_claim_name")?
            .map_or_else(|| "iss".to_owned(), |name| name.value),
        issuers: Vec::new(),
        audiences: Vec::new(),
        required,
        leeway: Duration::ZERO,
        lifetime_max: longest.map(|time| Duration::from_secs(time.value)),
        secrets_are_base64: map.flag("secret_is_base64", false)?,
        // Without a consumer's credential nobody is let in.
        jwks: false,
    })
}

fn keys(map: &mut Map) -> Result<Keys, PlanError> {
    map.only_flag(
        "run_on_preflight",
        true,
        "Answer preflights with the plugin cors",
    )?;
    map.only_flag("key_in_body", false, "Bring keys in a header")?;
    let names = names(map, "key_names", &["apikey"], token)?;
    let header = map.flag("key_in_header", true)?;
    let query = map.flag("key_in_query", true)?;
    if !(header || query) {
        return Err(PlanError::at(map.at, "a key can be brought nowhere"));
    }
    Ok(Keys {
        headers: names
            .iter()
            .filter(|_| header)
            .map(|name| name.to_ascii_lowercase())
            .collect(),
        query: names.iter().filter(|_| query).cloned().collect(),
        hide: map.flag("hide_credentials", false)?,
    })
}

fn cors(map: &mut Map) -> Result<Cors, PlanError> {
    map.only_flag(
        "preflight_continue",
        false,
        "Preflights are answered by the gateway",
    )?;
    map.only_flag("private_network", false, UNKNOWN)?;
    map.only_flag("allow_origin_absent", true, UNKNOWN)?;
    let mut some = Vec::new();
    let mut any = false;
    let origins = map.texts("origins")?.unwrap_or_default();
    for one in &origins {
        match Origin::parse(&one.value) {
            Ok(Some(origin)) => some.push(origin),
            Ok(None) => any = true,
            Err(why) => {
                return Err(PlanError::at(one.at, why)
                    .remedy("Regular expressions are not supported; list the origins"));
            }
        }
    }
    let headers = map.texts("headers")?.filter(|all| !all.is_empty());
    let name = |one: &Located<String>| token(&one.value).map_err(|why| PlanError::at(one.at, why));
    Ok(Cors {
        origins: if any || origins.is_empty() {
            Origins::Any
        } else {
            Origins::Some(some)
        },
        methods: names(map, "methods", &METHODS, token)?,
        headers: headers
            .map(|all| all.iter().map(name).collect::<Result<_, _>>())
            .transpose()?,
        exposed: names(map, "exposed_headers", &[], token)?,
        credentials: map.flag("credentials", false)?,
        max_age: map
            .whole("max_age")?
            .map(|age| Duration::from_secs(age.value)),
    })
}

fn size(map: &mut Map) -> Result<ByteSize, PlanError> {
    // It is always so here, where a size is limited.
    map.flag("require_content_length", false)?;
    let at = map.at_of("size_unit");
    let unit: u64 = match map.text("size_unit")?.map(|unit| unit.value).as_deref() {
        None | Some("megabytes") => 1 << 20,
        Some("kilobytes") => 1 << 10,
        Some("bytes") => 1,
        Some(other) => {
            return Err(PlanError::at(at, format!("`{other}` is no unit"))
                .remedy("Write megabytes, kilobytes or bytes"));
        }
    };
    let size = map
        .whole("allowed_payload_size")?
        .map_or(128, |size| size.value);
    size.checked_mul(unit)
        .map(ByteSize)
        .ok_or_else(|| PlanError::at(map.at, "`allowed_payload_size` is too large"))
}

fn correlation(map: &mut Map) -> Result<Correlation, PlanError> {
    let at = map.at_of("generator");
    let generator = match map.text("generator")?.map(|name| name.value).as_deref() {
        None | Some("uuid#counter") => Generator::UuidCounter,
        Some("uuid") => Generator::Uuid,
        Some(other) => {
            return Err(
                PlanError::at(at, format!("the generator `{other}` is not supported"))
                    .remedy("Write uuid or uuid#counter"),
            );
        }
    };
    let header = match map.text("header_name")? {
        Some(name) => header_name(&name.value).map_err(|why| PlanError::at(name.at, why))?,
        None => "kong-request-id".to_owned(),
    };
    Ok(Correlation {
        header,
        generator,
        echo: map.flag("echo_downstream", false)?,
    })
}
