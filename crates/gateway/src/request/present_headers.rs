//! What of a head the gateway has to do something about.

use crate::base::header_class::{Forwarding, HeaderClass};
use http::{HeaderMap, HeaderName};

/// What one walk over a head has found. Looking a name up in a header map means
/// hashing it, which costs as much as comparing it with all names here; and most
/// heads have next to none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PresentHeaders(u16);

impl PresentHeaders {
    pub(super) const HOP_BY_HOP: u16 = 1;
    pub(super) const EXPECT: u16 = 1 << 1;
    pub(super) const CORRELATION_ID: u16 = 1 << 2;
    pub(super) const SHADOW: u16 = 1 << 3;
    pub(super) const FORWARDED_FOR: u16 = 1 << 4;
    pub(super) const FORWARDED_HOST: u16 = 1 << 5;
    pub(super) const FORWARDED_PROTO: u16 = 1 << 6;
    pub(super) const REAL_IP: u16 = 1 << 7;
    pub(super) const FORWARDED_REST: u16 = 1 << 8;

    /// Walks over a head.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let kind = |name: &HeaderName| match HeaderClass::of(name.as_str().as_bytes()) {
            HeaderClass::HopByHop => Self::HOP_BY_HOP,
            HeaderClass::Expect => Self::EXPECT,
            HeaderClass::Correlation => Self::CORRELATION_ID,
            HeaderClass::Shadow => Self::SHADOW,
            HeaderClass::Forwarding(Forwarding::For) => Self::FORWARDED_FOR,
            HeaderClass::Forwarding(Forwarding::Host) => Self::FORWARDED_HOST,
            HeaderClass::Forwarding(Forwarding::Proto) => Self::FORWARDED_PROTO,
            HeaderClass::Forwarding(Forwarding::RealIp) => Self::REAL_IP,
            HeaderClass::Forwarding(Forwarding::Address | Forwarding::Rest) => Self::FORWARDED_REST,
            HeaderClass::Length | HeaderClass::Reserved | HeaderClass::Other => 0,
        };
        Self(headers.keys().fold(0, |seen, name| seen | kind(name)))
    }

    /// Whether it says anything of the way that its request has come.
    pub(super) fn tells_way(self) -> bool {
        self.has(
            Self::FORWARDED_FOR
                | Self::FORWARDED_HOST
                | Self::FORWARDED_PROTO
                | Self::REAL_IP
                | Self::FORWARDED_REST,
        )
    }

    /// Whether it has one of these.
    pub(super) fn has(self, kind: u16) -> bool {
        self.0 & kind != 0
    }
}
