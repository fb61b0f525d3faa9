//! Takes fields off the front of a message, checking that they are there.

use super::error::DecodeError;
use bytes::{Buf, Bytes};
use protocol::Lsn;

/// What is left of a message.
pub(super) struct Reader {
    left: Bytes,
}

macro_rules! number {
    ($name:ident, $type:ty, $get:ident) => {
        pub(super) fn $name(&mut self, what: &'static str) -> Result<$type, DecodeError> {
            if self.left.len() < size_of::<$type>() {
                return Err(DecodeError::Truncated(what));
            }
            Ok(self.left.$get())
        }
    };
}

impl Reader {
    pub(super) fn new(message: Bytes) -> Self {
        Self { left: message }
    }

    pub(super) fn remaining(&self) -> usize {
        self.left.len()
    }

    number!(byte, u8, get_u8);
    number!(u16, u16, get_u16);
    number!(u32, u32, get_u32);
    number!(i32, i32, get_i32);
    number!(i64, i64, get_i64);

    pub(super) fn lsn(&mut self, what: &'static str) -> Result<Lsn, DecodeError> {
        if self.left.len() < 8 {
            return Err(DecodeError::Truncated(what));
        }
        Ok(Lsn(self.left.get_u64()))
    }

    /// The next bytes, not copied.
    pub(super) fn bytes(
        &mut self,
        length: usize,
        what: &'static str,
    ) -> Result<Bytes, DecodeError> {
        if self.left.len() < length {
            return Err(DecodeError::Truncated(what));
        }
        Ok(self.left.split_to(length))
    }

    /// A text that ends with NUL.
    pub(super) fn text(&mut self, what: &'static str) -> Result<String, DecodeError> {
        let end = self
            .left
            .iter()
            .position(|&byte| byte == 0)
            .ok_or(DecodeError::Truncated(what))?;
        let text = self.left.split_to(end);
        self.left.advance(1);
        std::str::from_utf8(&text)
            .map(str::to_owned)
            .map_err(|_| DecodeError::Encoding(what))
    }
}
