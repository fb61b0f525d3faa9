//! What services report: in batches that are taken whole or not at all. Pure.

use kit::Problem;
use kit::problem::FieldError;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::{Duration, OffsetDateTime};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::histogram::MOST_MS;

/// Items in one batch: some hundred KiB.
pub const MAX_ITEMS: usize = 5000;
/// A clock may be ahead of ours by so much.
pub const MAX_AHEAD: Duration = Duration::minutes(5);
/// More faults than this tell nobody more.
const MAX_FAULTS: usize = 20;
const MAX_NAME_LENGTH: usize = 64;
const MAX_ENDPOINT_LENGTH: usize = 200;
const MAX_METHOD_LENGTH: usize = 16;
const MAX_TEXT_LENGTH: usize = 128;
/// Of one event, as JSON.
const MAX_PROPERTIES_BYTES: usize = 4096;
/// More cores and more memory than a machine has.
const MAX_CORES: f64 = 4096.0;
const MAX_MEMORY_BYTES: i64 = 1 << 50;

/// One request that a service answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestMetric {
    /// When it was answered (RFC 3339).
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// Names this item: the same id at the same time counts once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Uuid>,
    /// Which service.
    #[schema(pattern = "^[a-z0-9][a-z0-9-]{0,63}$", example = "auth")]
    pub service: String,
    /// The route, not the path: `/contracts/{id}`.
    #[schema(pattern = "^/[!-~]{0,199}$", example = "/auth/login")]
    pub endpoint: String,
    /// The method, in capitals.
    #[schema(pattern = "^[A-Z]{1,16}$", example = "POST")]
    pub method: String,
    /// The answer's status.
    #[schema(minimum = 100, maximum = 599)]
    pub status: u16,
    /// In milliseconds.
    #[schema(minimum = 0, maximum = 86_400_000)]
    pub response_time: f64,
}

/// What one instance of a service uses at one moment. One a minute or more: a
/// minute without any costs nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResourceSample {
    /// When it was measured (RFC 3339).
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// Names this item: the same id at the same time counts once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Uuid>,
    /// Which service.
    #[schema(pattern = "^[a-z0-9][a-z0-9-]{0,63}$", example = "auth")]
    pub service: String,
    /// Which of its processes: a host or pod.
    #[schema(pattern = "^[!-~]{1,128}$", example = "auth-1")]
    pub instance: String,
    /// Cores in use: 0.5 is half of one.
    #[schema(minimum = 0, maximum = 4096)]
    pub cpu_cores: f64,
    /// Resident memory.
    #[schema(minimum = 0, maximum = 1_125_899_906_842_624_i64)]
    pub memory_bytes: i64,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// When (RFC 3339).
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// Names this item: the same id at the same time counts once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Uuid>,
    /// Which service says so.
    #[schema(pattern = "^[a-z0-9][a-z0-9-]{0,63}$", example = "contracts")]
    pub service: String,
    /// What.
    #[schema(pattern = "^[a-z0-9._-]{1,64}$", example = "contract.signed")]
    pub name: String,
    /// By or for whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[!-~]{1,128}$")]
    pub user_id: Option<String>,
    /// Whatever belongs to it, at most 4 KiB.
    #[serde(default)]
    pub properties: Map<String, Value>,
}

/// Requests and samples: together at least one and at most 5000.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MetricsBatch {
    #[serde(default)]
    #[schema(max_items = 5000)]
    pub requests: Vec<RequestMetric>,
    #[serde(default)]
    #[schema(max_items = 5000)]
    pub resources: Vec<ResourceSample>,
}

/// At least one and at most 5000.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EventsBatch {
    #[schema(min_items = 1, max_items = 5000)]
    pub events: Vec<Event>,
}

/// Times that are taken: older rows could not be rolled up any more, and what
/// is far ahead is a wrong clock.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    oldest: OffsetDateTime,
    newest: OffsetDateTime,
}

impl Window {
    /// From the beginning of a day, one day before rows begin to go.
    pub fn of(now: OffsetDateTime, raw_days: u32) -> Self {
        let days = Duration::days(i64::from(raw_days) - 1);
        Self {
            oldest: now
                .to_offset(time::UtcOffset::UTC)
                .replace_time(time::Time::MIDNIGHT)
                - days,
            newest: now + MAX_AHEAD,
        }
    }
}

/// Items that make sense.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ValidItems {
    pub requests: Vec<RequestMetric>,
    pub resources: Vec<ResourceSample>,
    pub events: Vec<Event>,
}

