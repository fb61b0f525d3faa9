//! Which life of an extraction something belongs to.

use protocol::{InstanceId, routing::ExtractionRouting};

/// 32 bits of its identity; 0 where it has none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Life(pub(crate) u32);

impl Life {
    pub(crate) fn of(routing: ExtractionRouting) -> Self {
        let bits = routing.instance.map(|InstanceId(id)| id.as_u128() >> 96);
        // 32 bits are left.
        Self(bits.and_then(|bits| bits.try_into().ok()).unwrap_or(0))
    }
}
