//! HTTP/1 as clients speak it: a strict reader of what they send.
//!
//! A request that two readers frame differently is a hole: what one takes for
//! its body, the other takes for the next request. So whatever is not the plain
//! form is refused, and what passes is framed anew on its way to an upstream.
//!
//! [`head`] and [`framing`] are pure: bytes in, parts of messages out, or why not,
//! however the bytes were split. [`connection`] puts them around a connection. An
//! idle one has no buffer.
//!
//! What is refused, and why not more: `docs/gateway.md`.

pub(crate) mod connection;
pub(crate) mod framing;
pub(crate) mod head;
pub(crate) mod line;
pub(crate) mod policy;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod replay;
