//! Ordering something of an extraction: the page that asks, and what carries it out.

use super::{
    extraction::{find, path},
    form::Form,
    frame::{Page, PageError, Reader, refusal, rendered},
    reader::SignedIn,
};
use crate::{
    api::ApiError,
    session::Outcome,
    state::Console,
    view::{
        format,
        next::expected,
        verbs::{self, Verb},
    },
};
use askama::Template;
use axum::{
    Router,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use conductor::{
    Precondition, Reply, Resumed,
    api::Parameters,
    status::{ExtractionStatus, RolloutStatus, Status},
};
use serde::Deserialize;
use std::{sync::Arc, time::Duration};

/// How long a browser waits for what was ordered; it goes on afterwards, and the pages
/// show what becomes of it.
const WAIT: Duration = Duration::from_secs(5);

pub(super) fn routes() -> Router<Console> {
    Router::new().route(
        "/console/extractions/{name}/order/{verb}",
        get(ask).post(order),
    )
}

/// What a link to the page proposes.
#[derive(Debug, Deserialize)]
struct Proposed {
    #[serde(default)]
    reads: Option<String>,
    /// How it stood on the page that has the link.
    #[serde(default)]
    expected: Option<String>,
}

#[derive(Template)]
#[template(path = "confirm.html")]
struct Confirm<'a> {
    csrf: &'a str,
    back: String,
    action: String,
    name: &'a str,
    verb: &'static Verb,
    one: &'a ExtractionStatus,
    /// How it stands, for the order to be bound to.
    expected: Option<String>,
    /// The step of the plan that it is about.
    step: Option<String>,
    /// What is to be approved of that.
    to_approve: Option<&'a str>,
    reads: String,
    person: &'a str,
    blocked: Option<String>,
}

async fn ask(
    State(console): State<Console>,
    reader: SignedIn,
    Path((name, verb)): Path<(String, String)>,
    Query(proposed): Query<Proposed>,
) -> Result<Response, PageError> {
    let status: Status = console.api.get(reader.bearer(), "/v1/status").await?;
    let one = find(&status, &name)?;
    let verb = known(&verb, one)?;
    let blocked = reader.person.lacks(verb.needs);
    let expected = match proposed.expected.filter(|_| verb.is_bound) {
        Some(shown) => {
            let was = read_precondition(&shown)?;
            if let Some(why) = was.refusal(one) {
                return Ok(changed(verb, &name, &why));
            }
            Some(shown)
        }
        None => expected(verb, one),
    };
    let is_of_steps = verb.resumes_steps() || ["approve", "pause"].contains(&verb.name);
    let rollout = one.rollout.as_ref().filter(|_| is_of_steps);
    let approved = rollout.filter(|_| verb.name == "approve");
    let main = Confirm {
        csrf: &reader.session.csrf,
        back: path(&name),
        action: format!("{}/order/{}", path(&name), verb.name),
        name: &name,
        verb,
        one,
        expected,
        step: rollout.and_then(RolloutStatus::step_words),
        to_approve: approved.and_then(RolloutStatus::to_approve),
        reads: proposed.reads.unwrap_or_default(),
        person: &reader.person.name,
        blocked,
    };
    let page = Page {
        title: verb.label,
        section: "migrations",
        reader: Some(Reader::new(&reader.session, &reader.person)),
        live: None,
        main: rendered(&main),
        below: String::new(),
    };
    Ok(page.answer())
}

async fn order(
    State(console): State<Console>,
    reader: SignedIn,
    Path((name, verb)): Path<(String, String)>,
    form: Form,
) -> Result<Response, PageError> {
    form.of_session(&reader.session)?;
    let status: Status = console.api.get(reader.bearer(), "/v1/status").await?;
    let verb = known(&verb, find(&status, &name)?)?;
    if verb.wants_name() && form.get("name") != Some(&name) {
        return Ok(not_named(verb, &name));
    }
    let parameters = Parameters {
        expected: precondition(&form, verb)?,
        ..parameters(&form, reader.person.name.clone())?
    };
    let call = format!(
        "/v1{}/{}",
        path(&name).trim_start_matches("/console"),
        verb.name
    );
    let session = Arc::clone(&reader.session);
    let mut under_way = tokio::spawn(async move {
        let done = console
            .api
            .post::<Reply>(&session.bearer, &call, &parameters)
            .await;
        if let Ok(reply) = &done {
            session.note(outcome(verb, reply));
        }
        done
    });
    let back = path(&name);
    match tokio::time::timeout(WAIT, &mut under_way).await {
        Ok(Ok(Ok(_))) => {}
        Ok(Ok(Err(error))) => return Ok(refused(verb, &name, &error)),
        Ok(Err(_)) => {
            let text = "what was ordered ended without an answer; the status says how it stands";
            return Err(PageError::Of(
                StatusCode::INTERNAL_SERVER_ERROR,
                text.to_owned(),
            ));
        }
        Err(_) => {
            reader.session.note(Outcome {
                is_done: true,
                text: format!("{} of {name}: under way.", verb.label),
            });
            tokio::spawn(note_refusal(under_way, reader.session, verb, name));
        }
    }
    Ok(Redirect::to(&back).into_response())
}

/// Of something that took longer than a browser waits: what was done is noted already.
async fn note_refusal(
    under_way: tokio::task::JoinHandle<Result<Reply, ApiError>>,
    session: Arc<crate::session::Session>,
    verb: &'static Verb,
    name: String,
) {
    if let Ok(Err(error)) = under_way.await {
        session.note(Outcome {
            is_done: false,
            text: format!("{} of {name}: {}", verb.label, error.reply.error),
        });
    }
}

