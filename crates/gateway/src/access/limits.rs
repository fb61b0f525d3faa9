//! How often one may ask.
//!
//! Windows are fixed, and begin at the borders of UTC's seconds to years: the
//! same in every gateway without talking. Who asks at the end of one and the
//! beginning of the next can ask twice as often for a moment, which is what
//! "100 per minute" has meant at gateways so far.

pub(crate) mod local;
pub(crate) mod remote;
mod window;

use super::{decoration::Decoration, identity::Identity};
use crate::base::target::canonical;
use aws_lc_rs::digest::{SHA256, digest};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use local::{Counters, Used};
use plan::{LimitBy, Limits as Rules, OnError, Period, Store};
use remote::{Counter, Remote};
use std::{net::IpAddr, num::NonZeroU64};
use xxhash_rust::xxh3::Xxh3;

const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// Seconds that a counter in Redis outlives its window: clocks differ.
const GRACE_SECONDS: u64 = 5;

/// The limits of one place.
pub(crate) struct Limits {
    rules: Vec<Rule>,
}

struct Rule {
    scope: String,
    by: By,
    windows: Vec<(Period, NonZeroU64)>,
    tells: bool,
    store: Store,
    on_error: OnError,
    status: u16,
}

enum By {
    Consumer,
    Credential,
    Address,
    Header(HeaderName),
    EachPath,
    Path(String),
    Everybody,
}

/// The request, as far as limits look at it.
pub(crate) struct LimitedRequest<'a> {
    pub(crate) who: Option<&'a Identity>,
    pub(crate) client: IpAddr,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) path: &'a str,
    /// Seconds since 1970.
    pub(crate) now: u64,
}

/// What the limits say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LimitVerdict {
    Within,
    /// Uncounted, since the store did not answer.
    Unknown,
    /// The status to answer with.
    Full(u16),
    /// The store did not answer, and the plan says to refuse then.
    Refuse,
}

impl Limits {
    pub(crate) fn new(rules: &Rules) -> Self {
        let rule = |(number, rule): (usize, &plan::Limit)| Rule {
            scope: format!("{}#{number}", rules.scope),
            by: By::new(&rule.by),
            windows: rule.windows.clone(),
            tells: rule.tells,
            store: rule.store,
            on_error: rule.on_error,
            status: rule.status,
        };
        Self {
            rules: rules.rules.iter().enumerate().map(rule).collect(),
        }
    }

    /// Counts a request, or says that there is no room for it. A request that
    /// is refused is not counted, except in Redis where a limit of this process
    /// that comes later has no room.
    pub(crate) async fn take(
        &self,
        asking: &LimitedRequest<'_>,
        counters: &Counters,
        seed: u64,
        remote: &Remote,
        told: &mut Decoration,
    ) -> LimitVerdict {
        let mut all = Tightest::default();
        let mut verdict = self.take_remote(asking, remote, &mut all).await;
        if matches!(verdict, LimitVerdict::Within | LimitVerdict::Unknown)
            && let Some(full) = self.take_local(asking, counters, seed, &mut all)
        {
            verdict = full;
        }
        all.tell(matches!(verdict, LimitVerdict::Full(_)), told);
        verdict
    }

    fn take_local(
        &self,
        asking: &LimitedRequest<'_>,
        counters: &Counters,
        seed: u64,
        all: &mut Tightest,
    ) -> Option<LimitVerdict> {
        let mut used = Vec::with_capacity(2);
        let local = |rule: &&Rule| rule.store == Store::Local;
        for (at, rule) in self.rules.iter().filter(local).enumerate() {
            let key = rule.hash(asking, seed);
            used.clear();
            let room = counters.take(key, &rule.windows, asking.now, &mut used);
            all.add(&used, rule.tells);
            if !room {
                for taken in self.rules.iter().filter(local).take(at) {
                    let key = taken.hash(asking, seed);
                    counters.give_back(key, &taken.windows, asking.now);
                }
                return Some(LimitVerdict::Full(rule.status));
            }
        }
        None
    }

    async fn take_remote(
        &self,
        asking: &LimitedRequest<'_>,
        remote: &Remote,
        all: &mut Tightest,
    ) -> LimitVerdict {
        let mut verdict = LimitVerdict::Within;
        for rule in self.rules.iter().filter(|rule| rule.store == Store::Redis) {
            let (counters, mut used) = rule.counters(asking);
            let Ok(counted) = remote.take(&counters).await else {
                match rule.on_error {
                    OnError::Allow => verdict = LimitVerdict::Unknown,
                    OnError::Refuse => return LimitVerdict::Refuse,
                }
                continue;
            };
            for (one, count) in used.iter_mut().zip(counted.used) {
                one.count = count;
            }
            all.add(&used, rule.tells);
            if !counted.room {
                return LimitVerdict::Full(rule.status);
            }
        }
        verdict
    }
}

impl By {
    fn new(by: &LimitBy) -> Self {
        match by {
            LimitBy::Consumer => Self::Consumer,
            LimitBy::Credential => Self::Credential,
            LimitBy::Address => Self::Address,
            // The plan has checked the name.
            LimitBy::Header(name) => name.parse().map_or(Self::Address, Self::Header),
            LimitBy::EachPath => Self::EachPath,
            LimitBy::Path(path) => Self::Path(canonical(path).into_owned()),
            LimitBy::Everybody => Self::Everybody,
        }
    }
}

