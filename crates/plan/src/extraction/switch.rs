//! The bounds of a hand-over: `switch:`.

use crate::base::{ByteSize, Located, PlanError, Text, size_or, time_or};
use schemars::JsonSchema;
use serde::Deserialize;
use std::{ops::RangeInclusive, time::Duration};

/// What a hand-over can be done in, and what clients wait for.
const HOLD: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_mins(10);

/// The bounds of a hand-over.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SwitchFile {
    /// Longest that a request is held (default 2s). Three quarters of it are for
    /// drain, fence and catching up.
    #[serde(default)]
    pub(crate) hold: Option<Text>,
    /// Longest wait for writes in flight, once requests are held: past it the
    /// hand-over is undone (default 1s). It does not begin while a transaction that
    /// is older than this writes the tables.
    #[serde(default)]
    pub(crate) drain: Option<Text>,
    /// Most requests held at once (default 1000).
    #[serde(default)]
    pub(crate) held_requests: Option<Located<u32>>,
    /// Most bytes of bodies held at once (default 16MiB).
    #[serde(default)]
    pub(crate) held_bytes: Option<Text>,
    /// How far sequences start past the old owner's (default 1000).
    #[serde(default)]
    pub(crate) block: Option<Located<u32>>,
    /// How long it must have been looked who writes the tables before a switch
    /// (default 10s). Long enough for every job to have run once is best.
    #[serde(default)]
    pub(crate) observe: Option<Text>,
    /// Lag with which a switch is begun in any case (default 1MiB). With more it is
    /// begun where the stream catches up within `hold` less `drain`.
    #[serde(default)]
    pub(crate) lag: Option<Text>,
}

/// Bounds of a hand-over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Switch {
    /// The longest that a request is held.
    pub hold: Duration,
    /// How long writes in flight may take to be answered once the hold began; and
    /// how old a transaction that writes may be when a hand-over begins.
    pub drain: Duration,
    /// The most requests held at once, over all gateways of this process.
    pub held_requests: usize,
    /// The most bytes of bodies held at once.
    pub held_bytes: ByteSize,
    /// How far the new owner's sequences start past the old owner's.
    pub block: u32,
    /// How long it must have been looked who writes, before a switch.
    pub observe: Duration,
    /// The lag with which a switch is begun in any case.
    pub lag: ByteSize,
}

pub(super) fn resolve(file: SwitchFile) -> Result<Switch, PlanError> {
    let switch = Switch {
        hold: time_or(file.hold.as_ref(), Duration::from_secs(2))?,
        drain: time_or(file.drain.as_ref(), Duration::from_secs(1))?,
        held_requests: file
            .held_requests
            .as_ref()
            .map_or(1000, |count| count.value) as usize,
        held_bytes: size_or(file.held_bytes.as_ref(), 16 << 20)?,
        block: file.block.map_or(1000, |count| count.value),
        observe: time_or(file.observe.as_ref(), Duration::from_secs(10))?,
        lag: size_or(file.lag.as_ref(), 1 << 20)?,
    };
    if let Some(text) = file.hold.as_ref().filter(|_| !HOLD.contains(&switch.hold)) {
        return Err(
            PlanError::at(text.at, "`hold` is 100ms at least and 10m at most").remedy(
                "In it all is locked, fenced and caught up; clients wait no longer than they do",
            ),
        );
    }
    if let Some(count) = file.held_requests.filter(|count| count.value == 0) {
        return Err(PlanError::at(
            count.at,
            "no request could be held: each write is answered 503",
        )
        .remedy("Write how many may wait at once, or leave it out"));
    }
    if switch.drain >= switch.hold {
        let at = file
            .drain
            .or(file.hold)
            .map(|text| text.at)
            .unwrap_or_default();
        return Err(PlanError::at(at, "`drain` must be shorter than `hold`")
            .remedy("Requests are held while others drain; leave time for the switch itself"));
    }
    Ok(switch)
}
