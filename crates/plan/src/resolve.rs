//! From the file's types to a checked [`Plan`].

use crate::{
    ByteSize, Extraction, ExtractionName, Files, Gateway, PathPattern, Plan, PlanError, Policies,
    ServiceName, Timeouts, Upstream, access,
    file::{ExtractionFile, GatewayFile, PlanFile},
    flags, kong, listen,
    located::Located,
    observe, operation, own_writes, policy,
    routes::{gateway_routes, rollout, route},
    shadow, tables,
    upstream::{default_timeouts, upstream},
    values::duration,
};
use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

const DEFAULT_CONTROL: &str = "127.0.0.1:7600";
const MOST_WORKERS: u16 = 256;

pub(crate) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;
pub(crate) type Text = Located<String>;

pub(crate) fn resolve(
    file: PlanFile,
    environment: Environment<'_>,
    files: &Files<'_>,
) -> Result<Plan, PlanError> {
    let first_byte = time_or(file.gateway.first_byte.as_ref(), Duration::from_secs(30))?;
    let timeouts = default_timeouts(file.gateway.timeouts.as_ref(), first_byte)?;
    let monolith = upstream("monolith", file.monolith, timeouts, environment)?;
    let mut services = BTreeMap::new();
    for (name, service) in file.services {
        let name = ServiceName::new(&name).map_err(PlanError::whole)?;
        let service = upstream(name.as_str(), service, timeouts, environment)?;
        services.insert(name, service);
    }
    let mut extractions = BTreeMap::new();
    for (name, located) in file.extractions {
        let name = ExtractionName::new(&name).map_err(|why| PlanError::at(located.at, why))?;
        let found = extraction(name.clone(), located, &monolith, &services, environment)?;
        extractions.insert(name, found);
    }
    let mut gateway_file = file.gateway;
    let flags = gateway_file.flags.take().unwrap_or_default();
    let mut gateway = gateway(gateway_file, &mut services, timeouts, environment, files)?;
    gateway.flags = flags::resolve(flags, &extractions, environment)?;
    if extractions.is_empty() && gateway.routes.is_empty() {
        return Err(
            PlanError::whole("the plan has no extraction").remedy("Add one under `extractions:`")
        );
    }
    tables::once(&extractions)?;
    own_writes::carriers_once(&extractions)?;
    operation::one_dialect_per_path(&extractions, &gateway.routes)?;
    let control = match file.control {
        Some(control) => parse(&control.listen, environment, address)?,
        None => address(DEFAULT_CONTROL).map_err(PlanError::whole)?,
    };
    for extraction in extractions.values() {
        access::stores_exist(&gateway.access, &extraction.policies)?;
        access::claims_exist(&gateway.access, extraction)?;
    }
    Ok(Plan {
        monolith,
        services,
        gateway,
        control,
        extractions,
    })
}

fn gateway(
    mut file: GatewayFile,
    services: &mut BTreeMap<ServiceName, Upstream>,
    timeouts: Timeouts,
    environment: Environment<'_>,
    files: &Files<'_>,
) -> Result<Gateway, PlanError> {
    let mut access = access::resolve(&mut file, environment, files)?;
    let mut routes = gateway_routes(std::mem::take(&mut file.routes), services, environment)?;
    if let Some(name) = &file.kong {
        let found = kong(name, &mut access, timeouts, environment, files)?;
        routes.extend(found.routes);
        for (service, upstream) in found.services {
            if services.contains_key(&service) {
                let message = format!(
                    "service `{service}` of `{}` is in the plan, too",
                    name.value
                );
                return Err(PlanError::at(name.at, message).remedy("Rename one of them"));
            }
            services.insert(service, upstream);
        }
    }
    access::stores_exist(&access, &access.policies)?;
    for route in &routes {
        access::stores_exist(&access, &route.policies)?;
    }
    let workers = match file.workers {
        Some(count) if (1..=MOST_WORKERS).contains(&count.value) => usize::from(count.value),
        Some(count) => {
            return Err(PlanError::at(
                count.at,
                format!("workers must be 1 to {MOST_WORKERS}"),
            ));
        }
        None => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
    };
    let listen = parse(&file.listen, environment, address)?;
    let observe = observe::resolve(
        file.access_log,
        file.tracing,
        file.metrics.as_ref(),
        file.status,
        environment,
    )?;
    Ok(Gateway {
        listen,
        workers,
        pin_wait: time_or(file.pin_wait.as_ref(), Duration::from_secs(2))?,
        first_byte: time_or(file.first_byte.as_ref(), Duration::from_secs(30))?,
        upstream_idle: time_or(file.upstream_idle.as_ref(), Duration::from_secs(4))?,
        access,
        routes,
        resolve: crate::Resolve::default(),
        replay_bytes: size_or(file.replay_bytes.as_ref(), 64 << 10)?,
        resolve_every: time_or(file.resolve_every.as_ref(), Duration::from_secs(10))?,
        upgraded_idle: time_or(file.upgraded_idle.as_ref(), Duration::from_mins(5))?,
        listeners: listen::resolve(file.listeners, listen, &|text| {
            parse(text, environment, |text| Ok(text.to_owned()))
        })?,
        client: crate::client::resolve(&file.client.unwrap_or_default())?,
        flags: crate::Flags::default(),
        observe,
    })
}