fn known(verb: &str, one: &ExtractionStatus) -> Result<&'static Verb, PageError> {
    verbs::find(verb, one).ok_or_else(|| {
        let text = format!("there is no verb `{verb}`");
        PageError::Of(StatusCode::NOT_FOUND, text)
    })
}

fn parameters(form: &Form, by: String) -> Result<Parameters, PageError> {
    let number = |name: &str| {
        let parsed = form.get(name).map(str::parse).transpose();
        parsed.map_err(|_| {
            let text = format!("`{name}` is a whole number");
            PageError::Of(StatusCode::BAD_REQUEST, text)
        })
    };
    let share = |name: &str| {
        let share = form.get(name).map(|share| share.replace(' ', ""));
        share.map(|share| {
            if share.ends_with('%') {
                share
            } else {
                share + "%"
            }
        })
    };
    Ok(Parameters {
        reads: share("reads"),
        writes: share("writes"),
        empty: form.has("empty"),
        unverified: form.has("unverified"),
        unhealthy: form.has("unhealthy"),
        owner: form.text("owner"),
        epoch: number("epoch")?,
        by: Some(by),
        note: form.text("note"),
        step: number("step")?.and_then(|step| usize::try_from(step).ok()),
        ..Parameters::default()
    })
}

/// How it stood on the page that the form comes from.
fn precondition(form: &Form, verb: &Verb) -> Result<Option<Precondition>, PageError> {
    if !verb.is_bound {
        return Ok(None);
    }
    read_precondition(form.get("expected").unwrap_or_default()).map(Some)
}

fn read_precondition(given: &str) -> Result<Precondition, PageError> {
    serde_json::from_str(given).map_err(|_| {
        let text = "the form does not say how it stood when this was ordered. Load the page again \
                    and send it from there";
        PageError::Of(StatusCode::BAD_REQUEST, text.to_owned())
    })
}

/// Instead of the page: what it would ask is not what its reader saw before.
fn changed(verb: &Verb, name: &str, why: &str) -> Response {
    let title = format!("{} of {name} was not done", verb.label);
    refusal(StatusCode::CONFLICT, &title, why, &[], &path(name))
}

/// The page again, with what was missing.
fn not_named(verb: &Verb, name: &str) -> Response {
    let text = format!(
        "What is lost by it does not come back, so the page wants the name typed, exactly: {name}"
    );
    let title = format!("{} of {name} was not done", verb.label);
    let back = format!("{}/order/{}", path(name), verb.name);
    refusal(StatusCode::BAD_REQUEST, &title, &text, &[], &back)
}

/// What was done, in words. A hand-over that was aborted is an answer and no error.
fn outcome(verb: &Verb, reply: &Reply) -> Outcome {
    let one = &reply.status;
    let of = format!("{} of {}: ", verb.label, one.name);
    let done = |text: String| Outcome {
        is_done: true,
        text: of.clone() + &text,
    };
    match verb.name {
        "switch" | "rollback" => match &one.last_handover {
            Some(last) if last.outcome == "aborted" => Outcome {
                is_done: false,
                text: format!(
                    "{of}undone, and nothing has changed: {}",
                    last.reason.as_deref().unwrap_or("no reason given")
                ),
            },
            Some(last) => done(
                format!(
                    "the {} owns it since epoch {}; {} requests waited, {} at most.",
                    one.owner,
                    last.epoch,
                    format::count(last.hold.held_requests),
                    format::milliseconds(last.hold.hold_ms_max)
                ) + &readers_left(one),
            ),
            None => done("done.".to_owned()),
        },
        "rehearse" => match &one.last_handover {
            Some(last) if last.outcome == "rehearsed" => done(format!(
                "it got through, and was undone as planned: {} requests waited, {} at most.",
                format::count(last.hold.held_requests),
                format::milliseconds(last.hold.hold_ms_max)
            )),
            last => Outcome {
                is_done: false,
                text: format!(
                    "{of}it did not get as far as the commit point: {}",
                    last.as_ref()
                        .and_then(|last| last.reason.as_deref())
                        .unwrap_or("no reason given")
                ),
            },
        },
        "verify" => match &reply.verification {
            Some(found) => Outcome {
                is_done: found.differences == 0,
                text: format!(
                    "{of}{} rows compared, {} differ.",
                    format::count(found.rows),
                    format::count(found.differences)
                ),
            },
            None => done("done.".to_owned()),
        },
        "shift" | "withdraw" => done(format!(
            "{} of the readers are at the service now.",
            format::percent(one.reads_percent)
        )),
        "resume" => done(match reply.resumed {
            Some(Resumed::Steps) => "the steps of the plan go on.".to_owned(),
            Some(Resumed::Streams) | None => {
                "streams were tried again; no step of the plan had stopped.".to_owned()
            }
        }),
        _ => done("done.".to_owned()),
    }
}

/// Where a rollback has left readers; nothing where there are none.
fn readers_left(one: &ExtractionStatus) -> String {
    if one.owner != "monolith" || one.reads_percent <= 0.0 {
        return String::new();
    }
    format!(
        " {} of the readers are at the service still: withdraw sends them back.",
        format::percent(one.reads_percent)
    )
}

/// The API's own words, with what `check` found where that was the reason.
fn refused(verb: &Verb, name: &str, error: &ApiError) -> Response {
    let findings = &error.reply.findings;
    let details: Vec<String> = findings.iter().map(ToString::to_string).collect();
    let title = format!("{} of {name} was not done", verb.label);
    refusal(
        error.code,
        &title,
        &error.reply.error,
        &details,
        &path(name),
    )
}
