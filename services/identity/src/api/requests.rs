//! The bodies of requests, and what they must be.

use kit::Problem;
use kit::problem::FieldError;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::password::{PASSWORD_BYTES_MAX, Password, weakness};
use crate::user::{Login, NewUser, STAFF, SUPERUSER};

/// As Django's columns have it.
const NAME_CHARACTERS_MAX: usize = 150;
const EMAIL_CHARACTERS_MAX: usize = 254;

const ROLES_MAX: usize = 50;
const ROLE_BYTES_MAX: usize = 50;

/// Seed 000's registration.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterRequest {
    /// What others call them.
    pub username: String,
    /// Where they read.
    pub email: String,
    /// In clear.
    pub password: Password,
    /// May be empty.
    #[serde(default)]
    pub first_name: String,
    /// May be empty.
    #[serde(default)]
    pub last_name: String,
}

impl RegisterRequest {
    /// What is wrong with it, field by field, or what it asks for.
    pub(crate) fn checked(self) -> Result<(NewUser, Password), Problem> {
        let mut errors = Vec::new();
        let mut check = |pointer: &str, why: Option<&str>| {
            errors.extend(why.map(|why| field_error(pointer, why)));
        };
        check("/username", wrong_username(&self.username));
        check("/email", wrong_email(&self.email));
        check("/first_name", wrong_name(&self.first_name));
        check("/last_name", wrong_name(&self.last_name));
        let names = [
            &*self.username,
            &*self.email,
            &*self.first_name,
            &*self.last_name,
        ];
        check("/password", weakness(&self.password, &names));
        if !errors.is_empty() {
            return Err(Problem::invalid(errors));
        }
        let new = NewUser {
            email: normal_email(&self.email),
            username: self.username,
            first_name: self.first_name,
            last_name: self.last_name,
        };
        Ok((new, self.password))
    }
}

/// Seed 003's login; a username will do in place of the e-mail address.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginRequest {
    email: Option<String>,
    username: Option<String>,
    password: Password,
}

impl LoginRequest {
    pub(crate) fn checked(self) -> Result<(Login, Password), Problem> {
        let login = match (self.email, self.username) {
            (Some(email), None) if fits(&email, EMAIL_CHARACTERS_MAX) => Login::Email(email),
            (None, Some(name)) if fits(&name, NAME_CHARACTERS_MAX) => Login::Username(name),
            (Some(_), None) => {
                return Err(Problem::invalid_field(
                    "/email",
                    "must have 1 to 254 characters",
                ));
            }
            (None, Some(_)) => {
                return Err(Problem::invalid_field(
                    "/username",
                    "must have 1 to 150 characters",
                ));
            }
            _ => {
                return Err(Problem::invalid_field(
                    "",
                    "must have either `email` or `username`",
                ));
            }
        };
        if self.password.as_bytes().len() > PASSWORD_BYTES_MAX {
            return Err(Problem::invalid_field(
                "/password",
                "must have at most 1024 bytes",
            ));
        }
        Ok((login, self.password))
    }
}

/// A new password by somebody who knows the old one.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeRequest {
    pub(crate) current_password: Password,
    pub(crate) new_password: Password,
}

/// A new password by somebody who has a link.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResetRequest {
    pub(crate) token: String,
    pub(crate) new_password: Password,
}

/// Whose password was forgotten.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EmailRequest {
    email: String,
}

impl EmailRequest {
    pub(crate) fn checked(self) -> Result<Login, Problem> {
        if fits(&self.email, EMAIL_CHARACTERS_MAX) {
            return Ok(Login::Email(self.email));
        }
        Err(Problem::invalid_field(
            "/email",
            "must have 1 to 254 characters",
        ))
    }
}

/// A link that was followed.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenRequest {
    pub(crate) token: String,
}

/// A refresh token that somebody has shown to the other issuer.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClaimRequest {
    pub(crate) refresh_token: String,
}

/// All roles that somebody is to have.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RolesRequest {
    roles: Vec<String>,
}

impl RolesRequest {
    pub(crate) fn checked(mut self) -> Result<Vec<String>, Problem> {
        self.roles.sort_unstable();
        self.roles.dedup();
        if self.roles.len() > ROLES_MAX {
            return Err(Problem::invalid_field("/roles", "must be at most 50"));
        }
        match self.roles.iter().find_map(|role| wrong_role(role)) {
            Some(why) => Err(Problem::invalid_field("/roles", why)),
            None => Ok(self.roles),
        }
    }
}

/// That a new password will do.
pub(crate) fn check_new_password(password: &Password, names: &[&str]) -> Result<(), Problem> {
    match weakness(password, names) {
        Some(why) => Err(Problem::invalid_field("/new_password", why)),
        None => Ok(()),
    }
}

fn field_error(pointer: &str, detail: &str) -> FieldError {
    FieldError {
        pointer: pointer.to_owned(),
        detail: detail.to_owned(),
    }
}

