//! Calls that begin and end brown-outs.

use super::{messages::Parameters, steps};
use crate::{brown_out::WantedBrownOut, retire::RetireHandle};
use protocol::rollout::{Actor, UnixMillis};
use std::{sync::Arc, time::Duration};

/// Whether a verb is one of these.
pub(super) fn is_one(verb: &str) -> bool {
    matches!(verb, "brown-out" | "end-brown-out")
}

/// Carries out one of these verbs. `plan`: a digest of the plan's text; `has_old_ways`:
/// whether it names any.
pub(super) async fn order(
    retirement: Option<&RetireHandle>,
    verb: &str,
    by: Option<Actor>,
    parameters: Parameters,
    (plan, has_old_ways): (Arc<str>, bool),
) -> Result<(), String> {
    let shared = || "both sides share its data: none of them is an old one".to_owned();
    let brown_out = retirement.ok_or_else(shared)?.brown_out();
    let by = by.ok_or_else(|| steps::NOBODY.to_owned())?;
    if verb == "end-brown-out" {
        if parameters.expected.is_some() {
            return Err("`end-brown-out` takes no `expected`: it ends whichever lasts".to_owned());
        }
        return brown_out.end(by).await;
    }
    if !has_old_ways {
        return Err(
            "the plan names no old way: a route to the monolith with `retires-with`, or testers who \
             choose a side (`rollout.force`). Nobody would be refused"
                .to_owned(),
        );
    }
    let (Some(lasts), Some(sunset)) = (parameters.for_ms, parameters.sunset_ms) else {
        return Err("`brown-out` needs `for_ms` and `sunset_ms`".to_owned());
    };
    let wanted = WantedBrownOut {
        lasts: Duration::from_millis(lasts),
        sunset: UnixMillis(sunset),
        by,
        plan,
        expected: parameters.expected,
    };
    brown_out.begin(wanted).await
}
