//! What a client is known by.

use http::{HeaderMap, HeaderName, header};
use plan::CohortKey;

/// Where an extraction finds a client's key.
#[derive(Debug, Clone)]
pub(crate) enum KeySource {
    None,
    Header(HeaderName),
    Cookie(String),
}

impl KeySource {
    /// From the plan, which has checked the names.
    pub(crate) fn new(key: &CohortKey) -> Self {
        match key {
            CohortKey::None => Self::None,
            CohortKey::Header(name) => name.parse().map_or(Self::None, Self::Header),
            CohortKey::Cookie(name) => Self::Cookie(name.clone()),
        }
    }

    /// The key of a request's client. An empty one is none; of several, the
    /// first counts.
    pub(crate) fn find<'a>(&self, headers: &'a HeaderMap) -> Option<&'a [u8]> {
        let key = match self {
            Self::None => None,
            Self::Header(name) => headers.get(name).map(http::HeaderValue::as_bytes),
            Self::Cookie(name) => cookie(headers, name.as_bytes()),
        };
        key.filter(|bytes| !bytes.is_empty())
    }
}

/// RFC 6265, 4.2.1: `name=value; name=value`, over all `Cookie` headers.
fn cookie<'a>(headers: &'a HeaderMap, name: &[u8]) -> Option<&'a [u8]> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b';'))
        .filter_map(|pair| {
            let pair = pair.trim_ascii();
            let equals = pair.iter().position(|byte| *byte == b'=')?;
            Some((&pair[..equals], &pair[equals + 1..]))
        })
        .find_map(|(found, value)| (found == name).then_some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn a_header_or_a_cookie_names_the_client() {
        let header = KeySource::new(&CohortKey::Header("x-user-id".into()));
        let cookie = KeySource::new(&CohortKey::Cookie("sid".into()));
        let request = headers(&[
            ("x-user-id", "7"),
            ("cookie", "a=b; xsid=1"),
            ("cookie", "broken;  sid=q=1 ; c"),
        ]);
        assert_eq!(header.find(&request), Some(&b"7"[..]));
        assert_eq!(cookie.find(&request), Some(&b"q=1"[..]));
        let nobody = headers(&[("x-user-id", ""), ("cookie", "sid=")]);
        assert_eq!(header.find(&nobody), None);
        assert_eq!(cookie.find(&nobody), None);
        assert_eq!(KeySource::new(&CohortKey::None).find(&request), None);
    }
}
