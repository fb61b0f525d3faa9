//! Changes of instances as they happen, as server-sent events.

use std::collections::VecDeque;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::Stream;
use http::HeaderMap;
use kit::auth::Caller;
use kit::database::{Database, DatabaseError};
use kit::{Problem, Query, Stopping};

use super::scope::Scope;
use super::state::App;
use crate::hub::{NextChange, WatcherSlot};
use crate::instance::InstanceFilter;
use crate::store::instances::{self, Change, Kind};

/// How often there is a comment where nothing happens, so that either side
/// notices when the other one is gone.
const COMMENT_INTERVAL: Duration = Duration::from_secs(10);
/// Between two tries to tell everything anew.
const RETRY: Duration = Duration::from_secs(1);

type StreamItem = Result<Event, axum::Error>;

/// Tells of changes, as server-sent events.
///
/// First there is an event `snapshot` with a list of all instances, then
/// `added` and `removed` with one each. Who comes back with `Last-Event-ID` is
/// told what it has missed, or by another `snapshot` everything: it replaces
/// what was known before.
#[utoipa::path(get, path = "/registry/watch",
    params(
        ("name" = Option<String>, Query, description = "Of this service."),
        ("tag" = Option<String>, Query, description = "With this tag."),
        ("last-event-id" = Option<String>, Header, description = "The last event that was read."),
    ),
    responses((status = 200, content_type = "text/event-stream", body = String)),
    security(("key" = []), ("service" = [])))]
pub async fn watch(
    State(app): State<App>,
    caller: Caller,
    Query(wanted): Query<InstanceFilter>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = StreamItem>>, Problem> {
    Scope::of(&caller)?;
    let place = app
        .hub
        .join()
        .ok_or_else(|| Problem::unavailable("There are too many watchers; come again."))?;
    let last = last_event_id(&headers);
    if last.is_some_and(|last| !place.knows(last)) {
        // Another instance may have told of it already.
        app.hub.read(&app.database).await?;
    }
    let last = last.filter(|last| place.knows(*last));
    let mut watching = WatchStream {
        wanted,
        place,
        database: app.database,
        stopping: app.stopping,
        // Before every change: then everything is told.
        last: last.unwrap_or(i64::MIN),
        waiting: VecDeque::new(),
    };
    // Where everything is to be told and cannot be, this is no stream yet.
    if let NextChange::Gap = watching.place.after(watching.last) {
        watching.tell_all().await?;
    }
    let events = futures_util::stream::unfold(watching, |mut watching| async move {
        let event = watching.next().await?;
        Some((event, watching))
    });
    let comments = KeepAlive::new().interval(COMMENT_INTERVAL);
    Ok(Sse::new(events).keep_alive(comments))
}

fn last_event_id(headers: &HeaderMap) -> Option<i64> {
    headers.get("last-event-id")?.to_str().ok()?.parse().ok()
}

struct WatchStream {
    wanted: InstanceFilter,
    place: WatcherSlot,
    database: Database,
    stopping: Stopping,
    /// The last change that is in the events up to now.
    last: i64,
    waiting: VecDeque<StreamItem>,
}

impl WatchStream {
    /// The next event; `None` once the service stops. It is asked for only when
    /// the last one has been taken, so a slow reader misses what happens
    /// meanwhile and is told of all of it, or everything anew.
    async fn next(&mut self) -> Option<StreamItem> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some(event);
            }
            if self.stopping.is_told() {
                return None;
            }
            match self.place.after(self.last) {
                NextChange::Changes(changes) => {
                    self.last = changes.last().map_or(self.last, |change| change.number);
                    let wanted = &self.wanted;
                    let told = changes.iter().filter(|change| wanted.has(&change.instance));
                    self.waiting.extend(told.map(event));
                    if self.waiting.is_empty() {
                        self.woken().await;
                    }
                }
                NextChange::Gap => {
                    if self.tell_all().await.is_err() {
                        // The database is away, which is logged elsewhere.
                        tokio::select! {
                            () = tokio::time::sleep(RETRY) => {}
                            () = self.stopping.told() => return None,
                        }
                    }
                }
            }
        }
    }

    async fn tell_all(&mut self) -> Result<(), DatabaseError> {
        let (last, all) = instances::snapshot(&self.database, &self.wanted).await?;
        let event = Event::default().event("snapshot").id(last.to_string());
        self.waiting.push_back(event.json_data(all));
        self.last = last;
        Ok(())
    }

    async fn woken(&mut self) {
        tokio::select! {
            () = self.place.woken() => {}
            () = self.stopping.told() => {}
        }
    }
}

fn event(change: &Change) -> StreamItem {
    let name = match change.kind {
        Kind::Added => "added",
        Kind::Removed => "removed",
    };
    let event = Event::default().event(name).id(change.number.to_string());
    event.json_data(&change.instance)
}
