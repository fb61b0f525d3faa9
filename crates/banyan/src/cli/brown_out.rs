//! `banyan brown-out`: refuses what still comes for an old side, for a while.

use super::{
    commands::{ask, done},
    old_ways::line,
    render,
};
use crate::exit::Failure;
use conductor::api::Parameters;
use std::path::Path;

/// What is asked before.
pub(super) fn question(extraction: &str, parameters: &Parameters) -> String {
    let minutes = parameters.for_ms.unwrap_or(0).div_ceil(60_000);
    format!(
        "Refuse whoever still comes for the old side of `{extraction}`, for {minutes} min? Clients \
         of its old routes get 410 meanwhile. `banyan brown-out {extraction} --end` ends it"
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
