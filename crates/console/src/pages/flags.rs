//! Feature flags: what the plan says of each, and what Redis does.

use super::{
    frame::{Page, PageError, Reader, rendered},
    journal,
    reader::SignedIn,
};
use crate::{
    state::Console,
    view::flags::{PlanChange, plan_changes},
};
use askama::Template;
use axum::{Router, extract::State, response::Response, routing::get};
use report::clock;
use serde::Deserialize;
use std::collections::BTreeMap;

pub(super) fn routes() -> Router<Console> {
    Router::new().route("/console/flags", get(page))
}

/// A flag, as the API has it.
#[derive(Debug, Deserialize)]
struct Flag {
    name: String,
    extractions: Vec<String>,
    planned: Rule,
    stored: Option<Rule>,
    stored_changed_ms: Option<i64>,
    is_stale: bool,
}

#[derive(Debug, Deserialize)]
struct Rule {
    everybody: Option<String>,
    users_to_monolith: usize,
    users_to_service: usize,
}

impl Rule {
    /// In words.
    fn text(&self) -> String {
        let everybody = self
            .everybody
            .as_ref()
            .map(|side| format!("everybody to the {side}"));
        let users = [
            (self.users_to_service, "service"),
            (self.users_to_monolith, "monolith"),
        ];
        let users = users.into_iter().filter(|(count, _)| *count > 0);
        let users = users.map(|(count, side)| match count {
            1 => format!("1 user to the {side}"),
            _ => format!("{count} users to the {side}"),
        });
        let told: Vec<_> = everybody.into_iter().chain(users).collect();
        if told.is_empty() {
            "nothing".to_owned()
        } else {
            told.join("; ")
        }
    }
}

#[derive(Template)]
#[template(path = "flags.html")]
struct Flags {
    flags: Vec<Flag>,
    /// By flag.
    changes: BTreeMap<String, PlanChange>,
}

async fn page(State(console): State<Console>, reader: SignedIn) -> Result<Response, PageError> {
    let flags: Vec<Flag> = console.api.get(reader.bearer(), "/v1/flags").await?;
    let entries = journal::last(&console, &reader, "*", i64::MAX).await?;
    let changes = plan_changes(&entries);
    let page = Page {
        title: "Flags",
        section: "flags",
        reader: Some(Reader::new(&reader.session, &reader.person)),
        live: None,
        main: rendered(&Flags { flags, changes }),
        below: String::new(),
    };
    Ok(page.answer())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_said_in_words() {
        let mut rule = Rule {
            everybody: None,
            users_to_monolith: 0,
            users_to_service: 0,
        };
        assert_eq!(rule.text(), "nothing");
        rule.everybody = Some("monolith".to_owned());
        rule.users_to_service = 1;
        assert_eq!(
            rule.text(),
            "everybody to the monolith; 1 user to the service"
        );
    }
}
