//! One extraction.

use super::{
    frame::{Page, PageError, Reader, rendered},
    migrations::shadow,
    reader::SignedIn,
};
use crate::{
    api::segment,
    history::{Point, now_ms},
    session::Outcome,
    state::Console,
    view::{
        extraction::{ExtractionView, GateLine, extraction, gates},
        format,
    },
};
use askama::Template;
use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
    routing::get,
};
use conductor::status::{ExtractionStatus, Status};

/// Rows of the table that has the lines' last points.
const ROWS: usize = 12;

pub(super) fn routes() -> Router<Console> {
    Router::new()
        .route("/console/extractions/{name}", get(page))
        .route("/console/extractions/{name}/evidence", get(evidence))
        .route("/console/extractions/{name}/points", get(points))
}

#[derive(Template)]
#[template(path = "extraction.html")]
struct Extraction<'a> {
    outcomes: Vec<Outcome>,
    csrf: &'a str,
    path: String,
    view: ExtractionView,
}

#[derive(Template)]
#[template(path = "lines.html")]
struct Lines {
    path: String,
    rows: Vec<[String; 4]>,
}

#[derive(Template)]
#[template(path = "evidence.html")]
struct Evidence<'a> {
    name: &'a str,
    path: String,
    gates: Vec<GateLine>,
}

async fn page(
    State(console): State<Console>,
    reader: SignedIn,
    Path(name): Path<String>,
) -> Result<Response, PageError> {
    let main = main(&console, &reader, &name).await?;
    let path = path(&name);
    let rows = console.history.of(&name);
    let page = Page {
        title: &name,
        section: "migrations",
        reader: Some(Reader::new(&reader.session, &reader.person)),
        live: Some(format!("{path}/live")),
        main,
        below: rendered(&Lines {
            rows: rows.iter().rev().take(ROWS).map(row).collect(),
            path,
        }),
    };
    Ok(page.answer())
}

/// What changes of the page.
pub(crate) async fn main(
    console: &Console,
    reader: &SignedIn,
    name: &str,
) -> Result<String, PageError> {
    let status: Status = console.api.get(reader.bearer(), "/v1/status").await?;
    let one = find(&status, name)?;
    let shadow = shadow(console, reader, name).await?;
    Ok(rendered(&Extraction {
        outcomes: reader.session.outcomes(),
        csrf: &reader.session.csrf,
        path: path(name),
        view: extraction(&status, one, &shadow, reader.person.role, now_ms()),
    }))
}

/// The numbers that its gates go by.
async fn evidence(
    State(console): State<Console>,
    reader: SignedIn,
    Path(name): Path<String>,
) -> Result<Response, PageError> {
    let status: Status = console.api.get(reader.bearer(), "/v1/status").await?;
    let one = find(&status, &name)?;
    let page = Page {
        title: "Gates",
        section: "migrations",
        reader: Some(Reader::new(&reader.session, &reader.person)),
        live: None,
        main: rendered(&Evidence {
            name: &name,
            path: path(&name),
            gates: gates(one),
        }),
        below: String::new(),
    };
    Ok(page.answer())
}

/// An extraction of the plan.
pub(super) fn find<'a>(status: &'a Status, name: &str) -> Result<&'a ExtractionStatus, PageError> {
    let found = status.extractions.iter().find(|one| one.name == name);
    found.ok_or_else(|| {
        let text = format!("the plan that `banyan serve` goes by has no extraction `{name}`");
        PageError::Of(StatusCode::NOT_FOUND, text)
    })
}

/// Its page.
pub(super) fn path(name: &str) -> String {
    format!("/console/extractions/{}", segment(name))
}

fn row(point: &Point) -> [String; 4] {
    let dash = || "–".to_owned();
    [
        format::minute(point.at_ms),
        format::percent(point.reads_percent),
        point.lag_seconds.map_or_else(dash, format::seconds),
        point.lag_bytes.map_or_else(dash, format::bytes),
    ]
}

/// The points of its lines.
async fn points(
    State(console): State<Console>,
    _: SignedIn,
    Path(name): Path<String>,
) -> Json<Vec<Point>> {
    Json(console.history.of(&name))
}
