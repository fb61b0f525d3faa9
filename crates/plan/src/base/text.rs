//! From a scalar of the file to a value: references to the environment
//! substituted, then parsed; what is wrong is said with its place.

use super::{
    error::PlanError,
    located::Text,
    quantity::{ByteSize, duration},
};
use std::time::Duration;

/// Looks up a variable.
pub(crate) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

pub(crate) fn parse<T>(
    text: &Text,
    environment: Environment<'_>,
    parser: impl Fn(&str) -> Result<T, String>,
) -> Result<T, PlanError> {
    let value = substitute(&text.value, environment).map_err(|why| PlanError::at(text.at, why))?;
    parser(&value).map_err(|why| PlanError::at(text.at, why))
}

/// Any text.
pub(crate) fn plain(text: &Text, environment: Environment<'_>) -> Result<String, PlanError> {
    substitute(&text.value, environment).map_err(|why| PlanError::at(text.at, why))
}

pub(crate) fn time(text: &Text) -> Result<Duration, PlanError> {
    duration(&text.value).map_err(|why| PlanError::at(text.at, why))
}

pub(crate) fn time_or(text: Option<&Text>, default: Duration) -> Result<Duration, PlanError> {
    text.map_or(Ok(default), time)
}

pub(crate) fn size(text: &Text) -> Result<ByteSize, PlanError> {
    ByteSize::parse(&text.value).map_err(|why| PlanError::at(text.at, why))
}

pub(crate) fn size_or(text: Option<&Text>, default: u64) -> Result<ByteSize, PlanError> {
    text.map_or(Ok(ByteSize(default)), size)
}

/// Replaces each `${NAME}` by the variable's value, once: what a value holds
/// is not looked at again.
fn substitute(text: &str, environment: Environment<'_>) -> Result<String, String> {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, reference) = rest.split_at(start);
        let end = reference
            .find('}')
            .ok_or_else(|| "a `${` has no `}`".to_owned())?;
        let name = &reference[2..end];
        let value = environment(name).ok_or_else(|| {
            format!("the environment has no `{name}`. Set it, or write the value here")
        })?;
        result.push_str(before);
        result.push_str(&value);
        rest = &reference[end + 1..];
    }
    result.push_str(rest);
    Ok(result)
}
