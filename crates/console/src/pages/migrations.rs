//! The first page: all extractions.

use super::frame::{Page, PageError, Reader, rendered};
use super::reader::SignedIn;
use crate::{
    session::Outcome,
    state::Console,
    view::migrations::{MigrationsView, migrations},
};
use askama::Template;
use axum::{Router, extract::State, response::Response, routing::get};
use conductor::status::Status;

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
    Ok(rendered(&Migrations {
        outcomes: reader.session.outcomes(),
        view: migrations(&status, conductor::now_ms()),
    }))
}
