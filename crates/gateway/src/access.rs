//! Who is let in, how often, and what the upstream is told of it.
//!
//! What is demanded of a request is put together once, at start, from what
//! stands for all requests and what stands at its place ([`Chain`]). It is
//! looked at in this order, the cheapest and the most often refused first, and
//! the first objection is the answer:
//!
//! 1. the client's address (403);
//! 2. cross-origin: a preflight is answered here, since it brings no
//!    credentials, and never reaches keys and limits (403 for other origins);
//! 3. the size of the body (413; where it is not said beforehand, once more has come);
//! 4. the token, then the key (401), then the groups (403);
//! 5. the limits (429), which so know the consumer, and of which a stranger
//!    without credentials uses up nothing but their own address' share.
//!
//! Refusals from 2 on carry the CORS headers, so that a page can read them.
//! Places where nothing is demanded cost a look into an array.

mod addresses;
mod admission;
mod chain;
mod context;
mod cors;
mod decoration;
mod identity;
mod issuer;
mod key_set;
mod keys;
mod limits;
mod metrics;
mod presented;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod replay;
mod token;
mod worker_state;

use crate::base::{denial::Denial, error::StartError, index::Place, peer::Peer};
use chain::{Arrival, Chain};
use context::{Context, Lasting, now};
use http::{HeaderName, request::Parts};
use identity::Signer;
use issuer::Issuer;
use keys::KeyRing;
use limits::local::Counters;
use metrics::AccessMetrics;
use plan::Plan;
use prometheus_client::registry::Registry;
use std::{net::IpAddr, sync::Arc};
use token::Credentials;

pub(crate) use admission::Admission;
pub(crate) use chain::{Answered, Foreseen};
pub(crate) use worker_state::AccessState;

/// What a client may not say, where the plan names no other.
const IDENTITY: HeaderName = HeaderName::from_static("x-banyan-identity");

/// What all workers share.
pub(crate) struct Access {
    context: Context,
    /// Of requests of no extraction.
    others: Option<Chain>,
    /// By extraction.
    extractions: Vec<Option<Chain>>,
    /// By the gateway's own routes.
    routes: Vec<Option<Chain>>,
    operators_only: bool,
    /// Whether clients are told apart at all.
    asks_who: bool,
}

impl Access {
    pub(crate) fn new(plan: &Plan) -> Result<Self, StartError> {
        let lasting = Lasting {
            counters: Arc::new(Counters::new()),
            metrics: AccessMetrics::new(),
            seed: uuid::Uuid::new_v4().as_u64_pair().1,
        };
        let issuer = plan.gateway.access.jwks.clone().map(Issuer::new);
        Self::of(plan, lasting, issuer.map(Arc::new))
    }

    /// That of a changed plan. Counts go on, and an issuer that stays is not
    /// asked anew.
    pub(crate) fn after(&self, plan: &Plan) -> Result<Self, StartError> {
        let lasting = self.context.lasting.clone();
        let jwks = plan.gateway.access.jwks.as_ref();
        let issuer = jwks.map(|jwks| match &self.context.issuer {
            Some(issuer) if issuer.source() == jwks => Arc::clone(issuer),
            _ => Arc::new(Issuer::new(jwks.clone())),
        });
        Self::of(plan, lasting, issuer)
    }

    fn of(plan: &Plan, lasting: Lasting, issuer: Option<Arc<Issuer>>) -> Result<Self, StartError> {
        let access = &plan.gateway.access;
        let credentials = Credentials::new(&access.consumers)
            .map_err(|(consumer, why)| StartError::Key { consumer, why })?;
        let signer = access.identity.as_ref().and_then(Signer::new);
        let mut rules = 0..;
        let mut chain = |policies: &plan::Policies| {
            let rule = rules.next().unwrap_or(usize::MAX);
            (!policies.is_empty()).then(|| Chain::new(policies, rule))
        };
        Ok(Self {
            others: chain(&access.policies),
            extractions: plan
                .extractions
                .values()
                .map(|one| chain(&one.policies.over(&access.policies)))
                .collect(),
            routes: plan
                .gateway
                .routes
                .iter()
                .map(|one| chain(&one.policies.over(&access.policies)))
                .collect(),
            context: Context {
                trusted: access.trusted.clone(),
                ring: KeyRing::new(&access.consumers),
                credentials,
                issuer,
                identity: signer
                    .as_ref()
                    .map_or(IDENTITY, |signer| signer.header().clone()),
                signer,
                store: access.limits_store.clone(),
                lasting,
            },
            operators_only: access.operators_only,
            asks_who: !access.consumers.is_empty() || access.jwks.is_some(),
        })
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        self.context.lasting.metrics.register(registry);
    }

    /// Whether answers may differ by who asks, though no header says so.
    pub(crate) fn asks_who(&self) -> bool {
        self.asks_who
    }

    /// Whether a request may see the gateway's own pages.
    pub(crate) fn operator(&self, headers: &http::HeaderMap) -> Result<(), Denial> {
        if !self.operators_only {
            return Ok(());
        }
        match keys::operator(&self.context.ring, headers) {
            Some(true) => Ok(()),
            Some(false) => Err(Denial::BadKey),
            None => Err(Denial::NoKey),
        }
    }