fn fits(text: &str, characters_max: usize) -> bool {
    (1..=characters_max).contains(&text.chars().count())
}

/// Django's `UnicodeUsernameValidator`.
fn wrong_username(name: &str) -> Option<&'static str> {
    let is_fine = |one: char| one.is_alphanumeric() || "_.@+-".contains(one);
    let will_do = fits(name, NAME_CHARACTERS_MAX) && name.chars().all(is_fine);
    (!will_do).then_some("must have 1 to 150 characters: letters, digits and @ . + - _ only")
}

/// Whether it exists shows when something is sent there. It must not break out
/// of a header or look like a list.
fn wrong_email(email: &str) -> Option<&'static str> {
    let is_fine =
        |one: char| !one.is_whitespace() && !one.is_control() && !"<>,;:\"()[]\\".contains(one);
    let will_do = fits(email, EMAIL_CHARACTERS_MAX)
        && email.chars().all(is_fine)
        && email.split_once('@').is_some_and(|(local, domain)| {
            !local.is_empty() && !domain.is_empty() && !domain.contains('@')
        });
    (!will_do).then_some("must be an e-mail address of at most 254 characters")
}

fn wrong_name(name: &str) -> Option<&'static str> {
    let will_do =
        name.chars().count() <= NAME_CHARACTERS_MAX && !name.chars().any(char::is_control);
    (!will_do).then_some("must have at most 150 characters and no control characters")
}

fn wrong_role(role: &str) -> Option<&'static str> {
    let plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_:.".contains(&byte);
    if !(1..=ROLE_BYTES_MAX).contains(&role.len()) || !role.bytes().all(plain) {
        return Some("must have 1 to 50 of a-z, 0-9 and - _ : . each");
    }
    [STAFF, SUPERUSER]
        .contains(&role)
        .then_some("`staff` and `superuser` are columns of auth_user")
}

/// As Django's `normalize_email` writes it: domains have no case.
fn normal_email(email: &str) -> String {
    match email.rsplit_once('@') {
        Some((local, domain)) => format!("{local}@{}", domain.to_ascii_lowercase()),
        None => email.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use kit::extract::parse_json;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_wrong_field_is_named() {
        let body = br#"{"username": "a b", "email": "a@b\r\nBcc: c@d", "password": "short",
            "first_name": "\u0007", "last_name": "x"}"#;
        let request: RegisterRequest = parse_json(body).unwrap();
        let shown = format!("{:?}", request.checked().unwrap_err());
        for field in ["/username", "/email", "/password", "/first_name"] {
            assert!(shown.contains(field), "{shown}");
        }
        assert!(
            !shown.contains("/last_name") && !shown.contains("short"),
            "{shown}"
        );
    }

    #[test]
    fn nobody_makes_themselves_more_than_they_are() {
        let body = br#"{"username": "a", "email": "a@b", "password": "x", "is_superuser": true}"#;
        assert_eq!(
            parse_json::<RegisterRequest>(body).unwrap_err().status(),
            422
        );
        for roles in [
            vec!["superuser"],
            vec!["staff"],
            vec!["A"],
            vec![""],
            vec!["x y"],
        ] {
            let roles = roles.into_iter().map(str::to_owned).collect();
            assert!(RolesRequest { roles }.checked().is_err());
        }
    }

    proptest! {
        #[test]
        fn what_is_taken_fits_the_columns(
            username in "\\PC{0,160}|[a-z@.+_-]{1,160}",
            email in "\\PC{0,100}|[a-zA-Z.]{1,20}@[A-Z.a-z]{1,250}",
            password in "\\PC{0,40}",
            first_name: String,
        ) {
            let request = RegisterRequest {
                username, email, password: Password::new(password), first_name, last_name: String::new(),
            };
            if let Ok((new, password)) = request.checked() {
                prop_assert!((1..=150).contains(&new.username.chars().count()));
                prop_assert!(new.email.chars().count() <= 254);
                prop_assert!(new.first_name.chars().count() <= 150);
                prop_assert_eq!(new.email.matches('@').count(), 1);
                let text = format!("{}{}{}", new.username, new.email, new.first_name);
                prop_assert!(!text.chars().any(char::is_control));
                prop_assert!(password.as_bytes().len() >= 8);
            }
        }

        #[test]
        fn no_body_panics_or_is_repeated(text: Vec<u8>, value in "[a-z]{12,20}") {
            let _ = parse_json::<LoginRequest>(&text).map(LoginRequest::checked);
            let _ = parse_json::<RegisterRequest>(&text).map(RegisterRequest::checked);
            let _ = parse_json::<RolesRequest>(&text).map(RolesRequest::checked);
            let body = serde_json::json!({ "email": "a@b", "password": { "is": value } });
            let problem = parse_json::<LoginRequest>(body.to_string().as_bytes()).unwrap_err();
            let shown = format!("{problem:?}");
            prop_assert!(!shown.contains(&value));
        }
    }
}
