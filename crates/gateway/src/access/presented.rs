//! Where a request presents a credential, and what else stands there.
//!
//! What was verified must be what the upstream reads. So a credential that stands
//! twice is a hole: one is verified, the other is believed. And so is one in a spelling
//! that only some take for its name: `x_api_key` (WSGI, Rack), `api%6bey=` (all that
//! decode), `;` between parameters (Rack, older Pythons), `apikey[]=` (PHP), a cookie's
//! name in escapes (PHP, Rack), in quotes or behind a comma (RFC 2109).
//!
//! Of several places where one may stand the first counts, and of several cookies of
//! one name, which browsers send for two paths, the first as well; the others are
//! removed before the request goes on. What no browser does by itself is refused.

use super::keys::{decode, names, remove_parameters};
use crate::base::{denial::Denial, header_class::folds_alike};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts};
use std::borrow::Cow;

/// Where a credential is looked for, in this order.
#[derive(Debug)]
pub(super) struct Places {
    headers: Vec<HeaderName>,
    /// Whether one of the headers has another spelling.
    has_odd_spellings: bool,
    query: Vec<String>,
    cookies: Vec<String>,
}

/// A credential as it stands in a request.
#[derive(Debug)]
pub(super) struct Presented<'a> {
    pub(super) value: Cow<'a, [u8]>,
    pub(super) others: Others,
}

/// What has to go before the request goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Others {
    None,
    /// All but what stands in this place.
    Beside(Place),
}

/// One of the places, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Header(usize),
    Query(usize),
    /// And which one of the cookies of this name.
    Cookie(usize, usize),
}

impl Places {
    pub(super) fn new(headers: &[String], query: &[String], cookies: &[String]) -> Self {
        let headers = names(headers);
        let is_odd = |name: &HeaderName| !name.as_str().bytes().all(|b| b.is_ascii_alphanumeric());
        Self {
            has_odd_spellings: headers.iter().any(is_odd),
            headers,
            query: query.to_vec(),
            cookies: cookies.to_vec(),
        }
    }

    /// The credential that a request presents. What counts of a header's value,
    /// `of_header` says; an empty one is none.
    pub(super) fn find<'a>(
        &self,
        parts: &'a Parts,
        of_header: impl Fn(&'a [u8]) -> &'a [u8],
    ) -> Result<Option<Presented<'a>>, Denial> {
        let headers = &parts.headers;
        if self.has_odd_spellings && headers.keys().any(|name| self.is_respelled(name)) {
            return Err(Denial::CredentialTwice);
        }
        let mut first = None;
        let mut others = 0;
        let mut note = |place: Place, value: Cow<'a, [u8]>| {
            if first.is_none() && !value.is_empty() {
                first = Some((place, value));
            } else {
                others += 1;
            }
        };
        for (number, name) in self.headers.iter().enumerate() {
            let mut values = headers.get_all(name).iter();
            if let Some(value) = values.next() {
                note(
                    Place::Header(number),
                    Cow::Borrowed(of_header(value.as_bytes())),
                );
            }
            if values.next().is_some() {
                return Err(Denial::CredentialTwice);
            }
        }
        for (number, name) in self.query.iter().enumerate() {
            if let Some(value) = parameter(parts.uri.query().unwrap_or_default(), name)? {
                note(Place::Query(number), value);
            }
        }
        for (number, name) in self.cookies.iter().enumerate() {
            for (at, value) in cookies(headers, name)?.into_iter().enumerate() {
                note(Place::Cookie(number, at), Cow::Borrowed(value));
            }
        }
        Ok(first.map(|(place, value)| Presented {
            value,
            others: if others == 0 {
                Others::None
            } else {
                Others::Beside(place)
            },
        }))
    }

    /// Whether a header is another spelling of one of these.
    fn is_respelled(&self, name: &HeaderName) -> bool {
        self.headers.iter().any(|own| {
            own != name && folds_alike(own.as_str().as_bytes(), name.as_str().as_bytes())
        })
    }

    /// Removes whatever stands beside the one that was verified.
    pub(super) fn remove_others(&self, parts: &mut Parts, others: Others) {
        let Others::Beside(kept) = others else { return };
        for (number, name) in self.headers.iter().enumerate() {
            if kept != Place::Header(number) {
                parts.headers.remove(name);
            }
        }
        let names = self.query.iter().enumerate();
        let hidden = names.filter(|(number, _)| kept != Place::Query(*number));
        let hidden: Vec<String> = hidden.map(|(_, name)| name.clone()).collect();
        remove_parameters(&mut parts.uri, &hidden);
        for (number, name) in self.cookies.iter().enumerate() {
            let kept = match kept {
                Place::Cookie(own, at) if own == number => Some(at),
                _ => None,
            };
            keep_cookie(&mut parts.headers, name, kept);
        }
    }

    /// Removes all of them: the upstream is not to see any.
    pub(super) fn remove_all(&self, parts: &mut Parts) {
        for name in &self.headers {
            parts.headers.remove(name);
        }
        remove_parameters(&mut parts.uri, &self.query);
        for name in &self.cookies {
            keep_cookie(&mut parts.headers, name, None);
        }
    }
}

