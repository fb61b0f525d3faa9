//! A key that takes `on` or `off`.

use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer,
    de::{Error, Visitor},
};
use std::fmt;

/// `on` or `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Toggle {
    /// It is wanted.
    On,
    /// It is not.
    Off,
}

impl Toggle {
    pub(crate) fn is_on(self) -> bool {
        self == Self::On
    }
}

impl<'de> Deserialize<'de> for Toggle {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl Visitor<'_> for Reader {
    type Value = Toggle;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`on` or `off`")
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<Toggle, E> {
        match word {
            "on" => Ok(Toggle::On),
            "off" => Ok(Toggle::Off),
            other => Err(E::custom(format!("`{other}` is neither `on` nor `off`"))),
        }
    }

    /// `on` and `off` are truth values to older readers of YAML.
    fn visit_bool<E: Error>(self, on: bool) -> Result<Toggle, E> {
        Ok(if on { Toggle::On } else { Toggle::Off })
    }
}
