//! Halting everything automatic, everywhere, and ending that.

use super::{
    form::Form,
    frame::{HOME, Page, PageError, Reader, refusal, rendered},
    reader::SignedIn,
};
use crate::{role::Role, session::Outcome, state::Console};
use askama::Template;
use axum::{
    Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use conductor::{api::HaltRequest, status::Status};

const PATH: &str = "/console/freeze";

pub(super) fn routes() -> Router<Console> {
    Router::new().route(PATH, get(ask).post(freeze))
}

#[derive(Template)]
#[template(path = "freeze.html")]
struct Freeze<'a> {
    csrf: &'a str,
    halted: Option<&'a str>,
    blocked: Option<String>,
}

async fn ask(State(console): State<Console>, reader: SignedIn) -> Result<Response, PageError> {
    let status: Status = console.api.get(reader.bearer(), "/v1/status").await?;
    let main = Freeze {
        csrf: &reader.session.csrf,
        halted: status.halted.as_deref(),
        blocked: reader.person.lacks(Role::Operator),
    };
    let page = Page {
        title: "Halt all",
        section: "freeze",
        reader: Some(Reader::new(&reader.session, &reader.person)),
        live: None,
        main: rendered(&main),
        below: String::new(),
    };
    Ok(page.answer())
}

async fn freeze(
    State(console): State<Console>,
    reader: SignedIn,
    form: Form,
) -> Result<Response, PageError> {
    form.of_session(&reader.session)?;
    let halt = HaltRequest {
        by: Some(reader.person.name.clone()),
        note: form.text("note").unwrap_or_default(),
        off: form.has("off"),
        expected: form.text("halted"),
    };
    if halt.off && halt.expected.is_none() {
        let text = "the form does not say which halt it ends. Load the page again and send it \
                    from there";
        return Err(PageError::Of(StatusCode::BAD_REQUEST, text.to_owned()));
    }
    let asked = console
        .api
        .post::<Status>(reader.bearer(), "/v1/halt", &halt)
        .await;
    if let Err(error) = asked {
        let title = "It was not done";
        return Ok(refusal(error.code, title, &error.reply.error, &[], PATH));
    }
    let text = if halt.off {
        "The plan's steps go on."
    } else {
        "All automatic steps are halted; verbs work as before."
    };
    reader.session.note(Outcome {
        is_done: true,
        text: text.to_owned(),
    });
    Ok(Redirect::to(HOME).into_response())
}
