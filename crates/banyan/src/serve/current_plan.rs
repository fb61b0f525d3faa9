//! The plan that this process goes by: a reload replaces it.

use plan::Plan;
use std::sync::{Arc, PoisonError, RwLock};

/// Shared by everybody who asks it anew each time.
#[derive(Clone)]
pub(super) struct CurrentPlan(Arc<RwLock<Arc<Plan>>>);

impl CurrentPlan {
    pub(super) fn new(plan: &Plan) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(plan.clone()))))
    }

    pub(super) fn get(&self) -> Arc<Plan> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn replace(&self, plan: Plan) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(plan);
    }
}
