//! What stands in front of upstreams.

use super::entry::{Explanation, explain};
use crate::finding::id::FindingId as Id;

pub(super) const EXPLANATIONS: &[Explanation] = &[explain(
    Id::GuardAvoided,
    "a guarded path is reached by another route, too",
    "What a route demands of its requests is demanded there alone. Where another route leads to the same path of the same upstream, or what no route matches goes there, the same is answered without a token, a key, or an address that is asked for.",
    "Demand the same of the other route, or under `gateway.policies` of all; have what no route matches answered 404: `gateway: { unmatched: 404 }`.",
    "docs/gateway.md",
)];
