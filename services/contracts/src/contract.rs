//! What the service keeps: contracts, their events, and the requests that
//! change them. Field names are those of the API; the tables' names stay in
//! `store`.

use rust_decimal::Decimal;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use time::format_description::FormatItem;
use time::macros::format_description;
use time::{Date, OffsetDateTime};
use utoipa::ToSchema;
use uuid::Uuid;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Draft,
    Active,
    Completed,
    Cancelled,
}

impl Status {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Active => "active",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
        }
    }

    pub fn of(text: &str) -> Option<Self> {
        let all = [Self::Draft, Self::Active, Self::Completed, Self::Cancelled];
        all.into_iter().find(|status| status.as_str() == text)
    }
}

/// A contract as the API shows it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Contract {
    pub id: i64,
    pub uid: Uuid,
    pub reference: String,
    pub title: String,
    #[schema(pattern = "^(draft|active|completed|cancelled)$")]
    pub status: String,
    pub seller: i64,
    pub buyer: i64,
    pub land_plot: i64,
    #[serde(serialize_with = "two_decimals")]
    #[schema(value_type = String, pattern = "^[0-9]{1,12}[.][0-9]{2}$", example = "12500.00")]
    pub price: Decimal,
    pub currency: String,
    /// As the database writes it, because a number in it can be larger than
    /// any number type here.
    #[schema(value_type = Object)]
    pub terms: Box<RawValue>,
    /// Sorted by code point.
    pub tags: Vec<String>,
    #[serde(serialize_with = "day")]
    #[schema(value_type = Option<String>, format = Date)]
    pub signed_on: Option<Date>,
    pub version: i32,
    pub created_by: Option<i32>,
    #[serde(serialize_with = "moment")]
    pub created_at: OffsetDateTime,
    #[serde(serialize_with = "moment")]
    pub updated_at: OffsetDateTime,
}

/// One write to a contract.
#[derive(Debug, Serialize, sqlx::FromRow, ToSchema)]
pub struct Event {
    pub id: Uuid,
    pub kind: String,
    pub reference: String,
    #[serde(serialize_with = "moment")]
    pub at: OffsetDateTime,
}

/// A contract to be made; every rule of the API holds for it.
#[derive(Debug)]
pub struct NewContract {
    pub reference: String,
    pub title: String,
    pub seller: i64,
    pub buyer: i64,
    pub land_plot: i64,
    pub price: Decimal,
    pub currency: String,
    pub terms: Box<RawValue>,
    /// Sorted, each once.
    pub tags: Vec<String>,
    pub signed_on: Option<Date>,
}

/// A change of status to be made.
#[derive(Debug, PartialEq, Eq)]
pub struct StatusChange {
    pub status: Status,
    pub reference: String,
}

const DAY: &[FormatItem<'_>] = format_description!("[year]-[month]-[day]");
const MOMENT: &[FormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");

/// A date written as YYYY-MM-DD, in years 1 to 9999.
pub fn day_of(text: &str) -> Option<Date> {
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let mut parts = text.split('-');
    let plain = text.len() == 10 && parts.all(digits);
    Date::parse(text, DAY)
        .ok()
        .filter(|date| plain && date.year() > 0)
}

fn two_decimals<S: Serializer>(price: &Decimal, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{price:.2}"))
}

#[expect(
    clippy::ref_option,
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for it"
)]
fn day<S: Serializer>(date: &Option<Date>, serializer: S) -> Result<S::Ok, S::Error> {
    match date {
        Some(date) => {
            serializer.serialize_str(&date.format(DAY).map_err(serde::ser::Error::custom)?)
        }
        None => serializer.serialize_none(),
    }
}

/// sqlx reads timestamptz as UTC.
fn moment<S: Serializer>(at: &OffsetDateTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&at.format(MOMENT).map_err(serde::ser::Error::custom)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::{date, datetime};

    #[test]
    fn days_are_read_strictly() {
        assert_eq!(day_of("2026-11-20"), Some(date!(2026 - 11 - 20)));
        assert_eq!(day_of("2024-02-29"), Some(date!(2024 - 02 - 29)));
        let wrong = [
            "2026-02-29",
            "0000-01-01",
            "20261120",
            "2026-1-20",
            "2026-11-20 ",
            "",
        ];
        for text in wrong
            .into_iter()
            .chain(["+026-11-20", "2026-W47-5", "2026-11-20T00:00"])
        {
            assert_eq!(day_of(text), None, "{text}");
        }
    }

    #[test]
    fn a_contract_is_shown_as_the_api_says() {
        let at = datetime!(2026-11-20 19:02:39 UTC);
        let contract = Contract {
            id: 17,
            uid: Uuid::nil(),
            reference: "w3".into(),
            title: "Field 12".into(),
            status: Status::Draft.as_str().into(),
            seller: 4,
            buyer: 9,
            land_plot: 2,
            price: Decimal::new(125, 1),
            currency: "EUR".into(),
            terms: RawValue::from_string("{\"big\": 123456789012345678901234567890}".into())
                .unwrap(),
            tags: vec!["farm".into()],
            signed_on: Some(date!(2026 - 01 - 02)),
            version: 1,
            created_by: None,
            created_at: at,
            updated_at: at + time::Duration::microseconds(120),
        };
        assert_eq!(
            serde_json::to_string(&contract).unwrap(),
            "{\"id\":17,\"uid\":\"00000000-0000-0000-0000-000000000000\",\"reference\":\"w3\",\
             \"title\":\"Field 12\",\"status\":\"draft\",\"seller\":4,\"buyer\":9,\
             \"land_plot\":2,\"price\":\"12.50\",\"currency\":\"EUR\",\
             \"terms\":{\"big\": 123456789012345678901234567890},\"tags\":[\"farm\"],\
             \"signed_on\":\"2026-01-02\",\"version\":1,\"created_by\":null,\
             \"created_at\":\"2026-11-20T19:02:39.000000Z\",\
             \"updated_at\":\"2026-11-20T19:02:39.000120Z\"}"
        );
    }
}