impl Rule {
    /// Who asks, told apart by kind, piece by piece.
    fn identify(&self, asking: &LimitedRequest<'_>, mut piece: impl FnMut(&[u8])) {
        let credential = asking.who.and_then(|who| who.credential.as_ref());
        let subject = || asking.who.and_then(|who| who.claim("sub"));
        let issuer = || asking.who.and_then(|who| who.claim("iss"));
        piece(self.scope.as_bytes());
        match &self.by {
            By::Consumer if credential.is_some() => {
                piece(b"\0consumer\0");
                piece(credential.map_or(b"", |who| who.consumer.as_bytes()));
            }
            By::Credential if credential.is_some() => {
                piece(b"\0credential\0");
                piece(credential.map_or(b"", |who| who.name.as_bytes()));
            }
            By::Consumer | By::Credential if subject().is_some() => {
                piece(b"\0subject\0");
                piece(issuer().unwrap_or_default());
                piece(b"\0");
                piece(subject().unwrap_or_default());
            }
            By::Header(name) if asking.headers.contains_key(name) => {
                piece(b"\0header\0");
                piece(asking.headers.get(name).map_or(b"", HeaderValue::as_bytes));
            }
            By::EachPath => {
                piece(b"\0path\0");
                piece(canonical(asking.path).as_bytes());
            }
            By::Path(path) if *path == canonical(asking.path) => piece(b"\0path"),
            By::Everybody => piece(b"\0all"),
            _ => {
                piece(b"\0address\0");
                piece(&block(asking.client));
            }
        }
    }

    /// The key in this process; unpredictable, so that nobody can aim.
    fn hash(&self, asking: &LimitedRequest<'_>, seed: u64) -> u128 {
        let mut hash = Xxh3::with_seed(seed);
        self.identify(asking, |piece| hash.update(piece));
        hash.digest128()
    }

    /// The counters in Redis; the same in every gateway, and without what
    /// clients have sent.
    fn counters(&self, asking: &LimitedRequest<'_>) -> (Vec<Counter>, Vec<Used>) {
        let mut text = Vec::new();
        self.identify(asking, |piece| text.extend_from_slice(piece));
        let who = hex::encode(&digest(&SHA256, &text).as_ref()[..16]);
        let counter = |(period, limit): &(Period, NonZeroU64)| {
            let window = window::at(*period, asking.now);
            let (period, limit) = (*period, limit.get());
            let counter = Counter {
                key: format!("banyan:limit:{who}:{}:{}", period.as_str(), window.begin),
                limit,
                left: window.left + GRACE_SECONDS,
            };
            let used = Used {
                period,
                limit,
                count: 0,
                left: window.left,
            };
            (counter, used)
        };
        self.windows.iter().map(counter).unzip()
    }
}

/// An IPv4 address, or the /64 that one client of IPv6 has.
fn block(address: IpAddr) -> [u8; 8] {
    let mut block = [0; 8];
    match address {
        IpAddr::V4(address) => block[..4].copy_from_slice(&address.octets()),
        IpAddr::V6(address) => block.copy_from_slice(&address.octets()[..8]),
    }
    block
}

/// By period, what is nearest to its limit.
#[derive(Default)]
struct Tightest([Option<Used>; Period::ALL.len()]);

impl Used {
    fn remaining(&self) -> u64 {
        self.limit.saturating_sub(self.count)
    }
}

impl Tightest {
    fn add(&mut self, used: &[Used], tells: bool) {
        for one in used.iter().filter(|_| tells) {
            let slot = &mut self.0[one.period as usize];
            if slot.is_none_or(|known| one.remaining() < known.remaining()) {
                *slot = Some(*one);
            }
        }
    }

    fn tell(&self, is_full: bool, told: &mut Decoration) {
        let all = || self.0.iter().flatten();
        // Of several that are full, the one that stays so for longest.
        let nearest = all().min_by_key(|one| (one.remaining(), u64::MAX - one.left));
        let Some(nearest) = nearest else { return };
        for one in all() {
            let (limit, remaining) = names(one.period);
            told.push(limit, HeaderValue::from(one.limit));
            told.push(remaining, HeaderValue::from(one.remaining()));
        }
        told.push(LIMIT, HeaderValue::from(nearest.limit));
        told.push(REMAINING, HeaderValue::from(nearest.remaining()));
        told.push(RESET, HeaderValue::from(nearest.left));
        if is_full {
            told.push(header::RETRY_AFTER, HeaderValue::from(nearest.left));
        }
    }
}

fn names(period: Period) -> (HeaderName, HeaderName) {
    let (limit, remaining) = match period {
        Period::Second => ("x-ratelimit-limit-second", "x-ratelimit-remaining-second"),
        Period::Minute => ("x-ratelimit-limit-minute", "x-ratelimit-remaining-minute"),
        Period::Hour => ("x-ratelimit-limit-hour", "x-ratelimit-remaining-hour"),
        Period::Day => ("x-ratelimit-limit-day", "x-ratelimit-remaining-day"),
        Period::Month => ("x-ratelimit-limit-month", "x-ratelimit-remaining-month"),
        Period::Year => ("x-ratelimit-limit-year", "x-ratelimit-remaining-year"),
    };
    (
        HeaderName::from_static(limit),
        HeaderName::from_static(remaining),
    )
}
