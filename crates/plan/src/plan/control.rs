//! The conductor's API: where it listens, and who may use it.

use crate::base::{
    Environment, Located, PlanError, ScalarOrMap, Secret, Text, parse, socket_address,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, net::SocketAddr, sync::Arc};
use url::Url;

const DEFAULT_LISTEN: &str = "127.0.0.1:7600";

/// A person's name is kept with each order, and shown beside it.
const NAME_BYTES_MAX: usize = 64;

/// Shorter ones can be guessed, longer ones are no headers.
const KEY_BYTES_MIN: usize = 16;
const KEY_BYTES_MAX: usize = 512;

/// All are compared with what a call shows.
const KEYS_MAX: usize = 500;

/// Where the conductor's API listens, and who may use it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ControlFile {
    /// `address:port`; default `127.0.0.1:7600`.
    #[serde(default)]
    pub(crate) listen: Option<Text>,
    /// Personal keys, by the person's name. With one, an order is its owner's and nobody
    /// else's; without any, whoever may read the state directory may do all.
    #[serde(default)]
    pub(crate) keys: BTreeMap<String, Located<KeyFile>>,
    /// `http://` or `https://` address of the Grafana that has the dashboards of
    /// `deploy/grafana`: the console links them. Without it there are no links.
    #[serde(default)]
    pub(crate) grafana: Option<Text>,
}

/// One person's key.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyFile {
    /// `viewer` reads; `operator` orders, too; `approver` also approves.
    pub(crate) role: Role,
    /// The key, as `${VARIABLE}`: at least 16 visible ASCII characters.
    pub(crate) key: Text,
}

/// What a person may do: all that those before may, and more.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Read.
    Viewer,
    /// Order.
    Operator,
    /// Approve and attest.
    Approver,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Approver => "approver",
        })
    }
}

/// The conductor's API.
#[derive(Debug, Clone)]
pub struct Control {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Who may use it, by name.
    pub people: Arc<People>,
    /// Where Grafana's pages are, without a slash at the end.
    pub grafana: Option<Arc<str>>,
}

/// Those with a personal key, by name.
pub type People = BTreeMap<String, Person>;

/// Somebody with a personal key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// What this person may do.
    pub role: Role,
    /// What proves that it is this person.
    pub key: Secret,
}

pub(super) fn resolve(
    file: Option<Located<ScalarOrMap<ControlFile>>>,
    environment: Environment<'_>,
) -> Result<Control, PlanError> {
    let file = match file {
        None => ControlFile::default(),
        Some(Located { value, at }) => match value {
            ScalarOrMap::Map(file) => file,
            ScalarOrMap::Scalar(value) => ControlFile {
                listen: Some(Located { value, at }),
                ..ControlFile::default()
            },
        },
    };
    let listen = match &file.listen {
        Some(listen) => parse(listen, environment, socket_address)?,
        None => socket_address(DEFAULT_LISTEN).map_err(PlanError::whole)?,
    };
    let grafana = file.grafana.as_ref();
    Ok(Control {
        listen,
        grafana: grafana
            .map(|text| parse(text, environment, web_address))
            .transpose()?,
        people: Arc::new(people(file.keys, environment)?),
    })
}

/// An address that a page may link: of the web, and with nothing secret in it.
fn web_address(text: &str) -> Result<Arc<str>, String> {
    let wrong = |why: &str| {
        format!(
            "`grafana` is no address of a web page: {why}; write https://host or https://host/path"
        )
    };
    let url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
    if !["http", "https"].contains(&url.scheme()) {
        return Err(wrong("only http and https are"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong(
            "everybody who reads the console would see its user and password",
        ));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("it has a query or a fragment"));
    }
    Ok(url.as_str().trim_end_matches('/').into())
}

fn people(
    keys: BTreeMap<String, Located<KeyFile>>,
    environment: Environment<'_>,
) -> Result<People, PlanError> {
    let mut people = People::new();
    for (name, Located { value: file, at }) in keys {
        check_name(&name).map_err(|why| PlanError::at(at, why))?;
        if people.len() == KEYS_MAX {
            return Err(PlanError::at(
                at,
                format!("there are more than {KEYS_MAX} keys"),
            ));
        }
        let key = parse(&file.key, environment, |text| key(&name, text))?;
        // Not whose else it is: the message may be logged.
        if people.values().any(|other| other.key == key) {
            let wrong = format!("the key of `{name}` is somebody else's, too");
            return Err(
                PlanError::at(file.key.at, wrong).remedy("Give everybody a key of their own")
            );
        }
        let role = file.role;
        people.insert(name, Person { role, key });
    }
    Ok(people)
}

fn check_name(name: &str) -> Result<(), String> {
    let plain = |char: char| char.is_alphanumeric() || " .-_@+'".contains(char);
    let is_name = (1..=NAME_BYTES_MAX).contains(&name.len())
        && name.trim() == name
        && name.chars().all(plain);
    if is_name {
        return Ok(());
    }
    Err(format!(
        "a person's name has 1 to {NAME_BYTES_MAX} bytes: letters, digits, spaces and any of . - _ \
         @ + '"
    ))
}

/// A key that a bearer header can carry. What is wrong is said without it.
fn key(name: &str, text: &str) -> Result<Secret, String> {
    let is_visible = text.bytes().all(|byte| byte.is_ascii_graphic());
    if (KEY_BYTES_MIN..=KEY_BYTES_MAX).contains(&text.len()) && is_visible {
        return Secret::new(text);
    }
    Err(format!(
        "the key of `{name}` is not {KEY_BYTES_MIN} to {KEY_BYTES_MAX} visible ASCII characters \
         without spaces. `openssl rand -hex 32` makes one"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_page_may_link_is_grafana() {
        for (text, wanted) in [
            ("https://grafana.example/", "https://grafana.example"),
            ("http://localhost:3000", "http://localhost:3000"),
            (
                "https://ops.example/grafana/",
                "https://ops.example/grafana",
            ),
        ] {
            assert_eq!(web_address(text).as_deref(), Ok(wanted));
        }
        for text in [
            "",
            "grafana.example",
            "javascript:alert(1)",
            "ftp://grafana.example",
            "https://ada:secret@grafana.example",
            "https://grafana.example/?a=b",
            "https://grafana.example/#a",
        ] {
            let why = web_address(text).unwrap_err();
            assert!(!why.contains("secret"), "{why}");
        }
    }
}
