//! What goes wrong before a page is made: no such page, a method or a part of a path that
//! it does not take. It gets a page with the way back, too.

use super::frame::{HOME, refusal, title};
use axum::{
    Router,
    body::to_bytes,
    extract::Request,
    http::{StatusCode, Uri, header},
    middleware::Next,
    response::Response,
    routing::any,
};

/// The most of a path, and of what was said, that a page repeats.
const TEXT_BYTES_MAX: usize = 2_000;

/// All paths below `/console` that nothing else answers. Those outside are not ours.
pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/console/{*path}", any(|| async { StatusCode::NOT_FOUND }))
}

/// Puts an error that is no page into one.
pub(crate) async fn framed(request: Request, next: Next) -> Response {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let response = next.run(request).await;
    let code = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE);
    let is_page = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    if is_page || !(code.is_client_error() || code.is_server_error()) {
        return response;
    }
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, TEXT_BYTES_MAX).await.unwrap_or_default();
    let text = match String::from_utf8_lossy(&body).trim() {
        "" => default_text(code, method.as_str(), &uri),
        text => text.to_owned(),
    };
    let mut page = refusal(code, title(code), &text, &[], HOME);
    // Of what was there it keeps what says more, as which methods there are.
    for (name, value) in &parts.headers {
        if ![header::CONTENT_TYPE, header::CONTENT_LENGTH].contains(name) {
            page.headers_mut().append(name, value.clone());
        }
    }
    page
}

fn default_text(code: StatusCode, method: &str, uri: &Uri) -> String {
    let path: String = uri.path().chars().take(TEXT_BYTES_MAX).collect();
    match code {
        StatusCode::NOT_FOUND => format!("The console has no page {path}."),
        StatusCode::METHOD_NOT_ALLOWED => {
            format!("{path} does not take {method}. Go to the page, and send its form from there.")
        }
        _ => format!("{path} was answered with {code}, and nothing was said of why."),
    }
}
