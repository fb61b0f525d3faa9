//! External services, as they are registered. Pure.

use std::time::Duration;

use kit::Problem;
use kit::outside::{self, Destinations};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::health::{State, Thresholds};
use crate::instance::{is_name, is_path};

const URL_MAX: usize = 500;
const DAY: u32 = 86_400;
/// Where a service's reference panels are, below its address.
const PANELS_PATH: &str = "/reference-panels";

/// What is told of an external service.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExternalRegistration {
    /// Its name, which no other one has: letters, digits, `-`, `_` and `.`.
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9._-]+$")]
    pub name: String,
    /// Where it is: scheme, host, port, perhaps a path.
    #[schema(max_length = 500, example = "https://imputation.example.com/api")]
    pub url: String,
    /// What it is for: `imputation`.
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9._-]+$")]
    pub kind: String,
    /// Where it says that it is well, below its address.
    #[serde(default = "usual_path")]
    #[schema(max_length = 200, pattern = "^/")]
    pub health_path: String,
    /// How often it is asked that.
    #[serde(default = "usual_check")]
    #[schema(minimum = 1, maximum = 86400)]
    pub check_interval_seconds: u32,
    /// How often its reference panels are asked for; never without this.
    #[schema(minimum = 1, maximum = 604_800)]
    pub sync_interval_seconds: Option<u32>,
    /// A check that takes longer is slow.
    #[serde(default = "usual_slow")]
    #[schema(minimum = 1, maximum = 60000)]
    pub slow_milliseconds: u32,
    /// After so many failures in a row it is unhealthy.
    #[serde(default = "usual_failures")]
    #[schema(minimum = 1, maximum = 100)]
    pub unhealthy_after: u32,
    /// After so many passes in a row it is healthy again.
    #[serde(default = "usual_passes")]
    #[schema(minimum = 1, maximum = 100)]
    pub healthy_after: u32,
}

fn usual_path() -> String {
    "/health".to_owned()
}

fn usual_check() -> u32 {
    30
}

fn usual_slow() -> u32 {
    2000
}

fn usual_failures() -> u32 {
    3
}

fn usual_passes() -> u32 {
    2
}

/// An external service.
#[derive(Debug, Clone, Serialize, FromRow, ToSchema)]
pub struct External {
    /// Which one.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// What it is for.
    pub kind: String,
    /// Where it says that it is well.
    pub health_path: String,
    /// How often it is asked that.
    pub check_interval_seconds: i32,
    /// How often its reference panels are asked for.
    pub sync_interval_seconds: Option<i32>,
    /// A check that takes longer is slow.
    pub slow_milliseconds: i32,
    /// Failures in a row until it is unhealthy.
    pub unhealthy_after: i32,
    /// Passes in a row until it is healthy again.
    pub healthy_after: i32,
    /// How it is.
    pub state: State,
    /// Since when.
    #[serde(with = "time::serde::rfc3339")]
    pub state_since: OffsetDateTime,
    /// Checks in a row that did not fail.
    pub passes: i32,
    /// Checks in a row that did.
    pub failures: i32,
    /// The version of its catalogue of reference panels; 0 before the first.
    pub panels_version: i32,
    /// Since when it is known.
    #[serde(with = "time::serde::rfc3339")]
    pub registered_at: OffsetDateTime,
}

impl External {
    /// Where it is asked whether it is well.
    pub fn health_url(&self) -> String {
        format!("{}{}", self.url, self.health_path)
    }

    /// Where it is asked for its reference panels.
    pub fn panels_url(&self) -> String {
        format!("{}{PANELS_PATH}", self.url)
    }

    /// When a check counts as slow.
    pub fn slow(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.slow_milliseconds).unwrap_or_default())
    }

    /// What changes its state.
    pub fn thresholds(&self) -> Thresholds {
        Thresholds {
            unhealthy_after: self.unhealthy_after,
            healthy_after: self.healthy_after,
        }
    }
}

