//! Who may come to the console.

use anyhow::Result;
use testbed::banyan::Plan;

pub(super) const VIEWER: &str = "vera-key-0123456789";
pub(super) const OPERATOR: &str = "olaf-key-0123456789";
pub(super) const APPROVER: &str = "ada-key-01234567890";

/// A plan that knows them.
pub(super) fn with_people(plan: Plan) -> Result<Plan> {
    let plan = plan.replace("\n    switch:", "\n    retire: { quiet: 14d }\n    switch:")?;
    plan.replace(
        "  listen: \"${CONTROL_LISTEN}\"\n",
        &format!(
            "  listen: \"${{CONTROL_LISTEN}}\"\n  grafana: https://grafana.example\n  keys:\n    vera: {{ role: viewer, key: {VIEWER} }}\n    \
             olaf: {{ role: operator, key: {OPERATOR} }}\n    \
             ada: {{ role: approver, key: {APPROVER} }}\n"
        ),
    )
}
