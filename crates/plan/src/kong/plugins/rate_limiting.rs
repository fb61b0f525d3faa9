//! Kong's plugin rate-limiting.

use crate::{
    access::LimitsStore,
    base::{Environment, Node, PlanError, Secret, header_name},
    kong::{
        tree::{LEAVE_THE_DEFAULT, Map},
        vault::secret,
    },
    policy::{Limit, LimitBy, Limits, OnError, Period, Store},
};
use std::{num::NonZeroU64, time::Duration};
use url::Url;

/// What Kong answers; another text would be lost.
const LIMIT_MESSAGE: &str = "API rate limit exceeded";

pub(super) fn read(
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
    redis.finish(LEAVE_THE_DEFAULT)?;
    let wrong = || PlanError::at(host.at, "the address of Redis is unusable");
    let mut url =
        Url::parse(&format!("redis://{}:{port}/{database}", host.value)).map_err(|_| wrong())?;
    url.set_username(&user.unwrap_or_default())
        .map_err(|()| wrong())?;
    url.set_password(password.as_ref().map(Secret::expose_text))
        .map_err(|()| wrong())?;
    Ok(Some(LimitsStore {
        redis: Secret::new(url.as_str()).map_err(|_| wrong())?,
        wait: Duration::from_millis(wait.clamp(1, 10_000)),
    }))
}
