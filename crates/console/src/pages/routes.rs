//! The gateway's routes, and which one a request would take.

use super::{
    form::Form,
    frame::{Page, PageError, Reader, rendered},
    reader::SignedIn,
};
use crate::state::Console;
use askama::Template;
use axum::{Router, extract::State, response::Response, routing::get};
use conductor::api::ExplainRequest;
use serde::Deserialize;

/// The most headers of a request that is explained.
const HEADERS_MAX: usize = 100;

/// As the API names what no route matches.
const REST: &str = "everything else";

pub(super) fn routes() -> Router<Console> {
    Router::new().route("/console/routes", get(page).post(explain))
}

/// A route, as the API has it.
#[derive(Debug, Deserialize)]
struct Route {
    matches: String,
    belongs_to: String,
    to: String,
}

/// What the API says of a request.
#[derive(Debug, Deserialize)]
struct Explanation {
    route: Option<String>,
    belongs_to: String,
    kind: String,
    to: Option<String>,
    why: String,
}

/// What was filled in.
#[derive(Default)]
struct Question {
    method: String,
    url: String,
    headers: String,
}

#[derive(Template)]
#[template(path = "routes.html")]
struct RoutesPage<'a> {
    csrf: &'a str,
    table: Vec<(Route, bool)>,
    question: Question,
    explanation: Option<Explanation>,
    error: Option<String>,
}

async fn page(State(console): State<Console>, reader: SignedIn) -> Result<Response, PageError> {
    let question = Question {
        method: "GET".to_owned(),
        ..Question::default()
    };
    show(&console, &reader, question, None).await
}

async fn explain(
    State(console): State<Console>,
    reader: SignedIn,
    form: Form,
) -> Result<Response, PageError> {
    form.of_session(&reader.session)?;
    let question = Question {
        method: form.text("method").unwrap_or_default(),
        url: form.text("url").unwrap_or_default(),
        headers: form.text("headers").unwrap_or_default(),
    };
    let answer = match headers(&question.headers) {
        Err(line) => Err(format!(
            "`{line}` is no header: write NAME: VALUE, one a line"
        )),
        Ok(headers) => {
            let request = ExplainRequest {
                method: question.method.clone(),
                url: question.url.clone(),
                headers,
                from: None,
                data: String::new(),
            };
            let answer = console.api.post(reader.bearer(), "/v1/explain", &request);
            match answer.await {
                Err(error) if error.is_unknown_bearer() => return Err(error.into()),
                Err(error) => Err(error.reply.error),
                Ok(explanation) => Ok(explanation),
            }
        }
    };
    show(&console, &reader, question, Some(answer)).await
}

/// One a line.
fn headers(text: &str) -> Result<Vec<(String, String)>, &str> {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let header = |line| {
        let (name, value) = str::split_once(line, ':').ok_or(line)?;
        Ok((name.trim().to_owned(), value.trim().to_owned()))
    };
    lines.take(HEADERS_MAX).map(header).collect()
}

async fn show(
    console: &Console,
    reader: &SignedIn,
    question: Question,
    answer: Option<Result<Explanation, String>>,
) -> Result<Response, PageError> {
    let routes: Vec<Route> = console.api.get(reader.bearer(), "/v1/routes").await?;
    let (explanation, error) = match answer {
        None => (None, None),
        Some(Ok(explanation)) => (Some(explanation), None),
        Some(Err(error)) => (None, Some(error)),
    };
    let marked = explanation.as_ref();
    let marked = marked.map(|found| found.route.as_deref().unwrap_or(REST));
    let mark = |route: Route| {
        let is_it = marked == Some(route.matches.as_str());
        (route, is_it)
    };
    let main = rendered(&RoutesPage {
        csrf: &reader.session.csrf,
        table: routes.into_iter().map(mark).collect(),
        question,
        explanation,
        error,
    });
    let page = Page {
        title: "Routes",
        section: "routes",
        reader: Some(Reader::new(&reader.session, &reader.person)),
        live: None,
        main,
        below: String::new(),
    };
    Ok(page.answer())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_one_a_line() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            headers("x-user-id: 7\n\naccept : a:b"),
            Ok(vec![pair("x-user-id", "7"), pair("accept", "a:b")])
        );
        assert_eq!(headers("x-user-id"), Err("x-user-id"));
    }
}
