//! Random texts that nobody guesses.

use subtle::ConstantTimeEq;

/// Bytes of each.
const BYTES: usize = 32;

/// A new one, in hexadecimal. `None` where the operating system gives no random bytes.
pub(crate) fn new() -> Option<String> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).ok()?;
    Some(hex::encode(bytes))
}

/// Whether both are the same, in a time that does not tell where they differ.
pub(crate) fn is_same(one: &str, other: &str) -> bool {
    bool::from(one.as_bytes().ct_eq(other.as_bytes()))
}
