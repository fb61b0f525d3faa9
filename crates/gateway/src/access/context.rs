//! What all places' demands share.

use super::{
    addresses, identity::Signer, issuer::Issuer, keys::KeyRing, limits::local::Counters,
    metrics::AccessMetrics, token::Credentials,
};
use http::{HeaderMap, HeaderName};
use ipnet::IpNet;
use plan::LimitsStore;
use std::{
    net::IpAddr,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

/// What the demands of all places share under one plan.
pub(super) struct Context {
    pub(super) trusted: Vec<IpNet>,
    pub(super) ring: KeyRing,
    pub(super) credentials: Credentials,
    pub(super) issuer: Option<Arc<Issuer>>,
    pub(super) signer: Option<Signer>,
    /// The header that no client may send.
    pub(super) identity: HeaderName,
    pub(super) lasting: Lasting,
    pub(super) store: Option<LimitsStore>,
}

impl Context {
    /// Where a client is that came from `peer`, perhaps through proxies.
    pub(super) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        addresses::client(peer, headers, &self.trusted)
    }
}

/// What no reload changes.
#[derive(Clone)]
pub(super) struct Lasting {
    pub(super) counters: Arc<Counters>,
    pub(super) metrics: AccessMetrics,
    pub(super) seed: u64,
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
