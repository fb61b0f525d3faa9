//! Rows' bytes on their way into a `COPY FROM`, undecoded.

use bytes::{Bytes, BytesMut};
use futures_util::SinkExt;
use std::pin::Pin;
use tokio_postgres::CopyInSink;

/// What goes on at once. The source sends a message per row: each for itself would be
/// a write of its own; a long one, whole, would be held once more.
const PIECE_BYTES: usize = 64 << 10;

/// The way into the target, in pieces of one size.
pub(super) struct Pipe {
    to: Pin<Box<CopyInSink<Bytes>>>,
    piece: BytesMut,
}

impl Pipe {
    pub(super) fn new(to: CopyInSink<Bytes>) -> Self {
        Self {
            to: Box::pin(to),
            piece: BytesMut::with_capacity(PIECE_BYTES),
        }
    }

    /// Hands a message on.
    pub(super) async fn pass(&mut self, mut message: Bytes) -> Result<(), tokio_postgres::Error> {
        while self.piece.len() + message.len() >= PIECE_BYTES {
            let fits = message.split_to(PIECE_BYTES - self.piece.len());
            self.piece.extend_from_slice(&fits);
            self.to.feed(self.piece.split().freeze()).await?;
            self.piece.reserve(PIECE_BYTES);
        }
        self.piece.extend_from_slice(&message);
        Ok(())
    }

    /// Ends the copy: the rows that the target has taken.
    pub(super) async fn finish(mut self) -> Result<u64, tokio_postgres::Error> {
        self.to.feed(self.piece.freeze()).await?;
        self.to.as_mut().finish().await
    }
}
