//! Somebody who has an account, and what they send.

use crate::http_client::{Answer, Call};
use crate::monolith::Project;
use anyhow::{Context, Result};
use http::HeaderValue;
use serde_json::json;
use std::collections::BTreeMap;

/// Somebody who has an account.
#[derive(Debug, Clone)]
pub struct Person {
    /// The name, which is theirs alone.
    pub username: String,
    /// The address.
    pub email: String,
    /// The password.
    pub password: String,
}

impl Person {
    /// Makes users as years of Django leave them, and says who they are.
    pub async fn all(project: &Project) -> Result<Vec<Self>> {
        let script = include_str!("people.py");
        let printed = project.manage(&["shell", "--command", script]).await?;
        let line = printed.lines().find(|line| line.starts_with("[{"));
        let people: Vec<BTreeMap<String, String>> =
            serde_json::from_str(line.with_context(|| printed.clone())?)?;
        let person = |one: BTreeMap<String, String>| Self {
            username: one["username"].clone(),
            email: one["email"].clone(),
            password: one["password"].clone(),
        };
        Ok(people.into_iter().map(person).collect())
    }

    /// Somebody new.
    pub fn new(username: String) -> Self {
        Self {
            email: format!("{username}@example.com"),
            password: "battery staple 7".to_owned(),
            username,
        }
    }

    /// By the address, or by the name where others have the address, too.
    pub fn login(&self) -> Call {
        let by = if self.email.starts_with("Office") {
            json!({ "username": self.username, "password": self.password })
        } else {
            json!({ "email": self.email, "password": self.password })
        };
        Call::post("/auth/login", &by)
    }
}

/// The tokens of a session.
#[derive(Debug, Clone)]
pub struct Pair {
    /// Shown with each request.
    pub access: String,
    /// Good for the next pair, once.
    pub refresh: String,
}

impl Pair {
    /// Those of an answer.
    pub fn of(answer: &Answer) -> Option<Self> {
        let body = answer.json();
        Some(Self {
            access: body["access_token"].as_str()?.to_owned(),
            refresh: body["refresh_token"].as_str()?.to_owned(),
        })
    }
}

/// A call with a token.
pub fn with(call: Call, scheme: &str, token: &str) -> Call {
    match HeaderValue::try_from(format!("{scheme} {token}")) {
        Ok(value) => call.header("authorization", value),
        Err(_) => call,
    }
}

/// The call that sets another password.
pub fn change(old: &str, new: &str) -> Call {
    let body = json!({ "current_password": old, "new_password": new });
    Call::post("/auth/password/change", &body)
}
