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
//! 3. the size of the body (413, or 411 where it is not said beforehand);
//! 4. the token, then the key (401), then the groups (403);
//! 5. the limits (429), which so know the consumer, and of which a stranger
//!    without credentials uses up nothing but their own address' share.
//!
//! Refusals from 2 on carry the CORS headers, so that a page can read them.
//! Places where nothing is demanded cost a look into an array.

mod addresses;
mod admission;
mod chain;
mod cors;
mod denial;
mod identity;
mod issuer;
mod keys;
mod limits;
mod metrics;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod replay;
mod token;

pub(crate) use admission::Admission;
pub(crate) use denial::Denial;
pub(crate) use identity::is_reserved;

use crate::{StartError, body::ResponseBody, peer::Peer, table::Place, worker::Worker};
use chain::Chain;
use http::{HeaderName, Response, request::Parts};
use identity::{Credential, Identity, Signer};
use issuer::Issuer;
use keys::KeyRing;
use limits::{local::Counters, remote::Remote};
use metrics::AccessMetrics;
use plan::{LimitsStore, Plan};
use prometheus_client::registry::Registry;
use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    net::{IpAddr, Ipv4Addr},
    rc::Rc,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};
use token::{Credentials, Remembered};
use tokio::task::JoinSet;

/// What a client may not say, where the plan names no other.
const IDENTITY: HeaderName = HeaderName::from_static("x-banyan-identity");

/// What all workers share.
pub(crate) struct Access {
    trusted: Vec<ipnet::IpNet>,
    /// Of requests of no extraction.
    others: Option<Chain>,
    /// By extraction.
    extractions: Vec<Option<Chain>>,
    /// By the gateway's own routes.
    routes: Vec<Option<Chain>>,
    ring: KeyRing,
    credentials: Credentials,
    issuer: Option<Arc<Issuer>>,
    signer: Option<Signer>,
    identity: HeaderName,
    lasting: Lasting,
    store: Option<LimitsStore>,
    operators_only: bool,
    /// Whether clients are told apart at all.
    asks_who: bool,
}

/// What no reload changes.
#[derive(Clone)]
struct Lasting {
    counters: Arc<Counters>,
    metrics: AccessMetrics,
    seed: u64,
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
        let lasting = self.lasting.clone();
        let jwks = plan.gateway.access.jwks.as_ref();
        let issuer = jwks.map(|jwks| match &self.issuer {
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
            trusted: access.trusted.clone(),
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
            ring: KeyRing::new(&access.consumers),
            credentials,
            issuer,
            identity: signer
                .as_ref()
                .map_or(IDENTITY, |signer| signer.header().clone()),
            signer,
            store: access.limits_store.clone(),
            lasting,
            operators_only: access.operators_only,
            asks_who: !access.consumers.is_empty() || access.jwks.is_some(),
        })
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        self.lasting.metrics.register(registry);
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
        match keys::operator(&self.ring, headers) {
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
            .and_then(|chain| chain.vouched(self, parts, now()));
        Admission::new(who, Vec::new(), admission::Decoration::default())
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
    pub(crate) fn client(&self, peer: IpAddr, headers: &http::HeaderMap) -> IpAddr {
        addresses::client(peer, headers, &self.trusted)
    }

    fn chain(&self, place: Place) -> Option<&Chain> {
        match place {
            Place::Elsewhere => self.others.as_ref(),
            Place::Extraction(route) => self.extractions.get(route.extraction.get())?.as_ref(),
            Place::Route(stay) => self.routes.get(stay.get())?.as_ref(),
        }
    }
}

/// What one worker keeps.
pub(crate) struct Desk {
    remembered: Remembered,
    remote: Rc<Remote>,
    /// Whose keys this worker keeps fresh, and the task that does.
    keeping: Option<(Arc<Issuer>, Rc<JoinSet<()>>)>,
    /// By credential: bounded by the plan.
    known: RefCell<HashMap<Arc<str>, Rc<Identity>>>,
    /// What ids with a count begin with, and the count.
    prefix: String,
    count: Cell<u64>,
}

impl Desk {
    /// `keeps`: this worker keeps the keys of an issuer fresh.
    pub(crate) fn new(access: &Access, keeps: bool) -> Self {
        let issuer = access.issuer.as_ref().filter(|_| keeps);
        let remote = Rc::new(Remote::new(access.store.as_ref()));
        Self::of(remote, issuer.map(keep))
    }

    /// That of a changed plan: nothing that was verified before counts, the
    /// connection to a store that stays does.
    pub(crate) fn after(&self, access: &Access, keeps: bool) -> Self {
        let remote = if self.remote.is_to(access.store.as_ref()) {
            Rc::clone(&self.remote)
        } else {
            Rc::new(Remote::new(access.store.as_ref()))
        };
        let issuer = access.issuer.as_ref().filter(|_| keeps);
        let keeping = issuer.map(|issuer| match &self.keeping {
            Some((same, task)) if Arc::ptr_eq(same, issuer) => (Arc::clone(same), Rc::clone(task)),
            _ => keep(issuer),
        });
        Self::of(remote, keeping)
    }

    fn of(remote: Rc<Remote>, keeping: Option<(Arc<Issuer>, Rc<JoinSet<()>>)>) -> Self {
        Self {
            remembered: Remembered::new(),
            remote,
            keeping,
            known: RefCell::default(),
            prefix: uuid::Uuid::new_v4().to_string(),
            count: Cell::new(0),
        }
    }

    fn identity(&self, credential: &Arc<Credential>) -> Rc<Identity> {
        let mut known = self.known.borrow_mut();
        if let Some(identity) = known.get(&credential.name) {
            return Rc::clone(identity);
        }
        let identity = Identity::new(Some(Arc::clone(credential)), serde_json::Map::new());
        known.insert(Arc::clone(&credential.name), Rc::clone(&identity));
        identity
    }
}

/// Keeps an issuer's keys fresh, until what is returned is dropped.
fn keep(issuer: &Arc<Issuer>) -> (Arc<Issuer>, Rc<JoinSet<()>>) {
    let mut task = JoinSet::new();
    let kept = Arc::clone(issuer);
    task.spawn_local(async move { kept.keep().await });
    (Arc::clone(issuer), Rc::new(task))
}

/// What a head does not say about its request.
#[derive(Debug, Clone, Copy)]
struct Way {
    peer: IpAddr,
    /// Of the body, where it is known beforehand.
    length: Option<u64>,
}

/// The answer to a request that was not let in, or that ends here.
pub(crate) struct Answered(pub(crate) Box<Response<ResponseBody>>);

/// Lets a request in, with what is known of it, or answers it. What a client
/// must not say about itself is removed from its head; what the upstream is to
/// know is added by [`Admission::introduce`]. `length` is that of the body, where
/// it is known.
pub(crate) async fn admit(
    worker: &Worker,
    parts: &mut Parts,
    length: Option<u64>,
    peer: &Peer,
    place: Place,
) -> Result<Admission, Answered> {
    let access = &worker.setup.access;
    identity::strip(&mut parts.headers, &access.identity);
    match access.chain(place) {
        None => Ok(Admission::default()),
        // Boxed, so that requests without it stay small.
        Some(chain) => {
            let way = Way {
                // Whoever can open the gateway's Unix socket is on this machine.
                peer: peer.address.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
                length,
            };
            Box::pin(chain.walk(access, &worker.desk, parts, way)).await
        }
    }
}

/// Seconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
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
