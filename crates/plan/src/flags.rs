//! Feature flags, which choose a side for a user's reads: `gateway.flags` and
//! `rollout.flag`.

use crate::base::{Environment, Located, PlanError, Secret, Text, parse, time_or};
use schemars::JsonSchema;
use serde::Deserialize;
use std::{collections::BTreeMap, time::Duration};
use url::Url;

/// How soon a changed flag counts; what it costs Redis is bounded besides.
const EVERY: Duration = Duration::from_secs(1);

/// A name becomes part of Redis' keys.
const NAME_BYTES_MAX: usize = 64;

/// Feature flags, which choose a side for a user's reads.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FlagsFile {
    /// `redis://host:port/database`, where `feature:NAME:user:ID` and
    /// `feature:NAME` hold `true` or `false`.
    #[serde(default)]
    redis: Option<Text>,
    /// How often they are read from there (default 1s).
    #[serde(default)]
    every: Option<Text>,
    /// Flags that the plan sets, by name. What Redis says comes first.
    #[serde(default)]
    set: BTreeMap<String, Located<FlagFile>>,
}

/// What the plan says of a flag.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FlagFile {
    /// For all that are not named below.
    #[serde(default)]
    everybody: Option<ChoiceFile>,
    /// By user: by what clients of the extraction are known by.
    #[serde(default)]
    users: BTreeMap<String, ChoiceFile>,
}

/// The side that a user's reads go to.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ChoiceFile {
    /// To the service.
    Always,
    /// To the monolith.
    Never,
}

/// Feature flags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flags {
    /// Where they are kept, beside the plan.
    pub store: Option<FlagStore>,
    /// What the plan says of them.
    pub set: BTreeMap<String, Flag>,
}

/// The Redis that keeps flags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlagStore {
    /// `redis://...`, which may hold a password.
    pub redis: Secret,
    /// How often it is read.
    pub every: Duration,
}

/// What is said of a flag.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flag {
    /// For all that are not named.
    pub everybody: Option<FlagChoice>,
    /// By user.
    pub users: BTreeMap<String, FlagChoice>,
}

/// The side that a user's reads go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlagChoice {
    /// To the service.
    Always,
    /// To the monolith.
    Never,
}

impl From<ChoiceFile> for FlagChoice {
    fn from(file: ChoiceFile) -> Self {
        match file {
            ChoiceFile::Always => Self::Always,
            ChoiceFile::Never => Self::Never,
        }
    }
}

/// The name of a flag.
pub(crate) fn name(text: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    if (1..=NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(plain) {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "`{text}` is no name of a flag: write 1 to {NAME_BYTES_MAX} of a-z, A-Z, 0-9, _, . and -"
        ))
    }
}

/// `is_used` tells whether an extraction names a flag.
pub(crate) fn resolve(
    file: FlagsFile,
    is_used: impl Fn(&str) -> bool,
    environment: Environment<'_>,
) -> Result<Flags, PlanError> {
    let mut set = BTreeMap::new();
    for (text, located) in file.set {
        let Located { value: flag, at } = located;
        let name = name(&text).map_err(|why| PlanError::at(at, why))?;
        if !is_used(&name) {
            return Err(
                PlanError::at(at, format!("no extraction has the flag `{name}`"))
                    .remedy("Name it as `flag:` in a `rollout:`, or take it away"),
            );
        }
        let users = flag.users.into_iter();
        let flag = Flag {
            everybody: flag.everybody.map(FlagChoice::from),
            users: users.map(|(user, choice)| (user, choice.into())).collect(),
        };
        set.insert(name, flag);
    }
    let every = time_or(file.every.as_ref(), EVERY)?;
    let store = file.redis.map(|text| {
        // It may hold a password: no message may repeat it.
        let redis = parse(&text, environment, |text| match Url::parse(text) {
            Ok(url) if url.scheme() == "redis" && url.host_str().is_some() => Secret::new(text),
            _ => Err("the flags' address is unusable: write redis://host:port/0".to_owned()),
        })?;
        Ok(FlagStore { redis, every })
    });
    Ok(Flags {
        store: store.transpose()?,
        set,
    })
}
