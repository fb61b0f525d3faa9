//! What waits for a person: checklists, and steps to approve; and what was approved.

use super::{
    extraction,
    form::Form,
    frame::{Page, PageError, Reader, refusal, rendered},
    journal,
    reader::SignedIn,
};
use crate::{
    api::{self, ApiError},
    session::Outcome,
    state::Console,
    view::{
        checklist::{ListView, list},
        log::{ApprovalLine, approvals},
        next::{Button, next},
    },
};
use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use conductor::now_ms;
use conductor::{
    Reply,
    api::{CheckRequest, Parameters},
    status::{ChecklistStatus, Status},
};
use report::Report;

const PATH: &str = "/console/approvals";

pub(super) fn routes() -> Router<Console> {
    Router::new()
        .route(PATH, get(page))
        .route("/console/extractions/{name}/attest", post(attest))
        .route("/console/extractions/{name}/check", post(check))
}

/// A step that waits.
struct Waiting {
    name: String,
    text: String,
    path: String,
    button: Button,
}

/// The checklists of an extraction.
struct ExtractionLists {
    name: String,
    path: String,
    lists: Vec<ListView>,
}

#[derive(Template)]
#[template(path = "approvals.html")]
struct Approvals<'a> {
    csrf: &'a str,
    outcomes: Vec<Outcome>,
    checklists: Vec<ExtractionLists>,
    waiting: Vec<Waiting>,
    given: Vec<ApprovalLine>,
}

async fn page(State(console): State<Console>, reader: SignedIn) -> Result<Response, PageError> {
    let status: Status = console.api.get(reader.bearer(), "/v1/status").await?;
    let waits = status.extractions.iter().filter_map(|one| {
        let told = next(one, reader.person.role);
        let button = told
            .primary
            .filter(|button| button.verb.name == "approve")?;
        Some(Waiting {
            name: one.name.clone(),
            text: told.text,
            path: extraction::path(&one.name),
            button,
        })
    });
    let waiting = waits.collect();
    let mut checklists = Vec::new();
    for one in &status.extractions {
        let path = api::extraction(&one.name) + "/checklists";
        let lists: Vec<ChecklistStatus> = console.api.get(reader.bearer(), &path).await?;
        if !lists.is_empty() {
            let role = reader.person.role;
            checklists.push(ExtractionLists {
                name: one.name.clone(),
                path: extraction::path(&one.name),
                lists: lists.iter().map(|one| list(one, role)).collect(),
            });
        }
    }
    let entries = journal::all(&console, &reader).await?;
    let report = Report::new(&status, &entries, &[], now_ms());
    let page = Page {
        title: "Checklists and approvals",
        section: "approvals",
        reader: Some(Reader::new(&reader.session, &reader.person)),
        live: None,
        main: rendered(&Approvals {
            csrf: &reader.session.csrf,
            outcomes: reader.session.outcomes(),
            checklists,
            waiting,
            given: approvals(&report),
        }),
        below: String::new(),
    };
    Ok(page.answer())
}

/// A person answers an item.
async fn attest(
    State(console): State<Console>,
    reader: SignedIn,
    Path(name): Path<String>,
    form: Form,
) -> Result<Response, PageError> {
    form.of_session(&reader.session)?;
    let item = form.text("item").unwrap_or_default();
    let parameters = Parameters {
        by: Some(reader.person.name.clone()),
        note: form.text("note"),
        item: Some(item.clone()),
        text: form.text("text"),
        ..Parameters::default()
    };
    let call = api::extraction(&name) + "/attest";
    let done = console
        .api
        .post::<Reply>(reader.bearer(), &call, &parameters)
        .await;
    let told = format!("{item} of {name} is attested.");
    Ok(answered(&reader, done.map(drop), told))
}

/// Has a list, or an item, checked now.
async fn check(
    State(console): State<Console>,
    reader: SignedIn,
    Path(name): Path<String>,
    form: Form,
) -> Result<Response, PageError> {
    form.of_session(&reader.session)?;
    let of = form.text("item").unwrap_or_default();
    let told = format!("{of} of {name} was checked.");
    let call = api::extraction(&name) + "/checklists";
    let asked = CheckRequest { of };
    let done = console
        .api
        .post::<Vec<ChecklistStatus>>(reader.bearer(), &call, &asked)
        .await;
    Ok(answered(&reader, done.map(drop), told))
}

fn answered(reader: &SignedIn, done: Result<(), ApiError>, text: String) -> Response {
    if let Err(error) = done {
        let title = "It was not done";
        return refusal(error.code, title, &error.reply.error, &[], PATH);
    }
    let is_done = true;
    reader.session.note(Outcome { is_done, text });
    Redirect::to(PATH).into_response()
}
