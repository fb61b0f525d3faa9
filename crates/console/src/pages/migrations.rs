//! The first page: all extractions.

use super::frame::{Page, PageError, Reader, rendered};
use super::reader::SignedIn;
use crate::{
    api::segment,
    session::Outcome,
    state::Console,
    view::{
        migrations::{MigrationsView, migrations},
        shadow::ShadowReport,
    },
};
use askama::Template;
use axum::{Router, extract::State, response::Response, routing::get};
use conductor::status::Status;
use std::collections::BTreeMap;

pub(super) fn routes() -> Router<Console> {
    Router::new().route("/console", get(page))
}

#[derive(Template)]
#[template(path = "migrations.html")]
struct Migrations {
    outcomes: Vec<Outcome>,
    view: MigrationsView,
}

async fn page(State(console): State<Console>, reader: SignedIn) -> Result<Response, PageError> {
    let main = main(&console, &reader).await?;
    let page = Page {
        title: "Migrations",
        section: "migrations",
        reader: Some(Reader::new(&reader.session, &reader.person)),
        live: Some("/console/live".to_owned()),
        main,
        below: String::new(),
    };
    Ok(page.answer())
}

/// What changes of the page.
pub(crate) async fn main(console: &Console, reader: &SignedIn) -> Result<String, PageError> {
    let status: Status = console.api.get(reader.bearer(), "/v1/status").await?;
    let mut shadows = BTreeMap::new();
    for one in &status.extractions {
        shadows.insert(one.name.clone(), shadow(console, reader, &one.name).await?);
    }
    Ok(rendered(&Migrations {
        outcomes: reader.session.outcomes(),
        view: migrations(&status, &shadows),
    }))
}

/// What comparing an extraction's answers has found.
pub(super) async fn shadow(
    console: &Console,
    reader: &SignedIn,
    name: &str,
) -> Result<ShadowReport, PageError> {
    let path = format!("/v1/extractions/{}/shadow", segment(name));
    Ok(console.api.get(reader.bearer(), &path).await?)
}
