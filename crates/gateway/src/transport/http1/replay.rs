//! What the reader makes of a client's bytes, without a connection: for tests.

use super::{
    framing::Coming,
    head::HeadReader,
    policy::{Limits, MessagePart},
};
use crate::base::malformed::Malformed;
use bytes::{Buf, BytesMut};

/// Reads messages as their bytes come.
#[derive(Debug)]
pub(crate) struct Replay {
    limits: Limits,
    read: BytesMut,
    head: HeadReader,
    body: Option<Coming>,
    refused: Option<(MessagePart, Malformed)>,
    /// How many bytes have come.
    bytes: usize,
    /// After how many of them a message has ended.
    pub(crate) ends: Vec<usize>,
}

impl Replay {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            read: BytesMut::new(),
            head: HeadReader::default(),
            body: None,
            refused: None,
            bytes: 0,
            ends: Vec::new(),
        }
    }

    /// More has come. What is wrong with it, if anything is; once refused, always
    /// refused.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Option<(MessagePart, Malformed)> {
        self.bytes += bytes.len();
        self.read.extend_from_slice(bytes);
        while self.refused.is_none() && self.step() {}
        self.refused
    }

    /// Whether nothing has come of the next message.
    pub(crate) fn is_between(&self) -> bool {
        self.refused.is_none() && self.body.is_none() && self.read.is_empty()
    }

    /// Whether there was something to take.
    fn step(&mut self) -> bool {
        let Some(body) = &mut self.body else {
            return match self.head.feed(&self.read, self.limits) {
                Ok(None) => false,
                Ok(Some(length)) => {
                    let head = self.read.split_to(length).freeze();
                    match std::mem::take(&mut self.head).finish(&head) {
                        Ok(head) => self.body = Some(head.body),
                        Err(why) => self.refused = Some((MessagePart::Head, why)),
                    }
                    self.end_body();
                    true
                }
                Err(why) => {
                    self.refused = Some((MessagePart::Head, why));
                    false
                }
            };
        };
        let before = self.read.remaining();
        if let Err(why) = body.take(&mut self.read) {
            self.refused = Some((MessagePart::Body, why));
            return false;
        }
        let taken = self.read.remaining() < before;
        self.end_body();
        taken
    }

    fn end_body(&mut self) {
        if self.body.as_ref().is_some_and(Coming::has_ended) {
            self.body = None;
            self.ends.push(self.bytes - self.read.len());
        }
    }
}
