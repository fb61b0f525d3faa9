//! Whether the old side of an extraction may go.

use super::{
    extraction::{find, path},
    frame::{Page, PageError, Reader, rendered},
    reader::SignedIn,
};
use crate::{
    api,
    state::Console,
    view::retire::{RetireView, retire},
};
use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    response::Response,
    routing::get,
};
use conductor::{
    now_ms,
    status::{ChecklistStatus, RetireStatus, Status},
};

pub(super) fn routes() -> Router<Console> {
    Router::new().route("/console/extractions/{name}/retire", get(page))
}

#[derive(Template)]
#[template(path = "retire.html")]
struct RetirePage {
    path: String,
    view: RetireView,
}

async fn page(
    State(console): State<Console>,
    reader: SignedIn,
    Path(name): Path<String>,
) -> Result<Response, PageError> {
    let bearer = reader.bearer();
    let status: Status = console.api.get(bearer, "/v1/status").await?;
    let one = find(&status, &name)?;
    let call = api::extraction(&name);
    let found: RetireStatus = console.api.get(bearer, &format!("{call}/retire")).await?;
    let lists = format!("{call}/checklists");
    let lists: Vec<ChecklistStatus> = console.api.get(bearer, &lists).await?;
    let view = retire(one, &found, &lists, reader.person.role, now_ms());
    let page = Page {
        title: "Retire",
        section: "migrations",
        reader: Some(Reader::new(&reader.session, &reader.person)),
        live: None,
        main: rendered(&RetirePage {
            path: path(&name),
            view,
        }),
        below: String::new(),
    };
    Ok(page.answer())
}
