//! A key that takes one scalar or a mapping: `health: /path`, `breaker: off`.

use super::{error::PlanError, located::Position};
use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor, value::MapAccessDeserializer},
};
use std::{fmt, marker::PhantomData};

/// One word, or settings.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
pub enum ScalarOrMap<T> {
    /// A word: its meaning depends on the key.
    Scalar(String),
    /// Settings.
    Map(T),
}

impl<T: Default> ScalarOrMap<T> {
    /// For keys whose scalars are `on` and `off`.
    pub(crate) fn switched(self, at: Position) -> Result<Option<T>, PlanError> {
        match self {
            Self::Map(settings) => Ok(Some(settings)),
            Self::Scalar(word) if word == "on" => Ok(Some(T::default())),
            Self::Scalar(word) if word == "off" => Ok(None),
            Self::Scalar(word) => Err(PlanError::at(at, format!("`{word}` is no setting"))
                .remedy("Write `on`, `off` or a mapping")),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for ScalarOrMap<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader(PhantomData))
    }
}

struct Reader<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Reader<T> {
    type Value = ScalarOrMap<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a word or a mapping")
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<Self::Value, E> {
        Ok(ScalarOrMap::Scalar(word.to_owned()))
    }

    /// `on` and `off` are truth values to older readers of YAML.
    fn visit_bool<E: Error>(self, on: bool) -> Result<Self::Value, E> {
        Ok(ScalarOrMap::Scalar(
            if on { "on" } else { "off" }.to_owned(),
        ))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(ScalarOrMap::Map)
    }
}
