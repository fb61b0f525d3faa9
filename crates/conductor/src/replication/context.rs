//! What one extraction's loop needs from outside.

use crate::{journal::Journal, ports::Mover, publisher::Publisher};
use plan::Extraction;
use protocol::ConductorId;
use std::{sync::Arc, time::Duration};

/// The plan's extraction, and everybody whom the loop talks to.
pub(crate) struct Context {
    pub(crate) extraction: Extraction,
    /// The longest that a request is held.
    pub(crate) hold: Duration,
    /// The longest that writes in flight are waited for.
    pub(crate) drain: Duration,
    /// Bytes of log that a stream may be behind and still be well.
    pub(crate) lag: u64,
    pub(crate) conductor: ConductorId,
    pub(crate) journal: Arc<Journal>,
    pub(crate) mover: Arc<dyn Mover>,
    pub(crate) publisher: Arc<Publisher>,
}
