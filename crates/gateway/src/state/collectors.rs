//! Metrics that are read off the state when Prometheus asks.

pub(crate) mod routing;
pub(crate) mod upstreams;
