//! The plan that this process goes by: a reload replaces it.

use plan::Plan;
use std::sync::{Arc, PoisonError, RwLock};

/// Shared by everybody who asks it anew each time.
#[derive(Clone)]
pub(super) struct CurrentPlan(Arc<RwLock<PlanInForce>>);

/// A plan, and what it was read from.
#[derive(Clone)]
pub(crate) struct PlanInForce {
    pub(crate) plan: Arc<Plan>,
    /// Of its text.
    pub(crate) digest: Arc<str>,
}

#[cfg(test)]
impl From<Plan> for PlanInForce {
    fn from(plan: Plan) -> Self {
        Self {
            plan: Arc::new(plan),
            digest: "digest".into(),
        }
    }
}

impl CurrentPlan {
    pub(super) fn new(in_force: PlanInForce) -> Self {
        Self(Arc::new(RwLock::new(in_force)))
    }

    pub(super) fn get(&self) -> Arc<Plan> {
        self.in_force().plan
    }

    /// Of the text of the plan.
    pub(super) fn digest(&self) -> Arc<str> {
        self.in_force().digest
    }

    fn in_force(&self) -> PlanInForce {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn replace(&self, in_force: PlanInForce) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = in_force;
    }
}
