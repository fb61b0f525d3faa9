//! What a client of the gateway may send, and how slowly: `gateway.client`.

use crate::base::{Located, PlanError, Text, size, size_or, time_or};
use schemars::JsonSchema;
use serde::Deserialize;
use std::{num::NonZeroU64, ops::RangeInclusive, time::Duration};

/// Below it hardly a browser gets through; above it a slow client costs too
/// much memory.
const HEAD_BYTES: RangeInclusive<u64> = (1 << 10)..=(256 << 10);

/// As many as a request of a browser behind some proxies has, to as many as
/// are sorted into a map without being felt.
const HEADERS: RangeInclusive<u16> = 16..=1000;

/// What a client may send, and how slowly.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ClientFile {
    /// Longest that a request's head may take from its first byte to its last
    /// (default 60s); not above `idle`.
    #[serde(default)]
    head: Option<Text>,
    /// Longest wait for the next part of a request's body (default 60s).
    #[serde(default)]
    body: Option<Text>,
    /// Bytes that must come each second (default 1KiB; `0B` for none): `body` is all
    /// the time that a body may take besides, however many parts it comes in. Not
    /// for a stream, which says no length and is passed on as it comes.
    #[serde(default)]
    body_rate: Option<Text>,
    /// Longest that a connection is kept without a request (default 60s).
    #[serde(default)]
    idle: Option<Text>,
    /// Longest that a client may take nothing of its answer (default 60s).
    #[serde(default)]
    write: Option<Text>,
    /// Largest head, 1KiB to 256KiB (default 32KiB); 431 above.
    #[serde(default)]
    head_bytes: Option<Text>,
    /// Most headers, 16 to 1000 (default 200); 431 above.
    #[serde(default)]
    headers: Option<Located<u16>>,
    /// Largest body; 413 above. Unlimited when left out.
    #[serde(default)]
    body_bytes: Option<Text>,
}

/// What a client may send, and how slowly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientLimits {
    /// How long a head may take from its first byte to its last.
    pub head: Duration,
    /// How long each part of a body may take to come.
    pub body: Duration,
    /// How many bytes of a body must come each second.
    pub body_rate: Option<NonZeroU64>,
    /// How long a connection is kept without a request.
    pub idle: Duration,
    /// How long a client may take nothing of its answer.
    pub write: Duration,
    /// The largest head.
    pub head_bytes: usize,
    /// The most headers.
    pub headers: usize,
    /// The largest body.
    pub body_bytes: Option<u64>,
}

pub(crate) fn resolve(file: &ClientFile) -> Result<ClientLimits, PlanError> {
    let minute = Duration::from_mins(1);
    let idle = time_or(file.idle.as_ref(), minute)?;
    let head = time_or(file.head.as_ref(), minute.min(idle))?;
    if let Some(at) = file.head.as_ref().filter(|_| head > idle) {
        let message = "a head may not take longer than a connection may be idle";
        return Err(PlanError::at(at.at, message).remedy("Lower `head` or raise `idle`"));
    }
    Ok(ClientLimits {
        head,
        idle,
        body: time_or(file.body.as_ref(), minute)?,
        body_rate: NonZeroU64::new(size_or(file.body_rate.as_ref(), 1 << 10)?.0),
        write: time_or(file.write.as_ref(), minute)?,
        head_bytes: head_bytes(file.head_bytes.as_ref())?,
        headers: headers(file.headers.as_ref())?,
        body_bytes: match &file.body_bytes {
            Some(text) => Some(size(text)?.0),
            None => None,
        },
    })
}

fn head_bytes(text: Option<&Text>) -> Result<usize, PlanError> {
    let Some(text) = text else {
        return Ok(32 << 10);
    };
    let bytes = size(text)?.0;
    let wrong = || PlanError::at(text.at, "head-bytes must be 1KiB to 256KiB");
    let fits = HEAD_BYTES.contains(&bytes).then_some(bytes);
    fits.and_then(|bytes| usize::try_from(bytes).ok())
        .ok_or_else(wrong)
}

fn headers(count: Option<&Located<u16>>) -> Result<usize, PlanError> {
    match count {
        None => Ok(200),
        Some(count) if HEADERS.contains(&count.value) => Ok(usize::from(count.value)),
        Some(count) => Err(PlanError::at(count.at, "headers must be 16 to 1000")),
    }
}
