//! Which requests upstreams answered with 5xx, for whoever looks for the cause of
//! what a database refuses. Bounded, and gone with the process.

use parking_lot::Mutex;
use plan::ExtractionName;
use std::collections::BTreeMap;

/// The most kinds of requests that are told apart; the rest are one.
const KINDS_MAX: usize = 200;

/// The longest path that is kept of a request that no route matches.
const PATH_BYTES_MAX: usize = 120;

/// What those beyond have as their path.
pub(crate) const OTHER: &str = "other paths";

/// A kind of request that an upstream answered with 5xx.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FailedKind {
    /// The upstream's name.
    pub upstream: String,
    /// The extraction that it belongs to, if any.
    pub extraction: Option<ExtractionName>,
    /// Its method, of a bounded set.
    pub method: &'static str,
    /// The route's path; of a request that no route matches its own, in which every
    /// segment with a digit is `*`.
    pub path: String,
    /// Whether it was taken for a read.
    pub is_read: bool,
    /// Whether a route of the plan matches it.
    pub has_route: bool,
}

/// How many answers with 5xx there were, by kind.
#[derive(Debug, Default)]
pub(crate) struct FailedAnswers(Mutex<BTreeMap<FailedKind, u64>>);

impl FailedAnswers {
    pub(crate) fn count(&self, kind: FailedKind) {
        let mut counts = self.0.lock();
        let kind = if counts.len() < KINDS_MAX || counts.contains_key(&kind) {
            kind
        } else {
            FailedKind {
                path: OTHER.to_owned(),
                extraction: None,
                method: "other",
                has_route: false,
                is_read: false,
                ..kind
            }
        };
        *counts.entry(kind).or_default() += 1;
    }

    pub(crate) fn report(&self) -> BTreeMap<FailedKind, u64> {
        self.0.lock().clone()
    }
}

/// A path of which ids are left out: it is kept, and shown.
pub(crate) fn general(path: &str) -> String {
    let path = &path[..path.floor_char_boundary(PATH_BYTES_MAX)];
    let segment = |segment: &str| {
        if segment.bytes().any(|byte| byte.is_ascii_digit()) {
            "*".to_owned()
        } else {
            segment.to_owned()
        }
    };
    let segments: Vec<_> = path.split('/').map(segment).collect();
    segments.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(path: &str) -> FailedKind {
        FailedKind {
            upstream: "monolith".to_owned(),
            extraction: None,
            method: "POST",
            path: path.to_owned(),
            is_read: false,
            has_route: false,
        }
    }

    #[test]
    fn paths_are_kept_without_their_ids() {
        for (path, kept) in [
            ("/", "/"),
            ("/admin/orders/17/change/", "/admin/orders/*/change/"),
            ("/v2/x", "/*/x"),
            ("/a/3f2e-7/b", "/a/*/b"),
        ] {
            assert_eq!(general(path), kept);
        }
        assert_eq!(general(&format!("/{}", "ä".repeat(200))).len(), 119);
    }

    #[test]
    fn kinds_are_bounded() {
        let answers = FailedAnswers::default();
        for at in 0..KINDS_MAX + 5 {
            answers.count(kind(&format!("/{at}")));
        }
        answers.count(kind("/0"));
        let report = answers.report();
        assert_eq!(report.len(), KINDS_MAX + 1);
        assert_eq!(report[&kind("/0")], 2);
        let other = report.iter().find(|(kind, _)| kind.path == OTHER);
        assert_eq!(other.map(|(_, count)| *count), Some(5));
    }
}
