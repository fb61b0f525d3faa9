//! `banyan brown-out`: refuses what still comes for an old side, for a while.

use super::{
    commands::{ask, done},
    old_ways::line,
    render,
};
use crate::exit::Failure;
use conductor::api::Parameters;
use report::clock::{length, minute};
use std::path::Path;

/// What is asked before.
pub(super) fn question(extraction: &str, parameters: &Parameters) -> String {
    let lasts = length(
        parameters
            .for_ms
            .unwrap_or(0)
            .try_into()
            .unwrap_or(i64::MAX),
    );
    let sunset = parameters.sunset_ms.map_or_else(String::new, |at_ms| {
        format!(
            ", which says that they are gone for good on {}",
            minute(at_ms)
        )
    });
    format!(
        "Refuse whoever still comes for the old side of `{extraction}`, for {lasts}? Clients of \
         its old routes get 410 meanwhile{sunset}. `banyan brown-out {extraction} --end` ends it"
    )
}

/// Begins or ends one.
pub(super) async fn run(
    state: &Path,
    extraction: &str,
    parameters: &Parameters,
    json: bool,
) -> Result<(), Failure> {
    let is_end = parameters.for_ms.is_none();
    let verb = if is_end { "end-brown-out" } else { "brown-out" };
    let answer = ask(state, extraction, verb, parameters).await?;
    let reply = done(answer, json)?;
    if json {
        return render::json(&reply.status);
    }
    let text =
        line(&reply.status).unwrap_or_else(|| "The old ways go to the monolith again.".to_owned());
    say!("{}", render::wrapped(&text));
    Ok(())
}
