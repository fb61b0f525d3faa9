//! Instances of services, as they tell of themselves. Pure.

use kit::Problem;
use kit::settings::{Origin, Setting};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

const NAME_MAX: usize = 64;
const URL_MAX: usize = 500;
const TAGS_MAX: usize = 16;
const TEXT_MAX: usize = 64;
const PATH_MAX: usize = 200;
const TTL_MAX: u32 = 3600;
const TTL_USUAL: u32 = 15;

/// What an instance tells. Fields that are not known here are left alone: a
/// newer kit may tell more.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Registration {
    /// The service's name: letters, digits, `-`, `_` and `.`.
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9._-]+$")]
    pub name: String,
    /// Where the instance is reached: scheme, host, port, perhaps a path.
    #[schema(max_length = 500, example = "http://127.0.0.1:8001")]
    pub url: String,
    /// Marks of this instance.
    #[serde(default)]
    #[schema(max_items = 16)]
    pub tags: Vec<String>,
    /// Where its health is asked. For whoever wants to: the registry does not.
    #[serde(default = "usual_health")]
    #[schema(max_length = 200, pattern = "^/")]
    pub health: String,
    /// Which version it is.
    #[serde(default)]
    #[schema(max_length = 64)]
    pub version: String,
    /// For how long it stands without a heartbeat.
    #[serde(default = "usual_ttl")]
    #[schema(minimum = 1, maximum = 3600)]
    pub ttl_seconds: u32,
}

fn usual_health() -> String {
    "/health/ready".to_owned()
}

fn usual_ttl() -> u32 {
    TTL_USUAL
}

/// An instance that is registered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, FromRow, ToSchema)]
pub struct Instance {
    /// For its heartbeats.
    pub id: Uuid,
    /// The service's name.
    pub name: String,
    /// Where it is reached.
    pub url: String,
    /// Marks of it.
    pub tags: Vec<String>,
    /// Where its health is asked.
    pub health: String,
    /// Which version it is.
    pub version: String,
    /// For how long it stands without a heartbeat.
    pub ttl_seconds: i32,
    /// Since when it is there.
    #[serde(with = "time::serde::rfc3339")]
    pub registered_at: OffsetDateTime,
}

/// Which instances somebody is interested in; all where nothing is named.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstanceFilter {
    name: Option<String>,
    tag: Option<String>,
}

impl InstanceFilter {
    /// The service's name.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref().filter(|name| !name.is_empty())
    }

    /// A tag that they must have.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref().filter(|tag| !tag.is_empty())
    }

    /// Whether an instance is one of them.
    pub fn has(&self, instance: &Instance) -> bool {
        self.name().is_none_or(|name| name == instance.name)
            && self
                .tag()
                .is_none_or(|tag| instance.tags.iter().any(|one| one == tag))
    }
}

impl Registration {
    /// Itself, with the address in its usual form, if nothing is wrong with it.
    pub fn checked(mut self) -> Result<Self, Problem> {
        let mut problem = Problem::invalid(Vec::new());
        let mut is_wrong = false;
        let mut check = |holds: bool, pointer: &str, rule: &str| {
            if !holds {
                is_wrong = true;
                problem = problem.clone().with_error(pointer, rule);
            }
        };
        check(
            is_name(&self.name),
            "/name",
            "must be 1 to 64 letters, digits, dashes, underscores or dots",
        );
        let origin = Origin::parse(&self.url).filter(|_| self.url.len() <= URL_MAX);
        check(
            origin.is_some(),
            "/url",
            "must be an address such as http://127.0.0.1:8001, without a user or query",
        );
        check(
            self.tags.len() <= TAGS_MAX && self.tags.iter().all(|tag| is_text(tag, 1)),
            "/tags",
            "must be up to 16 texts of 1 to 64 visible characters of ASCII",
        );
        check(
            is_path(&self.health),
            "/health",
            "must be a path of up to 200 visible characters of ASCII",
        );
        check(
            is_text(&self.version, 0),
            "/version",
            "must be up to 64 visible characters of ASCII",
        );
        check(
            (1..=TTL_MAX).contains(&self.ttl_seconds),
            "/ttl_seconds",
            "must be from 1 to 3600",
        );
        if is_wrong {
            return Err(problem);
        }
        if let Some(origin) = origin {
            origin.as_str().clone_into(&mut self.url);
        }
        Ok(self)
    }
}

/// Whether a text can name a service.
pub fn is_name(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    (1..=NAME_MAX).contains(&text.len()) && text.chars().all(is_plain)
}

/// Whether it is the path of a health check.
pub fn is_path(text: &str) -> bool {
    text.starts_with('/')
        && text.len() <= PATH_MAX
        && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn is_text(text: &str, least: usize) -> bool {
    (least..=TEXT_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn read(body: &Value) -> Result<Registration, Problem> {
        kit::extract::parse_json::<Registration>(body.to_string().as_bytes())?.checked()
    }

    #[test]
    fn what_the_kit_tells_is_taken() {
        let body = json!({
            "name": "auth", "url": "http://127.0.0.1:8001/", "tags": ["blue", "eu"],
            "health": "/health/ready", "version": "0.1.0", "ttl_seconds": 15, "weight": 3,
        });
        let told = read(&body).unwrap();
        assert_eq!(told.url, "http://127.0.0.1:8001");
        let least = read(&json!({ "name": "a", "url": "https://a.example.com/x" })).unwrap();
        assert_eq!((least.ttl_seconds, &*least.health), (15, "/health/ready"));
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        let body = json!({
            "name": "a b", "url": "ftp://x", "tags": [""], "health": "x", "version": "\n",
            "ttl_seconds": 0,
        });
        let shown = format!("{:?}", read(&body).unwrap_err());
        for field in [
            "/name",
            "/url",
            "/tags",
            "/health",
            "/version",
            "/ttl_seconds",
        ] {
            assert!(shown.contains(&format!("pointer: \"{field}\"")), "{shown}");
        }
    }

    proptest! {
        #[test]
        fn no_registration_panics_and_what_passes_is_bounded(
            name in "\\PC{0,80}", url in "(https?://)?\\PC{0,40}", tag in "\\PC{0,70}",
            health in "/?\\PC{0,30}", ttl in any::<u32>(),
        ) {
            let body = json!({
                "name": name, "url": url, "tags": [tag], "health": health, "ttl_seconds": ttl,
            });
            if let Ok(told) = read(&body) {
                prop_assert!(is_name(&told.name) && told.ttl_seconds <= TTL_MAX);
                prop_assert!(told.url.starts_with("http"));
                // Checked once is checked for good.
                prop_assert!(told.checked().is_ok());
            }
        }

        #[test]
        fn who_wants_a_name_and_a_tag_gets_those(
            name in "[ab]", tags in proptest::collection::vec("[xy]", 0..3),
            wanted_name in proptest::option::of("[ab]"), wanted_tag in proptest::option::of("[xy]?"),
        ) {
            let instance = Instance {
                id: Uuid::nil(), name: name.clone(), url: String::new(), tags: tags.clone(),
                health: String::new(), version: String::new(), ttl_seconds: 1,
                registered_at: OffsetDateTime::UNIX_EPOCH,
            };
            let wanted = InstanceFilter { name: wanted_name.clone(), tag: wanted_tag.clone() };
            let by_name = wanted_name.is_none_or(|wanted| wanted == name);
            let by_tag = wanted_tag.is_none_or(|wanted| wanted.is_empty() || tags.contains(&wanted));
            prop_assert_eq!(wanted.has(&instance), by_name && by_tag);
        }
    }
}
