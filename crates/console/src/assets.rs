//! The files that pages load, from within the program.

use crate::state::Console;
use axum::{
    Router,
    extract::Path,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// Name, type, content.
const FILES: &[(&str, &str, &[u8])] = &[
    ("console.css", CSS, include_bytes!("../assets/console.css")),
    (
        "console.js",
        JAVASCRIPT,
        include_bytes!("../assets/console.js"),
    ),
    ("icon.svg", SVG, include_bytes!("../assets/icon.svg")),
    (
        "htmx.min.js",
        JAVASCRIPT,
        include_bytes!("../assets/htmx.min.js"),
    ),
    (
        "htmx-sse.min.js",
        JAVASCRIPT,
        include_bytes!("../assets/htmx-sse.min.js"),
    ),
    (
        "uplot.min.js",
        JAVASCRIPT,
        include_bytes!("../assets/uplot.min.js"),
    ),
    (
        "uplot.min.css",
        CSS,
        include_bytes!("../assets/uplot.min.css"),
    ),
];

/// They are asked for anew with each version, which may be another tomorrow.
const CACHE: &str = "no-cache";

pub(crate) fn routes() -> Router<Console> {
    Router::new().route("/console/assets/{name}", get(file))
}

async fn file(Path(name): Path<String>) -> Response {
    match FILES.iter().find(|(known, ..)| *known == name) {
        Some((_, kind, content)) => {
            let headers = [
                (header::CONTENT_TYPE, *kind),
                (header::CACHE_CONTROL, CACHE),
            ];
            (headers, *content).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
