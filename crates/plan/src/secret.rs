//! Text that no output shows.

use std::fmt;

/// A secret. Its `Debug` shows nothing of it; there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
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
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}
