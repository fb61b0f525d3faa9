//! Which passwords are taken.

use serde::Deserialize;
use utoipa::ToSchema;

/// Longer ones are refused: they would cost time and gain nothing.
pub const PASSWORD_BYTES_MAX: usize = 1024;

/// Django's `MinimumLengthValidator`.
const PASSWORD_CHARACTERS_MIN: usize = 8;

/// Names shorter than this are in many passwords by chance.
const NAME_CHARACTERS_MIN: usize = 4;

/// A password as somebody sent it. It is never shown.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, format = Password)]
pub struct Password(String);

impl Password {
    /// For tests and callers in this process.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// For whoever hashes it.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Why a new password is not taken, if it is not: a part of what Django's own
/// validators say. `names` are what others know of its owner.
pub fn weakness(password: &Password, names: &[&str]) -> Option<&'static str> {
    let text = &password.0;
    if text.len() > PASSWORD_BYTES_MAX {
        return Some("must have at most 1024 bytes");
    }
    if text.chars().count() < PASSWORD_CHARACTERS_MIN {
        return Some("must have at least 8 characters");
    }
    if text.chars().all(|character| character.is_ascii_digit()) {
        return Some("must not be digits only");
    }
    let lower = text.to_lowercase();
    let is_in = |name: &&str| {
        let name = name.to_lowercase();
        let local = name.split('@').next().unwrap_or_default();
        local.chars().count() >= NAME_CHARACTERS_MIN && lower.contains(local)
    };
    if names.iter().any(is_in) {
        return Some("must not contain the user's name or e-mail address");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_ones_are_told_why() {
        let names = ["testuser", "someone@example.com", "Al", ""];
        let table = [
            ("SecurePassword123!", None),
            ("pass al word", None),
            ("ééééééé", Some("at least")),
            ("12345678901", Some("digits")),
            ("xxTestUserxx", Some("name")),
            ("SOMEONE-else", Some("name")),
        ];
        for (text, expected) in table {
            let found = weakness(&Password::new(text), &names);
            match expected {
                None => assert_eq!(found, None, "{text}"),
                Some(part) => assert!(found.is_some_and(|why| why.contains(part)), "{text}"),
            }
        }
        let long = Password::new("x".repeat(PASSWORD_BYTES_MAX + 1));
        assert!(weakness(&long, &[]).is_some());
        assert_eq!(format!("{long:?}"), "[redacted]");
    }
}
