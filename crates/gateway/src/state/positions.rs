//! What the gateway asks of the data mover.

use plan::ExtractionName;
use protocol::{Lsn, Side};
use std::pin::Pin;
use tokio::sync::watch;

/// A position that is being sampled.
pub type Sample = Pin<Box<dyn Future<Output = Option<Lsn>> + Send>>;

/// Positions in the logs of both sides' databases.
///
/// Called on the gateway's own threads, each of which has a single-threaded
/// runtime: an implementation must not block, and must not rely on tasks that
/// it spawns there.
pub trait Positions: Send + Sync + 'static {
    /// The position of the log of `side`'s primary, sampled after this call:
    /// all that was committed there before the call lies before it. `None`
    /// when it cannot be had now; the gateway asks again, at a bounded rate.
    ///
    /// Each worker asks for one position of an extraction's side at a time, and
    /// for one more per comparison that shadows its reads, a handful.
    fn sample(&self, extraction: &ExtractionName, side: Side) -> Sample;

    /// How far the changes of `source`'s log have been applied on the other
    /// side. Only grows, also while nothing of the extraction changes. Asked
    /// for once, at the start of the gateway, for both sides.
    fn applied(&self, extraction: &ExtractionName, source: Side) -> watch::Receiver<Lsn>;
}
