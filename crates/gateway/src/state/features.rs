//! What the plan adds to an extraction beside its routes, ready for use.

use crate::{
    base::index::ExtractionIndex,
    selection::{cohort_key::KeySource, force::Force, token_transport::TokenTransport},
    shadow::settings::ShadowSettings,
};
use plan::{Extraction, HostAddresses, Plan};
use std::sync::Arc;

/// What the plan adds to one extraction.
#[derive(Debug)]
pub(crate) struct Features {
    pub(crate) key: KeySource,
    pub(crate) force: Option<Force>,
    pub(crate) token_transport: Option<TokenTransport>,
    pub(crate) flag: Option<String>,
    /// `None`: nothing is copied.
    pub(crate) shadow: Option<Arc<ShadowSettings>>,
    /// Whether what both sides answer is counted: to compare them, or to see that nobody
    /// comes any more.
    pub(crate) is_counted: bool,
}

impl Features {
    fn new(extraction: &Extraction, resolve: &HostAddresses) -> Self {
        let data = extraction.data.replicate();
        let token = data.and_then(|data| data.read_your_writes.as_ref());
        let shadow = extraction.shadow.as_ref();
        Self {
            key: KeySource::new(&extraction.cohort_key),
            force: extraction.force.as_ref().and_then(Force::new),
            token_transport: token.and_then(|plan| TokenTransport::new(plan, &extraction.name)),
            flag: extraction.flag.clone(),
            shadow: shadow.map(|shadow| Arc::new(ShadowSettings::new(shadow, resolve))),
            is_counted: extraction.schedule.is_some() || extraction.retire.is_some(),
        }
    }
}

/// Those of all extractions of a plan.
#[derive(Debug)]
pub(crate) struct AllFeatures {
    all: Vec<Features>,
    has_tokens: bool,
    has_cookie_keys: bool,
}

impl AllFeatures {
    pub(crate) fn new(plan: &Plan) -> Self {
        let extractions = plan.extractions.values();
        let all: Vec<_> = extractions
            .map(|one| Features::new(one, &plan.gateway.host_addresses))
            .collect();
        Self {
            has_tokens: all.iter().any(|one| one.token_transport.is_some()),
            has_cookie_keys: all.iter().any(|one| one.key.is_cookie()),
            all,
        }
    }

    pub(crate) fn get(&self, extraction: ExtractionIndex) -> &Features {
        &self.all[extraction.get()]
    }

    /// Whether clients of some extraction are known by a cookie.
    pub(crate) fn have_cookie_keys(&self) -> bool {
        self.has_cookie_keys
    }

    /// Whether clients of some extraction carry tokens.
    pub(crate) fn have_tokens(&self) -> bool {
        self.has_tokens
    }
}
