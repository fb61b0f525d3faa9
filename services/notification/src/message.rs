//! What is asked for, and what that means for a user. Pure.

use std::fmt;

use kit::Problem;
use kit::problem::FieldError;
use lettre::Address;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Long enough for every id and address of others.
const MAX_USER_LENGTH: usize = 128;
const MAX_NAME_LENGTH: usize = 64;
/// RFC 5321 allows no longer path.
const MAX_ADDRESS_LENGTH: usize = 254;
const MAX_MUTED: usize = 50;

/// Always told: who may have lost their account must learn of it.
pub const SECURITY: &str = "security";

/// A way to tell. The order is that in which a user's allowances are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// By mail.
    Email,
    /// Over a WebSocket that the user has open, now or later.
    Push,
    /// By a request to an address of the user's.
    Webhook,
}

impl Channel {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Email, Self::Push, Self::Webhook];

    /// As it is written everywhere.
    pub fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Push => "push",
            Self::Webhook => "webhook",
        }
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is asked for, as it comes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    user_id: String,
    template: String,
    #[serde(default)]
    data: Map<String, Value>,
    #[serde(default)]
    channels: Option<Vec<Channel>>,
    #[serde(default)]
    category: Option<String>,
    #[serde(default)]
    email: Option<String>,
}

/// What is asked for, and makes sense.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// Whom to tell.
    pub user: String,
    /// Which template, perhaps an unknown one.
    pub template: String,
    /// What the template needs.
    pub data: Map<String, Value>,
    /// How; in order, without repeats.
    pub channels: Vec<Channel>,
    /// What it is about.
    pub category: String,
    /// Where to mail, rather than to the address that the user prefers.
    pub address: Option<String>,
}

impl Request {
    /// Every fault at once.
    pub fn checked(self) -> Result<Order, Problem> {
        let mut errors = Vec::new();
        let mut fault = |pointer: &str, detail: &str| {
            errors.push(FieldError {
                pointer: pointer.to_owned(),
                detail: detail.to_owned(),
            });
        };
        if !is_user(&self.user_id) {
            fault("/user_id", USER_FORM);
        }
        if !is_name(&self.template) {
            fault("/template", NAME_FORM);
        }
        let category = self.category.unwrap_or_else(|| "general".to_owned());
        if !is_name(&category) {
            fault("/category", NAME_FORM);
        }
        if self.email.as_deref().is_some_and(|text| !is_address(text)) {
            fault("/email", ADDRESS_FORM);
        }
        let mut channels = self.channels.unwrap_or_else(|| Channel::ALL.to_vec());
        channels.sort_unstable();
        channels.dedup();
        if channels.is_empty() {
            fault(
                "/channels",
                "must name at least one of email, push and webhook",
            );
        }
        if errors.is_empty() {
            return Ok(Order {
                user: self.user_id,
                template: self.template,
                data: self.data,
                channels,
                category,
                address: self.email,
            });
        }
        Err(Problem::invalid(errors))
    }
}

const USER_FORM: &str = "must be 1 to 128 visible characters of ASCII";
const NAME_FORM: &str = "must be 1 to 64 of a-z, 0-9, - and .";
const ADDRESS_FORM: &str = "must be one mail address such as name@example.com";

/// Whether a text can be a user's id.
pub fn is_user(text: &str) -> bool {
    (1..=MAX_USER_LENGTH).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Whether a text can name a template or a category.
pub fn is_name(text: &str) -> bool {
    let is_plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    (1..=MAX_NAME_LENGTH).contains(&text.len())
        && text.bytes().all(is_plain)
        && !text.starts_with('.')
}

/// Whether a text is one address, and nothing that would end its header line.
pub fn is_address(text: &str) -> bool {
    text.len() <= MAX_ADDRESS_LENGTH
        && !text.chars().any(|c| c.is_control() || c.is_whitespace())
        && text.parse::<Address>().is_ok()
}

/// What a user wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct Preferences {
    /// Where to mail.
    #[serde(default)]
    pub email: Option<String>,
    /// Channels that are off.
    #[serde(default)]
    pub off: Vec<Channel>,
    /// Categories that are not wanted.
    #[serde(default)]
    pub muted: Vec<String>,
}

