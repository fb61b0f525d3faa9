//! Values that are never printed, and compare in constant time.

use std::fmt;

use subtle::ConstantTimeEq;

use super::reader::Setting;

/// A password, a key. It is never shown, and compares in a time that depends
/// on its length only.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Takes a text as a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for whoever has to send or hash it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether a given value is this.
    pub fn matches(&self, given: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(given).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Setting for Secret {
    const IS_SECRET: bool = true;

    fn form() -> String {
        "a secret text".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        Some(Self::new(text))
    }
}

/// Secrets of which any will do, so that they can be replaced one after the
/// other. The first is the one that we use ourselves.
#[derive(Debug, Clone)]
pub struct Secrets(Vec<Secret>);

impl Secrets {
    /// The one that we use ourselves.
    pub fn first(&self) -> Option<&Secret> {
        self.0.first()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Secret> {
        self.0.iter()
    }

    /// Which one this is, in a time that does not depend on which.
    pub fn position(&self, given: &[u8]) -> Option<usize> {
        let all = self.0.iter().enumerate();
        all.fold(None, |found, (at, secret)| {
            let matches = secret.matches(given);
            if matches { Some(at) } else { found }
        })
    }
}

impl Setting for Secrets {
    const IS_SECRET: bool = true;

    fn form() -> String {
        "secret texts, with commas between them".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        let parts = text.split(',').map(str::trim).filter(|one| !one.is_empty());
        let secrets: Vec<_> = parts.map(Secret::new).collect();
        (!secrets.is_empty()).then_some(Self(secrets))
    }
}