impl ExternalRegistration {
    /// Itself, with the address in its usual form, if nothing is wrong with it.
    pub fn checked(mut self, destinations: Destinations) -> Result<Self, Problem> {
        let name = "must be 1 to 64 letters, digits, dashes, underscores or dots";
        let url = outside::parse(&self.url, destinations);
        let url_rule = match &url {
            Err(rule) => Some(*rule),
            Ok(url) if url.query().is_some() || url.fragment().is_some() => {
                Some("must not have a query or a fragment")
            }
            Ok(_) if self.url.len() > URL_MAX => Some("must be at most 500 characters long"),
            Ok(_) => None,
        };
        let between = |number: u32, most: u32| (1..=most).contains(&number);
        let sync = self.sync_interval_seconds.unwrap_or(1);
        let rules = [
            ("/name", (!is_name(&self.name)).then_some(name)),
            ("/kind", (!is_name(&self.kind)).then_some(name)),
            ("/url", url_rule),
            (
                "/health_path",
                // Anything else could lead to another host.
                (!is_path(&self.health_path) || self.health_path.contains(['#', '\\']))
                    .then_some("must be a path of up to 200 visible characters of ASCII"),
            ),
            (
                "/check_interval_seconds",
                (!between(self.check_interval_seconds, DAY)).then_some("must be from 1 to 86400"),
            ),
            (
                "/sync_interval_seconds",
                (!between(sync, 7 * DAY)).then_some("must be from 1 to 604800"),
            ),
            (
                "/slow_milliseconds",
                (!between(self.slow_milliseconds, 60_000)).then_some("must be from 1 to 60000"),
            ),
            (
                "/unhealthy_after",
                (!between(self.unhealthy_after, 100)).then_some("must be from 1 to 100"),
            ),
            (
                "/healthy_after",
                (!between(self.healthy_after, 100)).then_some("must be from 1 to 100"),
            ),
        ];
        let broken = rules
            .iter()
            .filter_map(|(pointer, rule)| Some((pointer, (*rule)?)));
        let errors: Vec<_> = broken
            .map(|(pointer, rule)| kit::problem::FieldError {
                pointer: (*pointer).to_owned(),
                detail: rule.to_owned(),
            })
            .collect();
        match url {
            Ok(url) if errors.is_empty() => {
                url.as_str().trim_end_matches('/').clone_into(&mut self.url);
                Ok(self)
            }
            _ => Err(Problem::invalid(errors)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn read(body: &Value, destinations: Destinations) -> Result<ExternalRegistration, Problem> {
        let text = body.to_string();
        kit::extract::parse_json::<ExternalRegistration>(text.as_bytes())?.checked(destinations)
    }

    fn with(field: &str, value: Value) -> Value {
        let mut body =
            json!({ "name": "a", "url": "https://a.example.com/api/", "kind": "imputation" });
        body[field] = value;
        body
    }

    #[test]
    fn the_rest_has_its_usual_value() {
        let told = read(&with("name", json!("b")), Destinations::Public).unwrap();
        assert_eq!(told.url, "https://a.example.com/api");
        assert_eq!((told.check_interval_seconds, told.unhealthy_after), (30, 3));
        assert_eq!(told.sync_interval_seconds, None);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (field, value) in [
            ("name", json!("a/b")),
            ("name", json!("'; drop table external_services; --")),
            ("kind", json!("")),
            ("url", json!("http://a.example.com")),
            ("url", json!("https://127.0.0.1/")),
            ("url", json!("https://169.254.169.254/latest")),
            ("url", json!("https://user:pass@a.example.com/")),
            ("url", json!("https://a.example.com/?q=1")),
            (
                "url",
                json!(format!("https://a.example.com/{}", "x".repeat(500))),
            ),
            ("health_path", json!("health")),
            ("health_path", json!("@evil.example.com/")),
            ("health_path", json!("/a b")),
            ("health_path", json!("/a\r\nHost: b")),
            ("check_interval_seconds", json!(0)),
            ("sync_interval_seconds", json!(0)),
            ("sync_interval_seconds", json!(604_801)),
            ("slow_milliseconds", json!(60_001)),
            ("unhealthy_after", json!(0)),
            ("healthy_after", json!(101)),
            ("healthy_after", json!("2")),
        ] {
            let body = with(field, value);
            let shown = format!("{:?}", read(&body, Destinations::Public).unwrap_err());
            assert!(
                shown.contains(&format!("pointer: \"/{field}\"")),
                "{body}: {shown}"
            );
        }
        assert!(read(&with("surprise", json!(1)), Destinations::Any).is_err());
        assert!(read(&with("url", json!("http://127.0.0.1:1")), Destinations::Any).is_ok());
    }

    proptest! {
        #[test]
        fn nothing_panics_and_what_passes_stays_where_it_is(
            url in "(https?://)?\\PC{0,40}", path in "/?\\PC{0,30}", number in any::<u32>(),
        ) {
            let body = json!({
                "name": "a", "url": url, "kind": "k", "health_path": path,
                "check_interval_seconds": number,
            });
            if let Ok(told) = read(&body, Destinations::Any) {
                let base = url::Url::parse(&told.url).unwrap();
                let asked = url::Url::parse(&format!("{}{}", told.url, told.health_path)).unwrap();
                // The path cannot lead to somebody else.
                prop_assert_eq!(base.host_str(), asked.host_str());
                prop_assert_eq!(base.port_or_known_default(), asked.port_or_known_default());
            }
        }
    }
}
