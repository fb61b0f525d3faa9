//! The console: pages over the conductor's API, for people who want to see a migration
//! and to order its next step from a browser.
//!
//! It decides nothing. Each page asks the API in the same process, with the bearer of
//! whoever reads it, and shows what came back, refusals with their remedies included. It
//! keeps sessions, and points of lines over time, in memory; a restart forgets both.
//!
//! Pages work without scripts. With them they follow the status by themselves; all that
//! a browser needs is served from here (`assets/`), under a policy that lets nothing else
//! in.
//!
//! ```text
//!  live                              a page again whenever it changes
//!    │
//!  pages                             a request in, a page out
//!    │
//!  assets   state                    files; what all pages share
//!    │        │
//!  history  session  view            points over time, who is signed in; pure: from
//!    │        │       │              the API's JSON to words and numbers
//!  api  role  secret  security       calls, roles, random texts, headers
//! ```

mod api;
mod assets;
mod history;
mod live;
mod pages;
mod role;
mod secret;
mod security;
mod session;
mod state;
mod view;

use axum::{Router, middleware};
use state::Console;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// What the console stands on.
pub struct Settings {
    /// The conductor's API, whose paths stay as they are.
    pub api: Router,
    /// The bearer of the state directory, for the points of lines over time.
    pub token: Arc<str>,
    /// Cancelled when another process answers here: what is still connected to this one
    /// would see old news.
    pub stop: CancellationToken,
}

/// The API, and the console below `/console` beside it.
///
/// Spawns a task that ends with `stop`.
pub fn router(settings: Settings) -> Router {
    let Settings { api, token, stop } = settings;
    let console = Console::new(api.clone(), stop.clone());
    tokio::spawn(history::run(
        console.api.clone(),
        token,
        Arc::clone(&console.history),
        stop.clone(),
    ));
    let pages = pages::routes()
        .merge(live::routes())
        .merge(assets::routes())
        .layer(middleware::from_fn(pages::failure::framed))
        .layer(middleware::from_fn_with_state(stop, security::guard))
        .with_state(console.clone());
    let entrance = pages::entrance::routes().with_state(console);
    api.merge(pages).merge(entrance)
}