/// Takes over what Kong's file says.
fn kong(
    name: &Text,
    access: &mut access::Access,
    timeouts: Timeouts,
    environment: Environment<'_>,
    files: &Files<'_>,
) -> Result<kong::Kong, PlanError> {
    let path = parse(name, environment, |text| Ok(text.to_owned()))?;
    let text = files
        .read(&path)
        .map_err(|why| PlanError::at(name.at, why))?;
    let within = |error: PlanError| error.in_file(&path);
    let mut found = kong::parse(&text, timeouts, environment).map_err(within)?;
    for (name, consumer) in std::mem::take(&mut found.consumers) {
        if access.consumers.contains_key(&name) {
            let message = format!("consumer `{name}` is in the plan, too");
            return Err(within(PlanError::whole(message)).remedy("Rename one of them"));
        }
        access.consumers.insert(name, consumer);
    }
    access::keys_once(&access.consumers).map_err(within)?;
    match (&access.limits_store, found.store.take()) {
        (Some(own), Some(other)) if own.redis != other.redis => {
            let message = "its limits count in another Redis than `gateway.limits-store`";
            return Err(within(PlanError::whole(message)).remedy("Let all of them count in one"));
        }
        (None, Some(store)) => access.limits_store = Some(store),
        _ => {}
    }
    // Kong asks it of every request: what an extraction takes out of a route of
    // Kong's must not get around it.
    access.policies = access.policies.over(&found.general);
    Ok(found)
}

fn extraction(
    name: ExtractionName,
    located: Located<ExtractionFile>,
    monolith: &Upstream,
    services: &BTreeMap<ServiceName, Upstream>,
    environment: Environment<'_>,
) -> Result<Extraction, PlanError> {
    let Located { value: file, at } = located;
    let service = parse(&file.service, environment, ServiceName::new)?;
    let Some(target) = services.get(&service) else {
        return Err(
            PlanError::at(file.service.at, format!("there is no service `{service}`"))
                .remedy("Add it under `services:` or correct the name"),
        );
    };
    if file.routes.is_empty() {
        return Err(
            PlanError::at(at, format!("extraction `{name}` has no routes"))
                .remedy("Add at least one under `routes:`"),
        );
    }
    let routes = file
        .routes
        .into_iter()
        .map(|one| route(one, environment))
        .collect::<Result<Vec<_>, _>>()?;
    let rollout = rollout(file.rollout, &routes, environment)?;
    let around = tables::Around {
        name: &name,
        at,
        monolith,
        service: (&service, file.service.at, target),
        switch: file.switch,
        read_your_writes: rollout.read_your_writes,
    };
    let data = tables::data(file.data, around, environment)?;
    let policies = match file.policies {
        Some(policies) => policy::resolve(policies, &format!("extraction:{name}"), environment)?,
        None => Policies::default(),
    };
    let shadow = file.shadow.as_ref();
    let shadow = shadow.map(|shadow| shadow::resolve(shadow, monolith, services, environment));
    Ok(Extraction {
        shadow: shadow.transpose()?,
        data,
        name,
        service,
        routes,
        cohort_key: rollout.key,
        force: rollout.force,
        flag: rollout.flag,
        policies,
    })
}

pub(crate) fn parse<T>(
    text: &Text,
    environment: Environment<'_>,
    parser: impl Fn(&str) -> Result<T, String>,
) -> Result<T, PlanError> {
    let value = substitute(&text.value, environment).map_err(|why| PlanError::at(text.at, why))?;
    parser(&value).map_err(|why| PlanError::at(text.at, why))
}

pub(crate) fn time_or(text: Option<&Text>, default: Duration) -> Result<Duration, PlanError> {
    text.map_or(Ok(default), |text| {
        duration(&text.value).map_err(|why| PlanError::at(text.at, why))
    })
}

pub(crate) fn size_or(text: Option<&Text>, default: u64) -> Result<ByteSize, PlanError> {
    text.map_or(Ok(ByteSize(default)), |text| {
        ByteSize::parse(&text.value).map_err(|why| PlanError::at(text.at, why))
    })
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| format!("`{text}` is no address: write 127.0.0.1:8000"))
}

pub(crate) fn absolute_path(text: &str) -> Result<String, String> {
    PathPattern::parse(text).map(|_| text.to_owned())
}

/// A token of RFC 9110: header names, cookie names, methods.
pub(crate) fn token(text: &str) -> Result<String, String> {
    let tchar = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if !text.is_empty() && text.bytes().all(tchar) {
        Ok(text.to_owned())
    } else {
        Err(format!("`{text}` is no name of a header, cookie or method"))
    }
}

/// Replaces each `${NAME}` by the variable's value, once: what a value holds
/// is not looked at again.
fn substitute(text: &str, environment: Environment<'_>) -> Result<String, String> {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, reference) = rest.split_at(start);
        let end = reference
            .find('}')
            .ok_or_else(|| "a `${` has no `}`".to_owned())?;
        let name = &reference[2..end];
        let value = environment(name).ok_or_else(|| {
            format!("the environment has no `{name}`. Set it, or write the value here")
        })?;
        result.push_str(before);
        result.push_str(&value);
        rest = &reference[end + 1..];
    }
    result.push_str(rest);
    Ok(result)
}
