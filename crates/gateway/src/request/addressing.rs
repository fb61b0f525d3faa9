//! Which route a request belongs to, as far as its head says it.

use super::sanitize;
use crate::base::headers;
use crate::{
    base::{peer::Peer, refusal::Refusal, target::Target},
    routing::table::RouteMatch,
    state::config::Config,
};
use http::{
    Uri,
    request::Parts,
    uri::{Parts as UriParts, PathAndQuery},
};

/// Checks a head, makes its target the one text that is matched and forwarded,
/// and finds its route, as far as the head says it.
pub(crate) fn addressed(
    config: &Config,
    peer: &Peer,
    parts: &mut Parts,
) -> Result<RouteMatch, Refusal> {
    sanitize::check(parts, peer.scheme)?;
    let target = Target::read(parts.uri.path())?;
    let host = headers::host(&parts.headers);
    let head = sanitize::head(parts, host.as_deref(), &target);
    let found = config
        .table
        .find_place(head)
        .map_err(|_| crate::base::target::BadTarget::Ambiguous)?;
    if parts.uri.authority().is_some() || *target.path != *parts.uri.path() {
        parts.uri = origin_form(&target.path, parts.uri.query())?;
    }
    Ok(found)
}

/// A target of a path and a query.
pub(crate) fn origin_form(path: &str, query: Option<&str>) -> Result<Uri, Refusal> {
    let wrong = || Refusal::BadHead("the target cannot be read");
    let text = match query {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let mut parts = UriParts::default();
    parts.path_and_query = Some(PathAndQuery::try_from(text).map_err(|_| wrong())?);
    Uri::from_parts(parts).map_err(|_| wrong())
}
