//! The pages: a request in, a page out.

mod approvals;
mod differences;
pub(crate) mod entrance;
pub(crate) mod extraction;
pub(crate) mod failure;
mod flags;
mod form;
pub(crate) mod frame;
mod freeze;
mod journal;
pub(crate) mod migrations;
mod order;
pub(crate) mod reader;
mod report;
mod retire;
mod routes;
mod sign_in;

use crate::state::Console;
use axum::{Router, response::Redirect, routing::get};
use frame::HOME;

pub(crate) fn routes() -> Router<Console> {
    Router::new()
        .route("/", get(|| async { Redirect::to(HOME) }))
        .merge(sign_in::routes())
        .merge(entrance::page())
        .merge(migrations::routes())
        .merge(extraction::routes())
        .merge(retire::routes())
        .merge(order::routes())
        .merge(freeze::routes())
        .merge(differences::routes())
        .merge(approvals::routes())
        .merge(report::routes())
        .merge(routes::routes())
        .merge(flags::routes())
        .merge(failure::routes())
}
