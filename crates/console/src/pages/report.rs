//! What the migration did, as a page and to keep.

use super::{
    frame::{Page, PageError, Reader, rendered},
    journal,
    reader::SignedIn,
};
use crate::state::Console;
use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use conductor::now_ms;
use conductor::status::Status;
use report::{Report, html, markdown};

pub(super) fn routes() -> Router<Console> {
    Router::new()
        .route("/console/report", get(page))
        .route("/console/report/{file}", get(download))
}

#[derive(Template)]
#[template(path = "report.html")]
struct ReportPage {
    body: String,
}

async fn made(console: &Console, reader: &SignedIn) -> Result<Report, PageError> {
    let status: Status = console.api.get(reader.bearer(), "/v1/status").await?;
    let entries = journal::all(console, reader).await?;
    Ok(Report::new(&status, &entries, &[], now_ms()))
}

async fn page(State(console): State<Console>, reader: SignedIn) -> Result<Response, PageError> {
    let report = made(&console, &reader).await?;
    let body = html::body(&report).map_err(|error| unwritten(&error))?;
    let page = Page {
        title: "Report",
        section: "report",
        reader: Some(Reader::new(&reader.session, &reader.person)),
        live: None,
        main: rendered(&ReportPage { body }),
        below: String::new(),
    };
    Ok(page.answer())
}

async fn download(
    State(console): State<Console>,
    reader: SignedIn,
    Path(file): Path<String>,
) -> Result<Response, PageError> {
    let report = made(&console, &reader).await?;
    let (kind, text) = match file.as_str() {
        "report.md" => ("text/markdown; charset=utf-8", Ok(markdown::page(&report))),
        "report.html" => (
            "text/html; charset=utf-8",
            html::document(&report).map_err(|error| unwritten(&error)),
        ),
        "report.json" => (
            "application/json",
            serde_json::to_string_pretty(&report).map_err(|error| unwritten(&error)),
        ),
        _ => {
            let text = format!("there is no `{file}`: report.html, report.md, report.json");
            return Err(PageError::Of(StatusCode::NOT_FOUND, text));
        }
    };
    let kept = format!("attachment; filename=\"{file}\"");
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_DISPOSITION, kept.as_str()),
    ];
    Ok((headers, text?).into_response())
}

fn unwritten(error: &impl std::fmt::Display) -> PageError {
    let text = format!("the report cannot be written: {error}");
    PageError::Of(StatusCode::INTERNAL_SERVER_ERROR, text)
}
