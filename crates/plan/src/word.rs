//! A key that takes one word or a mapping: `health: /path`, `breaker: off`.

use crate::{PlanError, located::Position};
use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor, value::MapAccessDeserializer},
};
use std::{fmt, marker::PhantomData};

/// One word, or settings.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
pub enum OrWord<T> {
    /// A word: its meaning depends on the key.
    Word(String),
    /// Settings.
    Settings(T),
}

impl<T: Default> OrWord<T> {
    /// For keys whose words are `on` and `off`.
    pub(crate) fn switched(self, at: Position) -> Result<Option<T>, PlanError> {
        match self {
            Self::Settings(settings) => Ok(Some(settings)),
            Self::Word(word) if word == "on" => Ok(Some(T::default())),
            Self::Word(word) if word == "off" => Ok(None),
            Self::Word(word) => Err(PlanError::at(at, format!("`{word}` is no setting"))
                .remedy("Write `on`, `off` or a mapping")),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OrWord<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader(PhantomData))
    }
}

struct Reader<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Reader<T> {
    type Value = OrWord<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a word or a mapping")
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<Self::Value, E> {
        Ok(OrWord::Word(word.to_owned()))
    }

    /// `on` and `off` are truth values to older readers of YAML.
    fn visit_bool<E: Error>(self, on: bool) -> Result<Self::Value, E> {
        Ok(OrWord::Word(if on { "on" } else { "off" }.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(OrWord::Settings)
    }
}
