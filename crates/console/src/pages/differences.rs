//! Where both sides differ.

use super::{
    frame::{Page, PageError, Reader, rendered},
    reader::SignedIn,
};
use crate::{
    api,
    role::Role,
    state::Console,
    view::{
        differences::{DifferencesView, Verification, differences},
        shadow::ShadowReport,
    },
};
use askama::Template;
use axum::{Router, extract::State, response::Response, routing::get};
use conductor::status::Status;

pub(super) fn routes() -> Router<Console> {
    Router::new().route("/console/differences", get(page))
}

#[derive(Template)]
#[template(path = "differences.html")]
struct Differences {
    views: Vec<DifferencesView>,
}

async fn page(State(console): State<Console>, reader: SignedIn) -> Result<Response, PageError> {
    let status: Status = console.api.get(reader.bearer(), "/v1/status").await?;
    let sees_values = reader.person.role >= Role::Operator;
    let mut views = Vec::new();
    for one in &status.extractions {
        let path = api::extraction(&one.name) + "/verification";
        let found: Option<Verification> = console.api.get(reader.bearer(), &path).await?;
        let path = api::extraction(&one.name) + "/shadow";
        let shadow: ShadowReport = console.api.get(reader.bearer(), &path).await?;
        let person = reader.person.name.as_str();
        let (found, shadow) = (found.as_ref(), &shadow);
        views.push(differences(&one.name, found, shadow, sees_values, person));
    }
    let page = Page {
        title: "Differences",
        section: "differences",
        reader: Some(Reader::new(&reader.session, &reader.person)),
        live: None,
        main: rendered(&Differences { views }),
        below: String::new(),
    };
    Ok(page.answer())
}
