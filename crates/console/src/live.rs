//! The same page again whenever it changes, as events.

use crate::{
    pages::{
        extraction,
        frame::PageError,
        migrations,
        reader::{Onlooker, SignedIn},
    },
    state::{Console, Person},
};
use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response, Sse, sse::Event, sse::KeepAlive},
    routing::get,
};
use futures_util::stream;
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::{sync::OwnedSemaphorePermit, time::Interval};

/// How often it is looked whether a page has changed.
const LOOK: Duration = Duration::from_secs(1);

/// The name of the event that has what changed.
const CHANGED: &str = "page";

/// The one that has a browser load the page itself: nobody is signed in any more.
const OVER: &str = "over";

pub(crate) fn routes() -> Router<Console> {
    Router::new()
        .route("/console/live", get(of_migrations))
        .route("/console/extractions/{name}/live", get(of_extraction))
}

async fn of_migrations(State(console): State<Console>, reader: Onlooker) -> Response {
    follow(console, reader.0, None)
}

async fn of_extraction(
    State(console): State<Console>,
    reader: Onlooker,
    Path(name): Path<String>,
) -> Response {
    follow(console, reader.0, Some(name))
}

/// A page that somebody follows.
struct Follower {
    console: Console,
    reader: SignedIn,
    extraction: Option<String>,
    shown: String,
    ticks: Interval,
    _permit: OwnedSemaphorePermit,
    is_over: bool,
}

fn follow(console: Console, reader: SignedIn, extraction: Option<String>) -> Response {
    let Ok(permit) = Arc::clone(&console.streams).try_acquire_owned() else {
        let text = "too many pages follow the status already; load this one again to see it\n";
        return (StatusCode::SERVICE_UNAVAILABLE, text).into_response();
    };
    let follower = Follower {
        console,
        reader,
        extraction,
        shown: String::new(),
        ticks: tokio::time::interval(LOOK),
        _permit: permit,
        is_over: false,
    };
    let events = stream::unfold(follower, |mut follower| async {
        let event = follower.next().await?;
        Some((Ok::<_, Infallible>(event), follower))
    });
    Sse::new(events)
        .keep_alive(KeepAlive::default())
        .into_response()
}

impl Follower {
    /// Waits until the page is another one; `None`: it is over.
    async fn next(&mut self) -> Option<Event> {
        if self.is_over {
            return None;
        }
        loop {
            tokio::select! {
                _ = self.ticks.tick() => {}
                () = self.console.stop.cancelled() => return self.end(),
            }
            match self.page().await {
                Ok(page) if page == self.shown => {}
                Ok(page) => {
                    self.shown.clone_from(&page);
                    return Some(Event::default().event(CHANGED).data(page));
                }
                Err(_) => return self.end(),
            }
        }
    }

    #[expect(clippy::unnecessary_wraps, reason = "what `next` returns")]
    fn end(&mut self) -> Option<Event> {
        self.is_over = true;
        Some(Event::default().event(OVER).data("over"))
    }

    async fn page(&mut self) -> Result<String, PageError> {
        let console = &self.console;
        // Nobody who has signed out, or has another role by now, sees more.
        let id = &self.reader.session.id;
        let session = console.sessions.peek(id).ok_or(PageError::SignedOut)?;
        self.reader.person = Person::signed_in(&console.api, &session)
            .await?
            .ok_or(PageError::SignedOut)?;
        match &self.extraction {
            Some(name) => extraction::main(console, &self.reader, name).await,
            None => migrations::main(console, &self.reader).await,
        }
    }
}