/// A parameter of a query, decoded.
fn parameter<'a>(query: &'a str, name: &str) -> Result<Option<Cow<'a, [u8]>>, Denial> {
    let mut found = None;
    let mut all = 0;
    for pair in query.split('&') {
        if let Some((_, value)) = pair.split_once('=').filter(|(own, _)| *own == name) {
            found = Some(decode(value));
        }
        all += pair.split(';').filter(|part| reads_as(part, name)).count();
    }
    match (found, all) {
        (None, 0) => Ok(None),
        (Some(value), 1) => Ok(Some(value)),
        _ => Err(Denial::CredentialTwice),
    }
}

/// Whether some server takes a part of a query for a parameter of this name.
fn reads_as(part: &str, name: &str) -> bool {
    let end = part.find('=').unwrap_or(part.len());
    let own = decode(&part[..end]);
    let own = own.trim_ascii_start();
    let bracket = own.iter().position(|byte| *byte == b'[');
    let own = &own[..bracket.unwrap_or(own.len())];
    folds_exactly(own, name.as_bytes())
}

/// Whether two names are the same to PHP, which takes what a variable's name cannot
/// have for `_`; letters count as they are written.
fn folds_exactly(one: &[u8], other: &[u8]) -> bool {
    let same_letter = |(one, other): (&u8, &u8)| one == other || !one.is_ascii_alphabetic();
    folds_alike(one, other) && one.iter().zip(other).all(same_letter)
}

/// The values of the cookies of a name, as they are read by RFC 6265.
fn cookies<'a>(headers: &'a HeaderMap, name: &str) -> Result<Vec<&'a [u8]>, Denial> {
    let mut values = Vec::new();
    let mut all = 0;
    for value in headers.get_all(header::COOKIE) {
        let value = value.as_bytes();
        let pairs = value.split(|byte| *byte == b';');
        values.extend(pairs.filter_map(|pair| own_value(pair, name)));
        let parts = value.split(|byte| matches!(byte, b';' | b','));
        all += parts.filter(|part| may_be_cookie(part, name)).count();
    }
    if all > values.len() {
        return Err(Denial::CredentialTwice);
    }
    Ok(values)
}

/// The value of a cookie of this name.
fn own_value<'a>(pair: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let pair = pair.trim_ascii();
    let equals = pair.iter().position(|byte| *byte == b'=')?;
    (pair[..equals] == *name.as_bytes()).then(|| &pair[equals + 1..])
}

/// Whether some server takes a part of a `Cookie` for one of this name.
fn may_be_cookie(part: &[u8], name: &str) -> bool {
    // White space is more than ASCII's to Python and JavaScript: nothing else than a
    // name's own characters counts at its ends.
    let is_around = |byte: &u8| !byte.is_ascii_graphic() || *byte == b'"';
    let Some(equals) = part.iter().position(|byte| *byte == b'=') else {
        return false;
    };
    let own = &part[..equals];
    let Some(begin) = own.iter().position(|byte| !is_around(byte)) else {
        return false;
    };
    let end = own
        .iter()
        .rposition(|byte| !is_around(byte))
        .unwrap_or(begin);
    let own = String::from_utf8_lossy(&own[begin..=end]);
    own == name || (own.contains('%') && *decode(&own) == *name.as_bytes())
}

