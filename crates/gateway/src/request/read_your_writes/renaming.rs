//! Answers that give their client another key: a new session's cookie at a login, and
//! with some frameworks a new value of it with nearly every page. What the client wrote
//! under the former one follows it.

use crate::{
    base::index::ExtractionIndex,
    selection::cohort_key::KeySource,
    state::{client_id::ClientId, config::Config, lsn_sampler::PinnedWrite, worker::Worker},
};
use http::{HeaderMap, header};

/// The keys that a request comes with, by extraction, where its answer may give its
/// client another one.
pub(crate) struct Callers(Vec<(ExtractionIndex, Option<ClientId>)>);

impl Callers {
    /// Those of a request's head. Nothing, unless an extraction's key is a cookie.
    pub(crate) fn of(worker: &Worker, headers: &HeaderMap) -> Self {
        let config = &worker.config;
        if !config.features.have_cookie_keys() {
            return Self(Vec::new());
        }
        let callers = by_cookie(config).map(|(extraction, key)| {
            let pins = &worker.state.extraction(extraction).pins;
            let own = key.brought(headers);
            (extraction, own.map(|own| pins.plain(own)))
        });
        Self(callers.collect())
    }

    /// Before the client has the answer.
    pub(crate) fn renamed_by(&self, worker: &Worker, answer: &HeaderMap) {
        if self.0.is_empty() || !answer.contains_key(header::SET_COOKIE) {
            return;
        }
        for (extraction, caller) in &self.0 {
            let key = &worker.config.features.get(*extraction).key;
            let Some(given) = key.given(answer) else {
                continue;
            };
            let pins = &worker.state.extraction(*extraction).pins;
            // Now, not before: a line may have been forgotten while this request came in.
            let caller = caller.map(|key| pins.known_as(key));
            let follows = caller.is_some_and(|caller| pins.rename(caller, given));
            let owner = worker.state.ownership(*extraction);
            let owner = owner.filter(|owner| !follows && pins.owes(*owner, caller));
            // As if the new key had written, by now: past all that the former one has.
            if let Some(owner) = owner {
                let lsn_sampler = &worker.lsn_samplers[extraction.get()];
                drop(PinnedWrite::new(lsn_sampler, owner, Some(given)));
            }
        }
    }
}

fn by_cookie(config: &Config) -> impl Iterator<Item = (ExtractionIndex, &KeySource)> {
    let all = config.table.all();
    all.map(|(extraction, _)| (extraction, &config.features.get(extraction).key))
        .filter(|(_, key)| key.is_cookie())
}
