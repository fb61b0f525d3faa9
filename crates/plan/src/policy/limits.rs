//! How often one may ask: `limits`.

use crate::base::{Environment, Located, PlanError, Position, Text, header_name, parse};
use schemars::JsonSchema;
use serde::Deserialize;
use std::num::NonZeroU64;

/// One limit: at least one of the windows.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LimitFile {
    /// What is counted separately (default consumer; by address where there
    /// is none).
    #[serde(default)]
    pub(crate) by: Option<ByFile>,
    /// Requests per second.
    #[serde(default)]
    pub(crate) second: Option<Located<u64>>,
    /// Requests per minute.
    #[serde(default)]
    pub(crate) minute: Option<Located<u64>>,
    /// Requests per hour.
    #[serde(default)]
    pub(crate) hour: Option<Located<u64>>,
    /// Requests per day, UTC.
    #[serde(default)]
    pub(crate) day: Option<Located<u64>>,
    /// Requests per month of the calendar, UTC.
    #[serde(default)]
    pub(crate) month: Option<Located<u64>>,
    /// Requests per year of the calendar, UTC.
    #[serde(default)]
    pub(crate) year: Option<Located<u64>>,
    /// Do not tell clients how much is left.
    #[serde(default)]
    pub(crate) hide_headers: bool,
    /// Count in this process (default), or in `gateway.limits-store`.
    #[serde(default)]
    pub(crate) store: Option<Located<StoreFile>>,
    /// When the store cannot be asked (default allow).
    #[serde(default)]
    pub(crate) on_error: Option<OnErrorFile>,
}

/// What is counted separately.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ByFile {
    /// The consumer, or a token's subject.
    Consumer,
    /// The single key or credential.
    Credential,
    /// The client's address.
    Address,
    /// Each path.
    Path,
    /// All requests together.
    Everybody,
    /// The value of this header.
    Header(Text),
}

/// Where counters are.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StoreFile {
    /// In this process.
    Local,
    /// In the Redis of `gateway.limits-store`.
    Redis,
}

/// What happens when the counters cannot be asked.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnErrorFile {
    /// Requests pass, uncounted.
    Allow,
    /// Requests are answered 503.
    Refuse,
}

/// How often one may ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Where it stands. Counters of different scopes are different counters,
    /// in this process and in Redis.
    pub scope: String,
    /// All of them must leave room.
    pub rules: Vec<Limit>,
}

/// One count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// What is counted separately.
    pub by: LimitBy,
    /// How much in which window; at least one, shortest first.
    pub windows: Vec<(Period, NonZeroU64)>,
    /// Whether the client is told how much is left.
    pub tells: bool,
    /// Where the counter is.
    pub store: Store,
    /// What happens when the store cannot be asked.
    pub on_error: OnError,
    /// The status of the refusal, most often 429.
    pub status: u16,
}

/// What is counted separately. Who cannot be told by it is told by address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LimitBy {
    /// The consumer; of tokens without one, their subject.
    Consumer,
    /// The key or token credential, of which a consumer may have several.
    Credential,
    /// The client's address; of IPv6 its /64, which is what one client has.
    Address,
    /// The value of this header, lower case.
    Header(String),
    /// Every path.
    EachPath,
    /// This path.
    Path(String),
    /// Nothing: all requests together.
    Everybody,
}

/// Where a counter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// In this process, shared by its workers.
    Local,
    /// In the Redis of `gateway.limits-store`, shared by all gateways.
    Redis,
}

/// What happens to a request when the counters cannot be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// It passes, uncounted.
    Allow,
    /// It is answered 503.
    Refuse,
}

/// A window of a limit. All begin at UTC's own borders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Period {
    /// A second.
    Second,
    /// A minute.
    Minute,
    /// An hour.
    Hour,
    /// A day.
    Day,
    /// A month of the calendar.
    Month,
    /// A year of the calendar.
    Year,
}

impl Period {
    /// All, shortest first.
    pub const ALL: [Self; 6] = [
        Self::Second,
        Self::Minute,
        Self::Hour,
        Self::Day,
        Self::Month,
        Self::Year,
    ];

    /// Its name, as it ends `X-RateLimit-Limit-...`, lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
            Self::Year => "year",
        }
    }
}

pub(super) fn resolve(
    all: Vec<Located<LimitFile>>,
    scope: &str,
    environment: Environment<'_>,
) -> Result<Limits, PlanError> {
    let rules = all
        .into_iter()
        .map(|one| limit(one.at, one.value, environment))
        .collect::<Result<_, _>>()?;
    Ok(Limits {
        scope: scope.to_owned(),
        rules,
    })
}

fn limit(at: Position, file: LimitFile, environment: Environment<'_>) -> Result<Limit, PlanError> {
    let counts = [
        file.second,
        file.minute,
        file.hour,
        file.day,
        file.month,
        file.year,
    ];
    let mut windows: Vec<(Period, NonZeroU64)> = Vec::new();
    for (period, count) in Period::ALL.into_iter().zip(counts) {
        let Some(count) = count else { continue };
        let wrong = |why: String| PlanError::at(count.at, why);
        let number = NonZeroU64::new(count.value)
            .ok_or_else(|| wrong("a limit of 0 would refuse everybody".to_owned()))?;
        if let Some((shorter, less)) = windows.last()
            && *less > number
        {
            return Err(wrong(format!(
                "`{}: {number}` makes `{}: {less}` pointless",
                period.as_str(),
                shorter.as_str()
            ))
            .remedy("A longer window must allow at least as much as a shorter one"));
        }
        windows.push((period, number));
    }
    if windows.is_empty() {
        return Err(PlanError::at(at, "a limit has no window")
            .remedy("Add one of second, minute, hour, day, month, year"));
    }
    Ok(Limit {
        by: match file.by {
            None | Some(ByFile::Consumer) => LimitBy::Consumer,
            Some(ByFile::Credential) => LimitBy::Credential,
            Some(ByFile::Address) => LimitBy::Address,
            Some(ByFile::Path) => LimitBy::EachPath,
            Some(ByFile::Everybody) => LimitBy::Everybody,
            Some(ByFile::Header(name)) => LimitBy::Header(parse(&name, environment, header_name)?),
        },
        windows,
        tells: !file.hide_headers,
        store: match file.store.map(|store| store.value) {
            None | Some(StoreFile::Local) => Store::Local,
            Some(StoreFile::Redis) => Store::Redis,
        },
        on_error: match file.on_error {
            None | Some(OnErrorFile::Allow) => OnError::Allow,
            Some(OnErrorFile::Refuse) => OnError::Refuse,
        },
        status: 429,
    })
}
