//! Where a request comes from.

use std::net::IpAddr;

use axum::extract::FromRequestParts;
use http::request::Parts;

/// Where a request comes from, as what stands in front says: the last address
/// of `X-Forwarded-For`, which it has added itself. Without it, unknown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClientAddress(pub(super) Option<IpAddr>);

impl<S: Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let last = parts.headers.get_all("x-forwarded-for").iter().next_back();
        let last = last.and_then(|value| value.to_str().ok()?.rsplit(',').next());
        Ok(Self(last.and_then(|text| text.trim().parse().ok())))
    }
}
