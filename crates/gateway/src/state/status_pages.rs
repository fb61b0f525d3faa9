//! The gateway's own pages: how its upstreams are, and which there are.
//!
//! Answered before any route. How they are, everybody may ask: it is what load
//! balancers do. Which there are, with their addresses, is for operators.

use crate::{
    access::Access,
    base::refusal::Refusal,
    upstream::{
        breaker::BreakerState,
        report::{InstanceReport, UpstreamReport},
        response_body::ResponseBody,
        upstreams::Upstreams,
    },
};
use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header, request::Parts};
use plan::StatusPages;
use serde_json::{Map, Value, json};

/// Where they are.
#[derive(Debug)]
pub(crate) struct Pages {
    health: Vec<String>,
    registry: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Page {
    Health,
    Registry,
}

/// How one upstream is, or all of them are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Health {
    Healthy,
    /// Some of it is.
    Degraded,
    Unhealthy,
}

impl Health {
    fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
        }
    }

    /// Of parts.
    fn of(parts: impl Iterator<Item = Self>) -> Self {
        let (mut some, mut all) = (false, true);
        for part in parts {
            some |= part != Self::Unhealthy;
            all &= part == Self::Healthy;
        }
        match (some, all) {
            (_, true) => Self::Healthy,
            (true, false) => Self::Degraded,
            (false, false) => Self::Unhealthy,
        }
    }

    fn of_instance(instance: &InstanceReport) -> Self {
        if instance.healthy && !instance.ejected && !instance.failing {
            Self::Healthy
        } else {
            Self::Unhealthy
        }
    }

    fn of_upstream(upstream: &UpstreamReport) -> Self {
        if upstream.is_up() {
            Self::of(upstream.instances.iter().map(Self::of_instance))
        } else {
            Self::Unhealthy
        }
    }
}

impl Pages {
    pub(crate) fn new(pages: &StatusPages) -> Self {
        let StatusPages { health, registry } = pages.clone();
        Self { health, registry }
    }

    fn find(&self, parts: &Parts) -> Option<Page> {
        if self.health.is_empty() && self.registry.is_none() {
            return None;
        }
        if !matches!(parts.method, Method::GET | Method::HEAD) {
            return None;
        }
        let path = parts.uri.path();
        if self.health.iter().any(|page| page == path) {
            Some(Page::Health)
        } else {
            (self.registry.as_deref() == Some(path)).then_some(Page::Registry)
        }
    }

    /// Whether a request is for one of them.
    pub(crate) fn has(&self, parts: &Parts) -> bool {
        self.find(parts).is_some()
    }

    /// Answers a request for one of them.
    pub(crate) fn answer(
        &self,
        upstreams: &Upstreams,
        access: &Access,
        parts: &Parts,
    ) -> Response<ResponseBody> {
        let upstreams = upstreams.report();
        let all = Health::of(upstreams.iter().map(Health::of_upstream));
        if self.find(parts) == Some(Page::Registry) {
            if let Err(denial) = access.operator(&parts.headers) {
                return Refusal::Access(denial).response().map(ResponseBody::own);
            }
            let services: Vec<Value> = upstreams.iter().map(entry).collect();
            return page(StatusCode::OK, &json!({ "services": services }));
        }
        let status = match all {
            // It goes on serving what it can.
            Health::Healthy | Health::Degraded => StatusCode::OK,
            Health::Unhealthy => StatusCode::SERVICE_UNAVAILABLE,
        };
        let services = upstreams.iter().map(|upstream| {
            let health = Health::of_upstream(upstream).as_str();
            (upstream.name.clone(), json!({ "status": health }))
        });
        let services: Map<String, Value> = services.collect();
        page(
            status,
            &json!({ "status": all.as_str(), "services": services }),
        )
    }
}

/// What the registry says of an upstream.
fn entry(upstream: &UpstreamReport) -> Value {
    let breaker = upstream.breaker.map(|state| match state {
        BreakerState::Closed => "closed",
        BreakerState::HalfOpen => "half-open",
        BreakerState::Open => "open",
    });
    let instance = |one: &InstanceReport| {
        let check = one
            .last_check
            .map(|check| json!({ "passed": check.passed, "seconds_ago": check.ago.as_secs() }));
        json!({
            "url": one.url,
            "status": Health::of_instance(one).as_str(),
            "in_flight": one.in_flight,
            "last_check": check,
        })
    };
    let instances: Vec<Value> = upstream.instances.iter().map(instance).collect();
    json!({
        "name": upstream.name,
        "status": Health::of_upstream(upstream).as_str(),
        "breaker": breaker,
        "instances": instances,
    })
}

fn page(status: StatusCode, value: &Value) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::own(Bytes::from(value.to_string())));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let json = HeaderValue::from_static("application/json");
    headers.insert(header::CONTENT_TYPE, json);
    let fresh = HeaderValue::from_static("no-store");
    headers.insert(header::CACHE_CONTROL, fresh);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_is_as_well_as_its_parts() {
        use Health::{Degraded, Healthy, Unhealthy};
        for (parts, whole) in [
            (&[Healthy, Healthy][..], Healthy),
            (&[Healthy, Unhealthy], Degraded),
            (&[Degraded, Degraded], Degraded),
            (&[Unhealthy, Unhealthy], Unhealthy),
        ] {
            assert_eq!(Health::of(parts.iter().copied()), whole, "{parts:?}");
        }
    }
}
