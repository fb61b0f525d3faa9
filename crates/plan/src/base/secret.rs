//! Text that no output shows.

use std::fmt;
use subtle::ConstantTimeEq;

/// A key, password or shared secret: shown as `***`, compared in constant
/// time. Its length is not hidden.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Takes a text for a secret; an empty one is none.
    pub fn new(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("an empty secret is none: set its variable".to_owned());
        }
        Ok(Self(text.to_owned()))
    }

    /// The secret itself. For comparing in constant time and for signing.
    pub fn expose(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The secret itself, for what takes text: an address, a key in PEM.
    pub fn expose_text(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.expose().ct_eq(other.expose()).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