/// Keeps at most one of the cookies of a name, and all others.
fn keep_cookie(headers: &mut HeaderMap, name: &str, kept: Option<usize>) {
    let (mut whole, mut at) = (Vec::new(), 0);
    for value in headers.get_all(header::COOKIE) {
        for pair in value.as_bytes().split(|byte| *byte == b';') {
            if own_value(pair, name).is_some() {
                at += 1;
                if kept.is_none_or(|kept| kept + 1 != at) {
                    continue;
                }
            }
            let pair = pair.trim_ascii();
            if !whole.is_empty() && !pair.is_empty() {
                whole.extend_from_slice(b"; ");
            }
            whole.extend_from_slice(pair);
        }
    }
    if whole.is_empty() {
        headers.remove(header::COOKIE);
    } else if let Ok(whole) = HeaderValue::from_maybe_shared(Bytes::from(whole)) {
        // Parts of values with a separator of values are one.
        headers.insert(header::COOKIE, whole);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> Places {
        let all = |names: &[&str]| {
            names
                .iter()
                .map(|&name| name.to_owned())
                .collect::<Vec<_>>()
        };
        Places::new(
            &all(&["authorization", "x-api-key"]),
            &all(&["apikey"]),
            &all(&["token"]),
        )
    }

    /// What is found, and what goes on.
    fn passed(uri: &str, headers: &[(&str, &str)]) -> Option<(String, String, String)> {
        let mut request = http::Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut parts = request.body(()).unwrap().into_parts().0;
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let (value, others) = match places().find(&parts, |value| value) {
            Err(denial) => {
                assert_eq!(denial, Denial::CredentialTwice);
                return None;
            }
            Ok(None) => (String::new(), Others::None),
            Ok(Some(found)) => (text(&found.value), found.others),
        };
        places().remove_others(&mut parts, others);
        let fields = parts.headers.iter();
        let fields: Vec<_> = fields
            .map(|(name, value)| format!("{name}={}", text(value.as_bytes())))
            .collect();
        Some((value, parts.uri.to_string(), fields.join(" ")))
    }

    #[test]
    fn no_white_space_hides_a_cookie() {
        for part in [
            &b" token=x"[..],
            b"\xc2\xa0token=x",
            b"\xa0token =x",
            "token\u{2003}=x".as_bytes(),
            b"\"token\"=x",
        ] {
            assert!(may_be_cookie(part, "token"), "{part:?}");
        }
        for part in [&b"mytoken=x"[..], b"token", b"=x", b""] {
            assert!(!may_be_cookie(part, "token"), "{part:?}");
        }
    }

    #[test]
    fn what_was_found_is_the_only_one_that_goes_on() {
        let some = |value: &str, uri: &str, fields: &str| {
            Some((value.to_owned(), uri.to_owned(), fields.to_owned()))
        };
        assert_eq!(passed("/x?a=1", &[("x", "y")]), some("", "/x?a=1", "x=y"));
        assert_eq!(
            passed(
                "/x?apikey=q&a=1",
                &[("x-api-key", "h"), ("cookie", "token=c; b=2")]
            ),
            some("h", "/x?a=1", "x-api-key=h cookie=b=2")
        );
        assert_eq!(
            passed("/x?apikey=q%41", &[("cookie", "token=c")]),
            some("qA", "/x?apikey=q%41", "")
        );
        assert_eq!(
            passed(
                "/x",
                &[("cookie", "a=1; token=good; token=evil;token=evil; b=2")]
            ),
            some("good", "/x", "cookie=a=1; token=good; b=2")
        );
        assert_eq!(
            passed("/x", &[("cookie", "token=good"), ("cookie", "token=evil")]),
            some("good", "/x", "cookie=token=good")
        );
        // An empty one is none, and does not go on either.
        assert_eq!(
            passed(
                "/x",
                &[("authorization", ""), ("cookie", "token=; token=c")]
            ),
            some("c", "/x", "cookie=token=c")
        );
        assert_eq!(
            passed(
                "/x?xapikey=1&apikeyx=2&APIKEY=3",
                &[("cookie", "xtoken=1; tokens=2; Token=3")]
            ),
            some(
                "",
                "/x?xapikey=1&apikeyx=2&APIKEY=3",
                "cookie=xtoken=1; tokens=2; Token=3"
            )
        );
    }

    #[test]
    fn what_some_servers_take_for_a_second_one_is_refused() {
        for (uri, name, value) in [
            ("/x", "x_api_key", "1"),
            ("/x?apikey=1&apikey=2", "a", "1"),
            ("/x?apikey=1;apikey=2", "a", "1"),
            ("/x?a=1;apikey=2", "a", "1"),
            ("/x?api%6Bey=1", "a", "1"),
            ("/x?apikey[]=1", "a", "1"),
            ("/x?apikey%5B0%5D=1", "a", "1"),
            ("/x?+apikey=1", "a", "1"),
            ("/x?apikey", "a", "1"),
            ("/x", "cookie", "token=1, token=2"),
            ("/x", "cookie", "a=1,token=2"),
            ("/x", "cookie", "%74oken=1"),
            ("/x", "cookie", "a=\"b, token=2\""),
        ] {
            assert_eq!(passed(uri, &[(name, value)]), None, "{uri} {name}: {value}");
        }
        let twice = [("authorization", "1"), ("authorization", "1")];
        assert_eq!(passed("/x", &twice), None);
    }
}