impl Preferences {
    /// Every fault at once; without repeats.
    pub fn checked(mut self) -> Result<Self, Problem> {
        self.off.sort_unstable();
        self.off.dedup();
        self.muted.sort_unstable();
        self.muted.dedup();
        let mut problem = None;
        let mut fault = |pointer: String, detail: &str| {
            let so_far = problem
                .take()
                .unwrap_or_else(|| Problem::invalid(Vec::new()));
            problem = Some(so_far.with_error(pointer, detail));
        };
        if self.email.as_deref().is_some_and(|text| !is_address(text)) {
            fault("/email".to_owned(), ADDRESS_FORM);
        }
        if self.muted.len() > MAX_MUTED {
            fault("/muted".to_owned(), "must name at most 50 categories");
        }
        for (position, category) in self.muted.iter().enumerate() {
            if !is_name(category) {
                fault(format!("/muted/{position}"), NAME_FORM);
            } else if category == SECURITY {
                fault(
                    format!("/muted/{position}"),
                    "must not be security, which is always told",
                );
            }
        }
        problem.map_or(Ok(self), Err)
    }

    /// Why a user is not told this way; `None` if they are.
    pub fn objection(&self, channel: Channel, category: &str) -> Option<&'static str> {
        if category == SECURITY {
            None
        } else if self.off.contains(&channel) {
            Some("the user has this channel off")
        } else if self.muted.iter().any(|muted| muted == category) {
            Some("the user does not want this category")
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn checked(document: Value) -> Result<Order, Problem> {
        serde_json::from_value::<Request>(document)
            .unwrap()
            .checked()
    }

    #[test]
    fn channels_are_all_unless_some_are_named() {
        let order = checked(json!({ "user_id": "7", "template": "welcome" })).unwrap();
        assert_eq!(order.channels, Channel::ALL);
        let channels = ["webhook", "email", "webhook"];
        let named = json!({ "user_id": "7", "template": "welcome", "channels": channels });
        let order = checked(named).unwrap();
        assert_eq!(order.channels, [Channel::Email, Channel::Webhook]);
    }

    #[test]
    fn every_fault_is_named() {
        let problem = checked(json!({
            "user_id": "a b",
            "template": "../secret",
            "category": "",
            "channels": [],
            "email": "a@example.com\r\nBcc: b@example.com",
        }))
        .unwrap_err();
        let shown = format!("{problem:?}");
        for pointer in ["/user_id", "/template", "/category", "/channels", "/email"] {
            assert!(shown.contains(&format!("{pointer}\"")), "{shown}");
        }
    }

    #[test]
    fn what_is_no_single_address_is_refused() {
        for text in [
            "",
            "a",
            "@b",
            "a@",
            "a@b\n",
            "a@b,c@d",
            "a@b c@d",
            "<a@example.com>",
            "Name <a@example.com>",
            "a@example.com\r\nBcc: c@d",
        ] {
            assert!(!is_address(text), "{text:?}");
        }
        assert!(is_address("first.last+tag@example.com"));
    }

    #[test]
    fn security_is_always_told() {
        let preferences = Preferences {
            off: vec![Channel::Email],
            muted: vec!["news".to_owned()],
            ..Preferences::default()
        };
        assert!(preferences.objection(Channel::Email, "general").is_some());
        assert!(preferences.objection(Channel::Push, "general").is_none());
        assert!(preferences.objection(Channel::Push, "news").is_some());
        assert!(preferences.objection(Channel::Email, SECURITY).is_none());
        let muting = Preferences {
            muted: vec![SECURITY.to_owned()],
            ..Preferences::default()
        };
        assert!(muting.checked().is_err());
    }

    proptest! {
        #[test]
        fn an_address_has_no_room_for_a_header(text in "(?s).*") {
            if is_address(&text) {
                prop_assert!(!text.contains(['\r', '\n', ' ', ',', '<', '>']));
                prop_assert_eq!(text.matches('@').count(), 1);
            }
        }
    }
}
