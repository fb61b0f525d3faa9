//! What surrounds every page, and the page of what went wrong.

use crate::{api::ApiError, session::Session, state::Person};
use askama::Template;
use axum::{
    http::{StatusCode, header},
    response::{Html, IntoResponse, Redirect, Response},
};

/// The first page.
pub(crate) const HOME: &str = "/console";

/// What surrounds a page.
#[derive(Template)]
#[template(path = "page.html")]
pub(crate) struct Page<'a> {
    pub(crate) title: &'a str,
    /// Which entry of the navigation it is.
    pub(crate) section: &'static str,
    /// Who reads it; `None` before they are signed in.
    pub(crate) reader: Option<Reader<'a>>,
    /// Where what is in `main` comes from again whenever it changes.
    pub(crate) live: Option<String>,
    /// HTML.
    pub(crate) main: String,
    /// HTML of what stays as it is while `main` changes.
    pub(crate) below: String,
}

/// Who reads a page.
pub(crate) struct Reader<'a> {
    pub(crate) person: &'a Person,
    pub(crate) csrf: &'a str,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(session: &'a Session, person: &'a Person) -> Self {
        Self {
            person,
            csrf: &session.csrf,
        }
    }
}

impl Page<'_> {
    pub(crate) fn answer(&self) -> Response {
        html(StatusCode::OK, self)
    }
}

/// Why a page is not shown.
pub(crate) enum PageError {
    SignedOut,
    Refused(ApiError),
    /// Of this console, in words.
    Of(StatusCode, String),
}

impl From<ApiError> for PageError {
    fn from(error: ApiError) -> Self {
        if error.is_unknown_bearer() {
            Self::SignedOut
        } else {
            Self::Refused(error)
        }
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let (code, text) = match self {
            Self::SignedOut => return Redirect::to("/console/sign-in").into_response(),
            Self::Refused(error) => (error.code, error.reply.error),
            Self::Of(code, text) => (code, text),
        };
        refusal(code, title(code), &text, &[], HOME)
    }
}

/// What a page of an error is called, where nothing was ordered.
pub(super) fn title(code: StatusCode) -> &'static str {
    match code {
        StatusCode::NOT_FOUND => "Not found",
        StatusCode::SERVICE_UNAVAILABLE => "Not now",
        code if code.is_server_error() => "It cannot be shown",
        _ => "Nothing was done",
    }
}

#[derive(Template)]
#[template(path = "refusal.html")]
struct Refusal<'a> {
    title: &'a str,
    text: &'a str,
    details: &'a [String],
    back: &'a str,
}

/// A page that says what was refused, why, and where to go on.
pub(crate) fn refusal(
    code: StatusCode,
    title: &str,
    text: &str,
    details: &[String],
    back: &str,
) -> Response {
    let main = Refusal {
        title,
        text,
        details,
        back,
    };
    let page = Page {
        title,
        section: "",
        reader: None,
        live: None,
        main: rendered(&main),
        below: String::new(),
    };
    html(code, &page)
}

/// The HTML of a template.
pub(crate) fn rendered(template: &impl Template) -> String {
    // Writing into a string does not fail.
    template.render().unwrap_or_default()
}

fn html(code: StatusCode, page: &Page<'_>) -> Response {
    let headers = [(header::CACHE_CONTROL, "no-store")];
    (code, headers, Html(rendered(page))).into_response()
}