impl MetricsBatch {
    /// Every fault at once, up to a number.
    pub fn checked(self, window: Window) -> Result<ValidItems, Problem> {
        let mut faults = BatchErrors::new(window);
        faults.size(self.requests.len() + self.resources.len());
        for (position, one) in self.requests.iter().enumerate() {
            faults.begin("requests", position);
            faults.item(one.at, &one.service);
            faults.hold("endpoint", is_endpoint(&one.endpoint), ENDPOINT_FORM);
            faults.hold("method", is_method(&one.method), METHOD_FORM);
            let is_status = (100..=599).contains(&one.status);
            faults.hold("status", is_status, "must be from 100 to 599");
            let is_time = (0.0..=MOST_MS).contains(&one.response_time);
            faults.hold(
                "response_time",
                is_time,
                "must be from 0 to 86400000 milliseconds",
            );
        }
        for (position, one) in self.resources.iter().enumerate() {
            faults.begin("resources", position);
            faults.item(one.at, &one.service);
            faults.hold("instance", is_text(&one.instance), TEXT_FORM);
            let is_share = (0.0..=MAX_CORES).contains(&one.cpu_cores);
            faults.hold("cpu_cores", is_share, "must be from 0 to 4096");
            let is_size = (0..=MAX_MEMORY_BYTES).contains(&one.memory_bytes);
            faults.hold("memory_bytes", is_size, "must be from 0 to 2^50");
        }
        faults.none()?;
        Ok(ValidItems {
            requests: self.requests,
            resources: self.resources,
            events: Vec::new(),
        })
    }
}

impl EventsBatch {
    /// Every fault at once, up to a number.
    pub fn checked(self, window: Window) -> Result<ValidItems, Problem> {
        let mut faults = BatchErrors::new(window);
        faults.size(self.events.len());
        for (position, one) in self.events.iter().enumerate() {
            faults.begin("events", position);
            faults.item(one.at, &one.service);
            faults.hold("name", is_event_name(&one.name), EVENT_NAME_FORM);
            let is_user = one.user_id.as_deref().is_none_or(is_text);
            faults.hold("user_id", is_user, TEXT_FORM);
            let size = serde_json::to_vec(&one.properties).map_or(usize::MAX, |text| text.len());
            let is_small = size <= MAX_PROPERTIES_BYTES;
            faults.hold("properties", is_small, "must be at most 4096 bytes of JSON");
        }
        faults.none()?;
        Ok(ValidItems {
            events: self.events,
            ..ValidItems::default()
        })
    }
}

const SERVICE_FORM: &str = "must be 1 to 64 of a-z, 0-9 and -, and not begin with -";
const ENDPOINT_FORM: &str = "must begin with / and be at most 200 visible characters of ASCII";
const METHOD_FORM: &str = "must be 1 to 16 of A-Z";
const EVENT_NAME_FORM: &str = "must be 1 to 64 of a-z, 0-9, ., _ and -";
const TEXT_FORM: &str = "must be 1 to 128 visible characters of ASCII";

/// What is wrong with a batch, so far.
struct BatchErrors {
    window: Window,
    all: Vec<FieldError>,
    list: &'static str,
    position: usize,
}

impl BatchErrors {
    fn new(window: Window) -> Self {
        Self {
            window,
            all: Vec::new(),
            list: "",
            position: 0,
        }
    }

    fn begin(&mut self, list: &'static str, position: usize) {
        (self.list, self.position) = (list, position);
    }

    fn size(&mut self, items: usize) {
        if !(1..=MAX_ITEMS).contains(&items) {
            self.all.push(FieldError {
                pointer: String::new(),
                detail: format!("must have 1 to {MAX_ITEMS} items"),
            });
        }
    }

    /// What every item has.
    fn item(&mut self, at: OffsetDateTime, service: &str) {
        let Window { oldest, newest } = self.window;
        self.hold("at", at >= oldest, "is too long ago to be counted");
        self.hold("at", at <= newest, "is more than 5 minutes ahead");
        self.hold("service", is_service(service), SERVICE_FORM);
    }

    fn hold(&mut self, field: &str, holds: bool, detail: &str) {
        if !holds && self.all.len() < MAX_FAULTS {
            self.all.push(FieldError {
                pointer: format!("/{}/{}/{field}", self.list, self.position),
                detail: detail.to_owned(),
            });
        }
    }

    fn none(self) -> Result<(), Problem> {
        if self.all.is_empty() {
            Ok(())
        } else {
            Err(Problem::invalid(self.all))
        }
    }
}

fn holds(text: &str, most: usize, is_allowed: impl Fn(u8) -> bool) -> bool {
    (1..=most).contains(&text.len()) && text.bytes().all(is_allowed)
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

/// Whether a text can be a service's name.
pub fn is_service(text: &str) -> bool {
    holds(text, MAX_NAME_LENGTH, |byte| is_plain(byte) || byte == b'-') && !text.starts_with('-')
}

fn is_endpoint(text: &str) -> bool {
    holds(text, MAX_ENDPOINT_LENGTH, |byte| byte.is_ascii_graphic()) && text.starts_with('/')
}

fn is_method(text: &str) -> bool {
    holds(text, MAX_METHOD_LENGTH, |byte| byte.is_ascii_uppercase())
}

/// Whether a text can name a kind of event.
pub fn is_event_name(text: &str) -> bool {
    holds(text, MAX_NAME_LENGTH, |byte| {
        is_plain(byte) || b"._-".contains(&byte)
    })
}

fn is_text(text: &str) -> bool {
    holds(text, MAX_TEXT_LENGTH, |byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests;
