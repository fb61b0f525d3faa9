//! What a client is known by.

use crate::base::headers::{cookie, set_cookie};
use crate::{access::Admission, base::peer::Peer};
use http::{HeaderMap, HeaderName, Uri};
use plan::{CohortKey, PathPattern};

/// What a client's key is looked for in.
#[derive(Clone, Copy)]
pub(crate) struct KeyInput<'a> {
    pub(crate) headers: &'a HeaderMap,
    /// As it was matched, before any rewriting.
    pub(crate) uri: &'a Uri,
    pub(crate) peer: &'a Peer,
    pub(crate) admission: &'a Admission,
}

/// Where an extraction finds a client's key.
#[derive(Debug, Clone)]
pub(crate) enum KeySource {
    None,
    Header(HeaderName),
    Cookie(String),
    Path(String),
    Query(String),
    Address,
    Claim(String),
}

impl KeySource {
    /// From the plan, which has checked the names.
    pub(crate) fn new(key: &CohortKey) -> Self {
        match key {
            CohortKey::None => Self::None,
            CohortKey::Header(name) => name.parse().map_or(Self::None, Self::Header),
            CohortKey::Cookie(name) => Self::Cookie(name.clone()),
            CohortKey::Path(name) => Self::Path(name.clone()),
            CohortKey::Query(name) => Self::Query(name.clone()),
            CohortKey::Address => Self::Address,
            CohortKey::Claim(name) => Self::Claim(name.clone()),
        }
    }

    /// The key of a request's client, as it is written there. An empty one is
    /// none; of several, the first counts. `pattern` is of the route that the
    /// request belongs to, where that is one of the extraction's.
    pub(crate) fn find<'a>(
        &self,
        client: KeyInput<'a>,
        pattern: Option<&PathPattern>,
    ) -> Option<&'a [u8]> {
        let key = match self {
            Self::None => None,
            Self::Header(name) => client.headers.get(name).map(http::HeaderValue::as_bytes),
            Self::Cookie(name) => cookie(client.headers, name.as_bytes()),
            Self::Path(name) => pattern
                .and_then(|pattern| pattern.parameter(client.uri.path(), name))
                .map(str::as_bytes),
            Self::Query(name) => client.uri.query().and_then(|query| parameter(query, name)),
            Self::Address => Some(client.peer.forwarded_for.as_bytes()),
            Self::Claim(name) => client.admission.claim(name),
        };
        key.filter(|bytes| !bytes.is_empty())
    }
}

impl KeySource {
    pub(crate) fn is_cookie(&self) -> bool {
        matches!(self, Self::Cookie(_))
    }

    /// The key in a request's head that an answer may replace.
    pub(crate) fn brought<'a>(&self, headers: &'a HeaderMap) -> Option<&'a [u8]> {
        match self {
            Self::Cookie(name) => cookie(headers, name.as_bytes()).filter(|key| !key.is_empty()),
            _ => None,
        }
    }

    /// The key that an answer gives its client for the time from then on, as a login
    /// does.
    pub(crate) fn given<'a>(&self, answer: &'a HeaderMap) -> Option<&'a [u8]> {
        match self {
            Self::Cookie(name) => set_cookie(answer, name.as_bytes()),
            _ => None,
        }
    }
}

/// `name=value&name=value`, undecoded: a client writes its own name the same
/// way every time.
fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a [u8]> {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find_map(|(found, value)| (found == name).then_some(value.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{access::Admission, base::peer::Peer};

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    fn find(key: &CohortKey, headers: &HeaderMap, uri: &Uri, peer: &Peer) -> Option<Vec<u8>> {
        let admission = Admission::of_claims(&serde_json::json!({"sub": "u-1"}));
        let input = KeyInput {
            headers,
            uri,
            peer,
            admission: &admission,
        };
        let pattern = PathPattern::parse("/t/{tenant}/*").unwrap();
        let key = KeySource::new(key).find(input, Some(&pattern));
        key.map(<[u8]>::to_vec)
    }

    #[test]
    fn the_plan_says_what_names_a_client() {
        let request = headers(&[
            ("x-user-id", "7"),
            ("cookie", "a=b; xsid=1"),
            ("cookie", "broken;  sid=q=1 ; c"),
        ]);
        let uri: Uri = "/t/acme/x?a=1&user=u%201&user=2".parse().unwrap();
        let peer = Peer::new(
            Some("10.0.0.9".parse().unwrap()),
            crate::base::peer::Scheme::Plain,
        );
        let found = |key: CohortKey| find(&key, &request, &uri, &peer);
        let key = |key| found(key).map(|key| String::from_utf8(key).unwrap());
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(key(CohortKey::Header("x-user-id".into())), some("7"));
        assert_eq!(key(CohortKey::Cookie("sid".into())), some("q=1"));
        assert_eq!(key(CohortKey::Path("tenant".into())), some("acme"));
        assert_eq!(key(CohortKey::Query("user".into())), some("u%201"));
        assert_eq!(key(CohortKey::Address), some("10.0.0.9"));
        assert_eq!(key(CohortKey::Claim("sub".into())), some("u-1"));
        assert_eq!(key(CohortKey::Claim("tenant".into())), None);
        assert_eq!(key(CohortKey::None), None);
    }

    #[test]
    fn an_empty_name_is_none() {
        let request = headers(&[("x-user-id", ""), ("cookie", "sid=")]);
        let uri: Uri = "/t?user=".parse().unwrap();
        let peer = Peer::new(
            Some("10.0.0.9".parse().unwrap()),
            crate::base::peer::Scheme::Plain,
        );
        for key in [
            CohortKey::Header("x-user-id".into()),
            CohortKey::Cookie("sid".into()),
            CohortKey::Query("user".into()),
            CohortKey::Path("tenant".into()),
        ] {
            assert_eq!(find(&key, &request, &uri, &peer), None);
        }
    }
}
