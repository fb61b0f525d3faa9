//! From a request's place to the code that answers it.

use super::{caller::Caller, old_way, outcome::Outcome, passthrough, read, write};
use crate::{base::index::Place, body::Inbound, state::worker::Worker};
use http::request::Parts;
use plan::MethodKind;
use std::rc::Rc;

/// Sends a request that belongs to one place where it is to go.
pub(crate) async fn dispatch(
    worker: &Rc<Worker>,
    place: Place,
    kind: MethodKind,
    parts: &mut Parts,
    caller: Caller<'_>,
    body: Inbound,
) -> Outcome {
    if let Err(refusal) = old_way::pass(worker, place, parts) {
        body.refuse(parts).await;
        return Outcome::refused(refusal);
    }
    match (place, kind) {
        (Place::Elsewhere, _) => passthrough::serve(worker, None, kind, parts, caller, body).await,
        (Place::Route(route), _) => {
            passthrough::serve(worker, Some(route), kind, parts, caller, body).await
        }
        (Place::Extraction(route), MethodKind::Read) => {
            read::read(worker, route, parts, caller, body).await
        }
        // Writes are few and their future is large.
        (Place::Extraction(route), MethodKind::Write) => {
            Box::pin(write::write(worker, route, parts, caller, body)).await
        }
    }
}
