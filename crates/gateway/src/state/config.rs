//! What the plan says, ready for use; a reload puts another one in its place.
//!
//! A request uses one setup from its head to its end. Extractions keep their
//! places, so that what is known of them lasts ([`super::gateway_state::GatewayState`]).

use super::{features::AllFeatures, gateway_state::GatewayState, status_pages::Pages};
use crate::{
    StartError, access::Access, body::Spool, observe::redaction::Redaction, routing::table::Table,
    selection::flags::Flags, transport::http1::policy::Policy, upstream::upstreams::Upstreams,
};
use plan::{Plan, ServiceName};
use std::sync::Arc;

/// What all workers share under one plan.
pub(crate) struct Config {
    pub(crate) table: Table,
    pub(crate) features: AllFeatures,
    pub(crate) upstreams: Upstreams,
    pub(crate) settings: plan::Gateway,
    pub(crate) spool: Arc<Spool>,
    pub(crate) http1_policy: Arc<Policy>,
    pub(crate) access: Access,
    pub(crate) flags: Flags,
    pub(crate) pages: Pages,
    pub(crate) redaction: Redaction,
    pub(crate) state: Arc<GatewayState>,
}

impl Config {
    pub(crate) fn new(plan: &Plan, state: Arc<GatewayState>) -> Result<Self, StartError> {
        let (upstreams, access) = (Upstreams::new(plan), Access::new(plan)?);
        let flags = Flags::new(plan);
        Ok(Self::of(plan, upstreams, access, flags, state))
    }

    /// That of a changed plan with the same extractions. What has not changed is
    /// carried over with all that is known of it: upstreams, counts of limits,
    /// the keys of an issuer.
    pub(crate) fn after(&self, plan: &Plan) -> Result<Self, StartError> {
        let (upstreams, access) = (self.upstreams.after(plan), self.access.after(plan)?);
        let (flags, state) = (self.flags.after(plan), Arc::clone(&self.state));
        Ok(Self::of(plan, upstreams, access, flags, state))
    }

    fn of(
        plan: &Plan,
        upstreams: Upstreams,
        access: Access,
        flags: Flags,
        state: Arc<GatewayState>,
    ) -> Self {
        Self {
            table: Table::new(plan),
            features: AllFeatures::new(plan),
            upstreams,
            settings: plan.gateway.clone(),
            spool: Spool::new(&plan.gateway.buffering, &state.spool_usage),
            http1_policy: Policy::new(
                &plan.gateway.client,
                state.metrics.clone().counts_malformed(),
            ),
            access,
            flags,
            pages: Pages::new(&plan.gateway.observe.status),
            redaction: Redaction::new(plan),
            state,
        }
    }

    /// The service that an extraction moves to.
    pub(crate) fn service(&self, extraction: crate::base::index::ExtractionIndex) -> &ServiceName {
        &self.table.entry(extraction).service
    }
}
