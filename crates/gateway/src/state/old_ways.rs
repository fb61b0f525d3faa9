//! The old ways to an extraction at the monolith: who comes by them, and whether they are
//! refused for a while. Bounded, and gone with the process.

use crate::base::removal::Removal;
use http::{HeaderMap, header};
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// The most kinds of callers that are told apart; the rest are one.
const CALLERS_MAX: usize = 200;

/// The longest name of a program that is kept.
const AGENT_BYTES_MAX: usize = 32;

/// A kind of caller.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OldCaller {
    /// By which method and route.
    pub route: String,
    /// What it calls itself, without its version.
    pub agent: String,
}

/// How often it came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OldCalls {
    /// In all.
    pub requests: u64,
    /// And was refused.
    pub refused: u64,
}

/// Those of one extraction.
#[derive(Debug, Default)]
pub(crate) struct OldWays {
    brown_out: Mutex<Option<(Removal, Instant)>>,
    callers: Mutex<BTreeMap<OldCaller, OldCalls>>,
}

impl OldWays {
    /// Refuses them for so long, by a clock that is never set; `None`: not any more.
    pub(crate) fn refuse(&self, brown_out: Option<(Removal, Duration)>) {
        let until = |(removal, left)| (removal, Instant::now() + left);
        *self.brown_out.lock() = brown_out.map(until);
    }

    /// What clients are told, while they are refused.
    pub(crate) fn refused(&self) -> Option<Removal> {
        let brown_out = *self.brown_out.lock();
        let (removal, until) = brown_out?;
        (Instant::now() < until).then_some(removal)
    }

    pub(crate) fn count(&self, route: String, headers: &HeaderMap, is_refused: bool) {
        let caller = OldCaller {
            route,
            agent: agent(headers),
        };
        let mut callers = self.callers.lock();
        let caller = if callers.len() < CALLERS_MAX || callers.contains_key(&caller) {
            caller
        } else {
            OldCaller {
                route: "other routes".to_owned(),
                agent: "others".to_owned(),
            }
        };
        let calls = callers.entry(caller).or_default();
        calls.requests += 1;
        calls.refused += u64::from(is_refused);
    }

    /// Who has come since this was asked last.
    pub(crate) fn take(&self) -> BTreeMap<OldCaller, OldCalls> {
        std::mem::take(&mut self.callers.lock())
    }
}

/// The name of the program that calls: nothing of a person or a version.
fn agent(headers: &HeaderMap) -> String {
    let value = headers.get(header::USER_AGENT);
    let text = value.and_then(|value| value.to_str().ok()).unwrap_or("");
    let is_name = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let name: String = text
        .chars()
        .take_while(is_name)
        .take(AGENT_BYTES_MAX)
        .collect();
    match name.to_ascii_lowercase().as_str() {
        "" => "none".to_owned(),
        "mozilla" | "opera" => "browser".to_owned(),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn called(agent: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::USER_AGENT, HeaderValue::from_str(agent).unwrap());
        headers
    }

    #[test]
    fn programs_are_told_apart_and_not_their_versions() {
        for (text, wanted) in [
            ("curl/8.5.0", "curl"),
            ("Mozilla/5.0 (X11; Linux) Chrome/140", "browser"),
            ("python-requests/2.31", "python-requests"),
            ("  ", "none"),
            ("<script>", "none"),
        ] {
            assert_eq!(agent(&called(text)), wanted, "{text}");
        }
        assert_eq!(agent(&HeaderMap::new()), "none");
        assert_eq!(agent(&called(&"a".repeat(500))).len(), AGENT_BYTES_MAX);
    }

    #[test]
    fn callers_are_counted_once_and_bounded() {
        let ways = OldWays::default();
        for at in 0..CALLERS_MAX + 5 {
            ways.count(format!("GET /{at}"), &called("curl/1"), at == 0);
        }
        let taken = ways.take();
        assert_eq!(taken.len(), CALLERS_MAX + 1);
        let refused: u64 = taken.values().map(|calls| calls.refused).sum();
        let requests: u64 = taken.values().map(|calls| calls.requests).sum();
        assert_eq!((refused, requests), (1, CALLERS_MAX as u64 + 5));
        assert!(ways.take().is_empty());
    }

    #[test]
    fn they_are_refused_for_their_time() {
        let ways = OldWays::default();
        let removal = Removal {
            deprecated: 1_700_000_000,
            sunset: 1_800_000_000,
        };
        assert_eq!(removal.sunset().unwrap(), "Fri, 15 Jan 2027 08:00:00 GMT");
        assert_eq!(removal.deprecation().unwrap(), "@1700000000");
        ways.refuse(Some((removal, Duration::from_mins(1))));
        assert_eq!(ways.refused(), Some(removal));
        ways.refuse(Some((removal, Duration::ZERO)));
        assert_eq!(ways.refused(), None);
        ways.refuse(Some((removal, Duration::from_mins(1))));
        ways.refuse(None);
        assert_eq!(ways.refused(), None);
    }
}