    /// Who a request's token says that its client is, as far as that can be
    /// said at once: for people who ask what would become of it.
    pub(crate) fn vouched(&self, place: Place, parts: &Parts) -> Admission {
        let who = self
            .chain(place)
            .and_then(|chain| chain.vouched(&self.context, parts, now()));
        Admission::new(who, Vec::new(), decoration::Decoration::default(), None)
    }

    /// What will be said to a request there, as far as that is known at once; `None` where
    /// nothing is demanded.
    pub(crate) fn foresee(
        &self,
        place: Place,
        parts: &Parts,
        peer: &Peer,
        length: u64,
    ) -> Option<Result<Foreseen, Denial>> {
        let arrival = Arrival {
            peer: peer.address,
            length: Some(length),
        };
        let chain = self.chain(place)?;
        Some(chain.foresee(&self.context, parts, arrival, now()))
    }

    /// Whether the same is demanded at all these places, so that who is let in
    /// at one of them is let in at all.
    pub(crate) fn demand_alike(&self, places: &[Place]) -> bool {
        let demands = |place: &Place| self.chain(*place).map(Chain::policies);
        places
            .windows(2)
            .all(|two| demands(&two[0]) == demands(&two[1]))
    }

    /// Where a client is that came from `peer`, perhaps through proxies.
    pub(crate) fn client(&self, peer: &Peer, headers: &http::HeaderMap) -> IpAddr {
        self.context.client(peer.address, headers)
    }

    /// The same, where the peer is a proxy that is trusted.
    pub(crate) fn client_behind(&self, peer: &Peer, headers: &http::HeaderMap) -> Option<IpAddr> {
        addresses::is_trusted(peer.address, &self.context.trusted)
            .then(|| self.client(peer, headers))
    }

    /// What one worker keeps under these demands. `keeps`: this worker keeps the
    /// keys of an issuer fresh.
    pub(crate) fn worker_state(&self, keeps: bool) -> AccessState {
        AccessState::new(&self.context, keeps)
    }

    /// The same for a changed plan, with what of a worker's state still counts.
    pub(crate) fn worker_state_after(&self, before: &AccessState, keeps: bool) -> AccessState {
        before.after(&self.context, keeps)
    }

    /// Lets a request in, with what is known of it, or answers it. What a client
    /// must not say about itself is removed from its head; what the upstream is to
    /// know is added by [`Admission::introduce`]. `length` is that of the body, where
    /// it is known.
    pub(crate) async fn admit(
        &self,
        state: &AccessState,
        parts: &mut Parts,
        length: Option<u64>,
        peer: &Peer,
        place: Place,
    ) -> Result<Admission, Answered> {
        identity::strip(&mut parts.headers, &self.context.identity);
        match self.chain(place) {
            None => Ok(Admission::default()),
            // Boxed, so that requests without it stay small.
            Some(chain) => {
                let arrival = Arrival {
                    peer: peer.address,
                    length,
                };
                Box::pin(chain.walk(&self.context, state, parts, arrival)).await
            }
        }
    }

    fn chain(&self, place: Place) -> Option<&Chain> {
        match place {
            Place::Elsewhere => self.others.as_ref(),
            Place::Extraction(route) => self.extractions.get(route.extraction.get())?.as_ref(),
            Place::Route(passthrough) => self.routes.get(passthrough.get())?.as_ref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;

    const PLAN: &str = r#"
monolith: { url: "http://127.0.0.1:1", database: "postgres://u:p@127.0.0.1:2/m" }
services:
  a: { url: "http://127.0.0.1:3", database: "postgres://u:p@127.0.0.1:4/a" }
gateway: { listen: "127.0.0.1:0", consumers: { shop: { keys: [shop] } } }
extractions:
  contracts:
    service: a
    routes: [{ path: /api/contracts/* }]
    data: { mode: replicate, schema: s, tables: { public.t: {} } }
"#;

    #[test]
    fn the_gateways_own_pages_want_the_operators_key_where_there_is_one() {
        let ask = |operator: Option<&str>, key: Option<&'static str>| {
            let set = |name: &str| {
                operator
                    .filter(|_| name == "GATEWAY_API_KEY")
                    .map(str::to_owned)
            };
            let access = Access::new(&Plan::parse(PLAN, set).unwrap()).unwrap();
            let mut headers = HeaderMap::new();
            if let Some(key) = key {
                headers.insert("x-api-key", http::HeaderValue::from_static(key));
            }
            access.operator(&headers)
        };
        assert_eq!(ask(None, None), Ok(()));
        assert_eq!(ask(Some(" "), None), Ok(()));
        assert_eq!(ask(Some("op"), Some("op")), Ok(()));
        assert_eq!(ask(Some("op"), None), Err(Denial::NoKey));
        assert_eq!(ask(Some("op"), Some("shop")), Err(Denial::BadKey));
    }

    #[test]
    fn a_claim_can_be_a_clients_key() {
        let admission = Admission::of_claims(&serde_json::json!({"tenant": "t-1"}));
        assert_eq!(admission.claim("tenant"), Some(&b"t-1"[..]));
        assert_eq!(admission.claim("other"), None);
        assert_eq!(Admission::default().claim("tenant"), None);
    }
}
