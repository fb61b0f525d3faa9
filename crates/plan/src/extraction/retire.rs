//! When the old side may go: `retire:`.

use crate::base::{PlanError, Text, time_or};
use schemars::JsonSchema;
use serde::Deserialize;
use std::time::Duration;

/// Two weeks: a month's end is not in them, a week's job is twice.
const QUIET: Duration = Duration::from_hours(14 * 24);

/// When the old side may go.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetireFile {
    /// For how long no request may have reached the old routes, and nobody read or
    /// written the old tables (default 14d). Long enough for every job to have run.
    #[serde(default)]
    pub(crate) quiet: Option<Text>,
}

/// When the old side may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retire {
    /// For how long nobody may have used it.
    pub quiet: Duration,
}

impl Default for Retire {
    fn default() -> Self {
        Self { quiet: QUIET }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is used up")]
pub(super) fn resolve(file: RetireFile) -> Result<Retire, PlanError> {
    Ok(Retire {
        quiet: time_or(file.quiet.as_ref(), QUIET)?,
    })
}
