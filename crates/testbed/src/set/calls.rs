//! The calls of seed 000, as they are written there, with the answers that are
//! expected. A shell and curl carry them out; only host names are replaced.

use super::{Set, members};
use crate::process::{self, Spec};
use anyhow::{Context, Result};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::time::Duration;

const CURL_LIMIT: Duration = Duration::from_secs(30);

/// Where the seed's hosts are: all of them at the gateway.
const HOSTS: [&str; 3] = [
    "http://localhost:8000",
    "https://staging-gateway.example.com",
    "https://production.example.com",
];

/// Curl's own settings, so that the command stays as it is written.
const CURLRC: &str = "silent\nshow-error\nmax-time = 20\nwrite-out = \"\\n%{http_code}\"\n";

/// One call.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    /// What the seed has it for.
    pub purpose: &'static str,
    /// The command, as it is written.
    pub command: &'static str,
    /// Whether the monolith has gone by then.
    pub without_monolith: bool,
    /// The status of the answer.
    pub status: u16,
    /// What the answer has at least: `<text>`, `<number>` and `<members>` (each
    /// service that is here, healthy) stand for values, a list of one for
    /// a list of such.
    pub shape: &'static str,
}

const HEALTH: &str = r#"{"status": "<text>", "services": "<members>"}"#;

/// All of them, in the order of the seed.
pub const CALLS: [Call; 6] = [
    Call {
        purpose: "Check health of all services",
        command: "curl http://localhost:8000/health",
        without_monolith: false,
        status: 200,
        shape: HEALTH,
    },
    Call {
        purpose: "Check service health",
        command: r#"curl https://staging-gateway.example.com/health \
  -H "X-API-Key: staging-gateway-key""#,
        without_monolith: false,
        status: 200,
        shape: HEALTH,
    },
    Call {
        purpose: "Check service registry",
        command: r#"curl https://staging-gateway.example.com/registry \
  -H "X-API-Key: staging-gateway-key""#,
        without_monolith: false,
        status: 200,
        shape: r#"{"services": [{"name": "<text>", "status": "<text>",
                   "instances": [{"url": "<text>", "status": "<text>"}]}]}"#,
    },
    Call {
        purpose: "Test authentication endpoint",
        command: r#"curl -X POST https://staging-gateway.example.com/auth/register \
  -H "X-API-Key: staging-client-1" \
  -H "Content-Type: application/json" \
  -d '{
    "username": "testuser",
    "email": "test@example.com",
    "password": "SecurePassword123!",
    "first_name": "Test",
    "last_name": "User"
  }'"#,
        without_monolith: false,
        status: 201,
        shape: r#"{"id": "<number>", "username": "testuser", "email": "test@example.com",
                   "first_name": "Test", "last_name": "User"}"#,
    },
    Call {
        purpose: "Verify no requests to monolith",
        command: "curl -X GET https://production.example.com/api/health",
        without_monolith: true,
        status: 200,
        shape: HEALTH,
    },
    Call {
        purpose: "Verify rollback",
        command: "curl https://production.example.com/health",
        without_monolith: true,
        status: 200,
        shape: HEALTH,
    },
];

/// What became of a call.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Outcome {
    /// What the seed has it for.
    pub purpose: &'static str,
    /// What was run.
    pub command: String,
    /// What was not as expected, if anything.
    pub problem: Option<String>,
}

impl Call {
    /// Carries it out.
    pub async fn run(&self, set: &Set) -> Outcome {
        let gateway = set.ports().url("gateway");
        let command = HOSTS.iter().fold(self.command.to_owned(), |text, host| {
            text.replace(host, &gateway)
        });
        let problem = match curl(&command, set.directory().path()).await {
            Ok((status, body)) => self.judge(status, &body),
            Err(error) => Some(format!("{error:#}")),
        };
        Outcome {
            purpose: self.purpose,
            command,
            problem,
        }
    }

    fn judge(&self, status: u16, body: &str) -> Option<String> {
        if status != self.status {
            return Some(format!("{status} in the place of {}: {body}", self.status));
        }
        let Ok(found) = serde_json::from_str::<Value>(body) else {
            return Some(format!("the answer is no JSON: {body}"));
        };
        match serde_json::from_str(self.shape) {
            Ok(wanted) => difference(&wanted, &found, "$"),
            Err(error) => Some(format!("the shape is no JSON: {error}")),
        }
    }
}

/// Status and body.
async fn curl(command: &str, home: &Path) -> Result<(u16, String)> {
    fs::write(home.join(".curlrc"), CURLRC)?;
    let spec = Spec::new("curl", "sh")
        .args(["-c", command])
        .env("CURL_HOME", home)
        .env("no_proxy", "*");
    let finished = process::run(&spec, CURL_LIMIT).await?.successful()?;
    let (body, status) = finished.stdout.rsplit_once('\n').context("no status")?;
    Ok((status.parse()?, body.to_owned()))
}

/// Where the answer lacks something of the shape.
fn difference(wanted: &Value, found: &Value, at: &str) -> Option<String> {
    match (wanted, found) {
        (Value::String(word), _) if word == "<members>" => members::present().find_map(|member| {
            let status = &found[member.name]["status"];
            (status != "healthy").then(|| format!("{at}.{}.status is {status}", member.name))
        }),
        (Value::String(word), Value::String(_)) if word == "<text>" => None,
        (Value::String(word), Value::Number(_)) if word == "<number>" => None,
        (Value::Object(fields), Value::Object(_)) => fields
            .iter()
            .find_map(|(name, value)| difference(value, &found[name], &format!("{at}.{name}"))),
        (Value::Array(each), Value::Array(all)) if !all.is_empty() => {
            let each = each.first().unwrap_or(&Value::Null);
            let mut all = all.iter().enumerate();
            all.find_map(|(number, one)| difference(each, one, &format!("{at}[{number}]")))
        }
        _ if wanted == found => None,
        _ => Some(format!("{at} is {found}, not {wanted}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_difference_from_a_shape_is_found() {
        let wanted = json!({"id": "<number>", "list": [{"name": "<text>"}], "last": "User"});
        let good = json!({"id": 7, "list": [{"name": "a", "more": 1}], "last": "User", "more": 0});
        assert_eq!(difference(&wanted, &good, "$"), None);
        for (pointer, bad, at) in [
            ("/id", json!("7"), "$.id"),
            ("/list", json!([]), "$.list"),
            ("/list/0/name", json!(null), "$.list[0].name"),
            ("/last", json!("user"), "$.last"),
        ] {
            let mut found = good.clone();
            *found.pointer_mut(pointer).unwrap() = bad;
            let told = difference(&wanted, &found, "$").unwrap();
            assert!(told.starts_with(at), "{told}");
        }
        let down = json!({"auth": {"status": "unhealthy"}});
        assert!(difference(&json!("<members>"), &down, "$").is_some());
    }
}
