//! What the plan says about an extraction's copies.

use super::compare::{Ignored, Values};
use crate::upstream::addresses::Addresses;
use plan::{HostAddresses, Percent};

/// What the plan says about an extraction's copies.
#[derive(Debug)]
pub(crate) struct ShadowSettings {
    pub(crate) share: Percent,
    pub(crate) ignored: Ignored,
    pub(crate) values: Values,
    pub(crate) scratch: Option<Addresses>,
}

impl ShadowSettings {
    pub(crate) fn new(plan: &plan::Shadow, resolve: &HostAddresses) -> Self {
        let scratch = plan.scratch.as_ref();
        Self {
            share: plan.share,
            ignored: Ignored::new(&plan.ignore),
            values: if plan.show_values {
                Values::Visible
            } else {
                Values::Redacted
            },
            scratch: scratch.map(|url| Addresses::new(url, resolve)),
        }
    }

    pub(crate) fn share(&self) -> Percent {
        self.share
    }

    /// By chance: what clients ask in turn must not decide what is compared.
    pub(crate) fn is_due(&self, random: u64) -> bool {
        let drawn = random % u64::from(Percent::STEPS);
        drawn < u64::from(self.share.basis_points())
    }
}
