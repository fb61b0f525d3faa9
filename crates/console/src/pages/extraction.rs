//! One extraction.

use super::{
    frame::{Page, PageError, Reader, rendered},
    journal,
    reader::{Onlooker, SignedIn},
};
use crate::{
    api::segment,
    history::Point,
    session::Outcome,
    state::Console,
    view::{
        decision::{DecisionView, decision as entry},
        extraction::{ExtractionView, GateLine, extraction, gates},
        format,
        log::{LogLine, log},
        reasons::{Reason, reasons},
        rehearsals::{Rehearsals, rehearsals},
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
use conductor::now_ms;
use conductor::status::{ExtractionStatus, Status, no_extraction};
use report::{Report, Stop, clock};

/// Rows of the table that has the lines' last points.
const ROWS: usize = 12;

pub(super) fn routes() -> Router<Console> {
    Router::new()
        .route("/console/extractions/{name}", get(page))
        .route("/console/extractions/{name}/evidence", get(evidence))
        .route("/console/extractions/{name}/decisions/{seq}", get(decision))
        .route("/console/extractions/{name}/points", get(points))
}

#[derive(Template)]
#[template(path = "extraction.html")]
struct Extraction<'a> {
    outcomes: Vec<Outcome>,
    csrf: &'a str,
    path: String,
    view: ExtractionView,
    rehearsals: Option<Rehearsals>,
    log: Vec<LogLine>,
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
    /// In the words of `banyan why`, where its steps have stopped.
    stop: Option<Stop>,
    reasons: Vec<Reason>,
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
    let entries = journal::last(console, reader, name, i64::MAX).await?;
    let report = Report::new(&status, &entries, &[name.to_owned()], now_ms());
    Ok(rendered(&Extraction {
        outcomes: reader.session.outcomes(),
        csrf: &reader.session.csrf,
        path: path(name),
        log: log(&report),
        rehearsals: rehearsals(one, &entries, reader.person.role),
        view: extraction(&status, one, reader.person.role, now_ms()),
    }))
}

#[derive(Template)]
#[template(path = "decision.html")]
struct Decision {
    path: String,
    view: DecisionView,
}

/// Something that was decided, with the numbers that it went by.
async fn decision(
    State(console): State<Console>,
    reader: SignedIn,
    Path((name, seq)): Path<(String, i64)>,
) -> Result<Response, PageError> {
    let before = seq.saturating_add(1);
    let mut entries = journal::last(&console, &reader, &name, before).await?;
    entries.extend(journal::after(&console, &reader, &name, seq).await?);
    let found = entry(&entries, seq);
    let view = found.ok_or_else(|| {
        let text = format!("the journal has no entry {seq} of `{name}` that a page shows");
        PageError::Of(StatusCode::NOT_FOUND, text)
    })?;
    let page = Page {
        title: "Decision",
        section: "migrations",
        reader: Some(Reader::new(&reader.session, &reader.person)),
        live: None,
        main: rendered(&Decision {
            path: path(&name),
            view,
        }),
        below: String::new(),
    };
    Ok(page.answer())
}

/// The numbers that its gates go by.
async fn evidence(
    State(console): State<Console>,
    reader: SignedIn,
    Path(name): Path<String>,
) -> Result<Response, PageError> {
    let status: Status = console.api.get(reader.bearer(), "/v1/status").await?;
    let one = find(&status, &name)?;
    let entries = journal::last(&console, &reader, &name, i64::MAX).await?;
    let page = Page {
        title: "Why",
        section: "migrations",
        reader: Some(Reader::new(&reader.session, &reader.person)),
        live: None,
        main: rendered(&Evidence {
            name: &name,
            path: path(&name),
            stop: Stop::of(one, &entries),
            reasons: reasons(one),
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
        let known = status.extractions.iter().map(|one| one.name.as_str());
        let none = no_extraction(name, known);
        let text = format!("the plan that `banyan serve` goes by has {none}");
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
        clock::minute(point.at_ms),
        format::percent(point.reads_percent),
        point.lag_seconds.map_or_else(dash, format::seconds),
        point.lag_bytes.map_or_else(dash, format::bytes),
    ]
}

/// The points of its lines.
async fn points(
    State(console): State<Console>,
    _: Onlooker,
    Path(name): Path<String>,
) -> Json<Vec<Point>> {
    Json(console.history.of(&name))
}
