//! Keys of an issuer of tokens: `jwks`.

use crate::base::{Environment, FileLoader, Located, PlanError, Text, parse, plain, time_or};
use schemars::JsonSchema;
use serde::Deserialize;
use std::{path::PathBuf, time::Duration};
use url::Url;

/// Issuers publish a key well before they sign with it.
const REFRESH: Duration = Duration::from_mins(5);

/// Keys of an issuer that rotates them: one of `url` and `file`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JwksFile {
    /// `https://...` or `http://...`.
    #[serde(default)]
    pub(crate) url: Option<Text>,
    /// File with the authorities (PEM) that vouch for an `https://...` that the
    /// system's do not know.
    #[serde(default)]
    pub(crate) ca: Option<Text>,
    /// A file beside the plan.
    #[serde(default)]
    pub(crate) file: Option<Text>,
    /// How often it is read again (default 5m).
    #[serde(default)]
    pub(crate) refresh: Option<Text>,
}

/// Where an issuer's keys are, and how often they are read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jwks {
    /// Where.
    pub source: JwksSource,
    /// How often.
    pub refresh: Duration,
}

/// Where a key set is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JwksSource {
    /// A file, read again.
    File(PathBuf),
    /// `http://` or `https://`.
    Url {
        /// Where.
        url: Url,
        /// The file with the authorities that its certificate is checked by; the
        /// system's without it.
        ca: Option<PathBuf>,
    },
}

pub(super) fn resolve(
    located: &Located<JwksFile>,
    environment: Environment<'_>,
    files: &FileLoader<'_>,
) -> Result<Jwks, PlanError> {
    let Located { value: file, at } = located;
    let path = |text| Ok(files.path(&plain(text, environment)?));
    let source = match (&file.url, &file.file) {
        (Some(url), None) => {
            let url = parse(url, environment, key_set_url)?;
            if let Some(ca) = file.ca.as_ref().filter(|_| url.scheme() != "https") {
                return Err(PlanError::at(ca.at, "`ca` is for `https://` only")
                    .remedy("Write the issuer's address with https, or leave `ca` out"));
            }
            let ca = file.ca.as_ref().map(path).transpose()?;
            JwksSource::Url { url, ca }
        }
        (None, Some(file)) => JwksSource::File(path(file)?),
        _ => {
            return Err(PlanError::at(
                *at,
                "`jwks` needs exactly one of `url` and `file`",
            ));
        }
    };
    Ok(Jwks {
        source,
        refresh: time_or(file.refresh.as_ref(), REFRESH)?,
    })
}

fn key_set_url(text: &str) -> Result<Url, String> {
    let wrong = |why: &str| format!("`{text}` is no address of a key set: {why}");
    let url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(wrong("write https://issuer/path"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the address of a key set holds a password; key sets are public".to_owned());
    }
    Ok(url)
}
