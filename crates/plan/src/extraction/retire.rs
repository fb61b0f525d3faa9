//! When the old side may go: `retire:`.

use crate::base::{PlanError, Text, time_or};
use schemars::JsonSchema;
use serde::Deserialize;
use std::time::Duration;

/// Two weeks: a month's end is not in them, a week's job is twice.
const QUIET: Duration = Duration::from_hours(14 * 24);

/// It is looked every few seconds.
const QUIET_MIN: Duration = Duration::from_secs(1);

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

pub(super) fn resolve(file: RetireFile) -> Result<Retire, PlanError> {
    let quiet = time_or(file.quiet.as_ref(), QUIET)?;
    if let Some(text) = file.quiet.filter(|_| quiet < QUIET_MIN) {
        return Err(PlanError::at(text.at, "so short a silence proves nothing")
            .remedy("Write how long every job needs to have run, as `quiet: 14d`"));
    }
    Ok(Retire { quiet })
}
