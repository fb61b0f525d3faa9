//! From the file's upstreams to checked ones.

use super::{
    Balance, Breaker, Degraded, Ejection, HealthChecks, INSTANCES_MAX, Protocol, Retries,
    RouteTimeouts, SlowCalls, Timeouts, Trailers, Upstream,
    file::{
        BalanceFile, BreakerFile, DegradedFile, EjectionFile, HealthFile, ProtocolFile,
        RetriesFile, RouteTimeoutsFile, SlowFile, TimeoutsFile, UpstreamFile,
    },
};
use crate::base::{
    DatabaseUrl, Environment, Located, PathPattern, Percent, PlanError, ScalarOrMap, Text,
    UpstreamUrl, header_name, parse, size_or, time, time_or,
};
use std::time::Duration;

/// The most tries of one request.
pub(crate) const ATTEMPTS_MAX: u32 = 10;

/// Reads one; `name` is for messages, `defaults` hold where it says nothing.
pub(crate) fn upstream(
    name: &str,
    file: UpstreamFile,
    defaults: Timeouts,
    environment: Environment<'_>,
) -> Result<Upstream, PlanError> {
    let (url, further) = instances(name, &file, environment)?;
    let database = file.database.as_ref();
    Ok(Upstream {
        protocol: match file.protocol {
            ProtocolFile::Http1 => Protocol::Http1,
            ProtocolFile::H2c => Protocol::H2c,
        },
        database: database
            .map(|text| {
                parse(text, environment, |text| {
                    DatabaseUrl::parse_in(text, environment)
                })
            })
            .transpose()?,
        health: file
            .health
            .map(|health| checks(health, environment))
            .transpose()?,
        timeouts: timeouts(&file.timeouts, defaults)?,
        breaker: match file.breaker {
            None => None,
            Some(located) => located
                .value
                .switched(located.at)?
                .map(breaker)
                .transpose()?,
        },
        retries: retries(file.retries, further.len() + 1)?,
        balance: balance(file.balance)?,
        degraded: file.degraded.as_ref().map(degraded).transpose()?,
        trailers: file.trailers,
        hide_headers: hidden(&file.hide_headers)?,
        url,
        further,
    })
}

/// One with one instance and without a database; the rest is as where the plan
/// says nothing.
pub(crate) fn plain(
    url: UpstreamUrl,
    timeouts: Timeouts,
    attempts: u32,
) -> Result<Upstream, PlanError> {
    Ok(Upstream {
        url,
        further: Vec::new(),
        protocol: Protocol::Http1,
        database: None,
        health: None,
        timeouts,
        breaker: None,
        retries: Retries {
            attempts,
            ..retries(None, 1)?
        },
        balance: balance(BalanceFile::default())?,
        degraded: None,
        trailers: Trailers::default(),
        hide_headers: Vec::new(),
    })
}

/// Headers that clients do not get; not those without which they cannot read an answer.
fn hidden(names: &[Text]) -> Result<Vec<String>, PlanError> {
    let one = |text: &Text| {
        let name = header_name(&text.value).map_err(|why| PlanError::at(text.at, why))?;
        if KEPT_HEADERS.contains(&name.as_str()) {
            let why = format!("hide-headers: clients cannot read an answer without `{name}`");
            return Err(PlanError::at(text.at, why));
        }
        Ok(name)
    };
    names.iter().map(one).collect()
}

const KEPT_HEADERS: [&str; 3] = ["content-encoding", "content-length", "content-type"];

fn instances(
    name: &str,
    file: &UpstreamFile,
    environment: Environment<'_>,
) -> Result<(UpstreamUrl, Vec<UpstreamUrl>), PlanError> {
    let texts = file.url.iter().chain(&file.urls);
    let mut all = Vec::new();
    for text in texts {
        let url = parse(text, environment, UpstreamUrl::parse)?;
        if all.contains(&url) {
            return Err(
                PlanError::at(text.at, format!("`{url}` stands there twice"))
                    .remedy("List each instance once"),
            );
        }
        all.push(url);
    }
    if let (Some(_), Some(second)) = (&file.url, file.urls.first()) {
        return Err(
            PlanError::at(second.at, format!("`{name}` has both `url` and `urls`"))
                .remedy("Write one of them"),
        );
    }
    if all.len() > INSTANCES_MAX {
        return Err(
            PlanError::whole(format!("`{name}` has more than {INSTANCES_MAX} instances"))
                .remedy("Put a balancer of its own in front of them"),
        );
    }
    let mut all = all.into_iter();
    let first = all.next().ok_or_else(|| {
        PlanError::whole(format!("`{name}` has no `url`"))
            .remedy("Write `url: http://host:port`, or `urls:` for several instances")
    })?;
    Ok((first, all.collect()))
}

fn checks(
    located: Located<ScalarOrMap<HealthFile>>,
    environment: Environment<'_>,
) -> Result<HealthChecks, PlanError> {
    let file = match located.value {
        ScalarOrMap::Map(file) => file,
        ScalarOrMap::Scalar(path) => HealthFile {
            path: Located {
                value: path,
                at: located.at,
            },
            interval: None,
            timeout: None,
            rise: None,
            fall: None,
        },
    };
    Ok(HealthChecks {
        path: parse(&file.path, environment, absolute_path)?,
        interval: time_or(file.interval.as_ref(), Duration::from_secs(5))?,
        timeout: time_or(file.timeout.as_ref(), Duration::from_secs(1))?,
        rise: count("rise", file.rise.as_ref(), 2, u32::MAX)?,
        fall: count("fall", file.fall.as_ref(), 3, u32::MAX)?,
    })
}

