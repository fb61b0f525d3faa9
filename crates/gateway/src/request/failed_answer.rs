//! An answer with 5xx, counted by what was asked.

use crate::{
    base::index::{Place, UpstreamIndex},
    state::{
        failed_answers::{FailedKind, OTHER, general},
        worker::Worker,
    },
};
use http::Response;
use plan::{KindRule, MethodKind};
use protocol::Side;

/// Counts what a side has answered, where that is 5xx. `path` is of a request that no
/// route matches.
pub(crate) fn note<B>(
    worker: &Worker,
    (place, side): (Place, Side),
    method: &'static str,
    path: Option<&str>,
    response: &Response<B>,
) {
    if response.status().is_server_error() {
        let failed = kind(worker, place, side, method, path);
        worker.state.failed_answers.count(failed);
    }
}

fn kind(
    worker: &Worker,
    place: Place,
    side: Side,
    method: &'static str,
    path: Option<&str>,
) -> FailedKind {
    let config = &worker.config;
    let (upstream, extraction, path, rule) = match place {
        Place::Elsewhere => {
            let path = path.map_or_else(|| OTHER.to_owned(), general);
            (UpstreamIndex::MONOLITH, None, path, KindRule::ByMethod)
        }
        Place::Route(found) => {
            let passthrough = config.table.passthrough(found);
            let route = &passthrough.route.route;
            let path = route.path.to_string();
            (passthrough.upstream, None, path, route.kind)
        }
        Place::Extraction(found) => {
            let entry = config.table.entry(found.extraction);
            let route = &entry.routes[found.route];
            (
                config.table.upstream(found.extraction, side),
                Some(entry.name.clone()),
                route.path.to_string(),
                route.kind,
            )
        }
    };
    FailedKind {
        upstream: config.upstreams.get(upstream).name.clone(),
        extraction,
        method,
        path,
        is_read: match rule {
            KindRule::ByMethod => matches!(method, "GET" | "HEAD"),
            KindRule::Always(kind) => kind == MethodKind::Read,
            KindRule::ReadsOnce => true,
        },
        has_route: place != Place::Elsewhere,
    }
}
