//! A strict reader of what clients send, in front of hyper's lenient one.
//!
//! A request that two readers frame differently is a hole: what one takes for
//! its body, the other takes for the next request. hyper accepts some of what
//! others refuse (bare line feeds, `Content-Length` beside
//! `Transfer-Encoding`). So the bytes of HTTP/1 pass a [`Validator`] first, which
//! follows the framing and refuses whatever is not the plain form.
//!
//! [`Validator`] is pure: chunks of bytes in, a verdict out, and the verdict does
//! not depend on how the bytes were split. [`Validated`] puts it around a
//! connection. It keeps no bytes of its own but those of a line that came in
//! parts, so an idle connection costs the size of the struct.
//!
//! What is refused, and why not more: `docs/gateway.md`.

pub(crate) mod framing;
mod io;
pub(crate) mod line;
mod malformed;

pub(crate) use framing::{MessagePart, Refused};
pub(crate) use io::{Policy, Validated};
pub(crate) use malformed::Malformed;