/// Reads timeouts; `defaults` hold where the file says nothing.
pub(crate) fn timeouts(file: &TimeoutsFile, defaults: Timeouts) -> Result<Timeouts, PlanError> {
    let whole = match &file.whole {
        None => defaults.whole,
        Some(text) => Some(time(text)?),
    };
    Ok(Timeouts {
        connect: time_or(file.connect.as_ref(), defaults.connect)?,
        first_byte: time_or(file.first_byte.as_ref(), defaults.first_byte)?,
        idle: time_or(file.idle.as_ref(), defaults.idle)?,
        stream: time_or(file.stream.as_ref(), defaults.stream)?,
        whole,
    })
}

/// Reads a route's timeouts.
pub(crate) fn route_timeouts(file: &RouteTimeoutsFile) -> Result<RouteTimeouts, PlanError> {
    let read = |text: &Option<Text>| text.as_ref().map(time).transpose();
    Ok(RouteTimeouts {
        body: read(&file.body)?,
        first_byte: read(&file.first_byte)?,
        idle: read(&file.idle)?,
        stream: read(&file.stream)?,
        whole: read(&file.whole)?,
    })
}

/// The timeouts of all upstreams, before an upstream's own.
pub(crate) fn default_timeouts(
    file: Option<&TimeoutsFile>,
    first_byte: Duration,
) -> Result<Timeouts, PlanError> {
    let defaults = Timeouts {
        connect: Duration::from_secs(2),
        first_byte,
        idle: Duration::from_mins(5),
        stream: Duration::from_hours(1),
        whole: None,
    };
    file.map_or(Ok(defaults), |file| timeouts(file, defaults))
}

fn breaker(file: BreakerFile) -> Result<Breaker, PlanError> {
    let slow = |slow: SlowFile| {
        Ok(SlowCalls {
            over: time(&slow.over)?,
            share: share(slow.share.as_ref(), 80)?,
        })
    };
    let status = |located: Located<u16>| match located.value {
        500..=599 => Ok(located.value),
        other => Err(
            PlanError::at(located.at, format!("{other} is no 5xx status"))
                .remedy("What a client did wrong says nothing about the upstream"),
        ),
    };
    let statuses = file.statuses.map_or_else(
        || Ok(vec![502, 503, 504]),
        |all| all.into_iter().map(status).collect(),
    )?;
    Ok(Breaker {
        errors: share(file.errors.as_ref(), 50)?,
        slow: file.slow.map(slow).transpose()?,
        window: time_or(file.window.as_ref(), Duration::from_secs(10))?,
        volume: count("volume", file.volume.as_ref(), 20, u32::MAX)?,
        open: time_or(file.open.as_ref(), Duration::from_secs(5))?,
        probes: count("probes", file.probes.as_ref(), 3, u32::MAX)?,
        statuses,
    })
}

fn retries(file: Option<Located<RetriesFile>>, instances: usize) -> Result<Retries, PlanError> {
    // Without a word in the plan, only another instance is worth a try.
    let attempts = if file.is_some() || instances > 1 {
        2
    } else {
        1
    };
    let file = file.map(|located| located.value).unwrap_or_default();
    let per_second = file.per_second.map_or(3, |located| located.value);
    Ok(Retries {
        attempts: count("attempts", file.attempts.as_ref(), attempts, ATTEMPTS_MAX)?,
        budget: share(file.budget.as_ref(), 20)?,
        per_second,
        backoff: time_or(file.backoff.as_ref(), Duration::from_millis(25))?,
        backoff_max: time_or(file.backoff_max.as_ref(), Duration::from_millis(250))?,
        idempotency_keys: file.idempotency_keys,
    })
}

fn balance(file: BalanceFile) -> Result<Balance, PlanError> {
    let chosen = match file.ejection {
        None => Some(EjectionFile::default()),
        Some(located) => located.value.switched(located.at)?,
    };
    Ok(Balance {
        panic: share(file.panic.as_ref(), 50)?,
        ejection: chosen.as_ref().map(ejection).transpose()?,
    })
}

fn ejection(file: &EjectionFile) -> Result<Ejection, PlanError> {
    let first = time_or(file.first.as_ref(), Duration::from_secs(10))?;
    let longest = time_or(file.longest.as_ref(), Duration::from_mins(5))?;
    Ok(Ejection {
        after: count("after", file.after.as_ref(), 5, u32::MAX)?,
        first,
        longest: longest.max(first),
    })
}

fn degraded(file: &DegradedFile) -> Result<Degraded, PlanError> {
    Ok(Degraded {
        age: time(&file.cache)?,
        bytes: size_or(file.bytes.as_ref(), 8 << 20)?,
    })
}

fn count(
    name: &str,
    given: Option<&Located<u32>>,
    default: u32,
    max: u32,
) -> Result<u32, PlanError> {
    match given {
        None => Ok(default),
        Some(located) if (1..=max).contains(&located.value) => Ok(located.value),
        Some(located) => Err(PlanError::at(
            located.at,
            format!("`{name}` must be 1 to {max}"),
        )),
    }
}

fn share(text: Option<&Text>, default_percent: u16) -> Result<Percent, PlanError> {
    match text {
        None => Percent::from_basis_points(default_percent * 100).map_err(PlanError::whole),
        Some(text) => Percent::parse(&text.value).map_err(|why| PlanError::at(text.at, why)),
    }
}

fn absolute_path(text: &str) -> Result<String, String> {
    PathPattern::parse(text).map(|_| text.to_owned())
}
