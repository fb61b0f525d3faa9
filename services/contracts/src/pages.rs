//! Numbered pages of a list, and the links between them.
//!
//! Links keep the other parameters exactly as they came and in their order;
//! only `page` is replaced, or added last, and page 1 needs none.

use std::fmt::Write as _;

use serde::Serialize;

use crate::fields::positive_integer;

const DEFAULT_PAGE_SIZE: i64 = 20;
const MAX_PAGE_SIZE: i64 = 100;

/// The decoded parameters of a request's query.
#[derive(Debug)]
pub struct Query<'a> {
    raw: &'a str,
}

impl<'a> Query<'a> {
    pub fn new(raw: Option<&'a str>) -> Self {
        Self {
            raw: raw.unwrap_or_default(),
        }
    }

    /// A parameter's value, the last one if it was given twice. Nothing and
    /// empty are the same.
    pub fn get(&self, name: &str) -> String {
        let pairs = url::form_urlencoded::parse(self.raw.as_bytes());
        let found = pairs.filter(|(key, _)| key == name).last();
        found
            .map(|(_, value)| value.into_owned())
            .unwrap_or_default()
    }

    fn with_page(&self, number: i64) -> String {
        let mut wanted = (number > 1).then(|| format!("page={number}"));
        let mut parts = Vec::new();
        for part in self.raw.split('&').filter(|_| !self.raw.is_empty()) {
            if part.split('=').next() == Some("page") {
                parts.extend(wanted.take());
            } else {
                parts.push(encoded(part));
            }
        }
        parts.extend(wanted);
        parts.join("&")
    }
}

/// Which rows of a list a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest {
    /// Nothing when no page can have that number.
    number: Option<i64>,
    pub size: i64,
}

/// A page that exists: `number` is from 1 to `last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PagePosition {
    number: i64,
    last: i64,
    size: i64,
}

impl PageRequest {
    pub fn read(query: &Query<'_>) -> Self {
        let number = query.get("page");
        let number = if number.is_empty() {
            Some(1)
        } else {
            positive_integer(&number)
        };
        Self {
            number,
            size: page_size(&query.get("page_size")),
        }
    }

    /// Where the page lies in a list of `count` rows, if it exists. An empty
    /// list has one page.
    pub fn position(self, count: i64) -> Option<PagePosition> {
        let last = ((count + self.size - 1) / self.size).max(1);
        let number = self.number.filter(|number| *number <= last)?;
        Some(PagePosition {
            number,
            last,
            size: self.size,
        })
    }
}

impl PagePosition {
    pub fn offset(self) -> i64 {
        (self.number - 1) * self.size
    }

    /// The page as the API shows it; `address` is the list's URL without query.
    pub fn page<T>(self, count: i64, results: T, address: &str, query: &Query<'_>) -> Page<T> {
        let link = |number| {
            let query = query.with_page(number);
            if query.is_empty() {
                address.to_owned()
            } else {
                format!("{address}?{query}")
            }
        };
        Page {
            count,
            next: (self.number < self.last).then(|| link(self.number + 1)),
            previous: (self.number > 1).then(|| link(self.number - 1)),
            results,
        }
    }
}

/// One page of a list as the API shows it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Page<T> {
    count: i64,
    next: Option<String>,
    previous: Option<String>,
    results: T,
}

/// Whether a request's `Host` is one that links can be built from.
pub fn is_host(host: &str) -> bool {
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(rest) = host.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else {
            return false;
        };
        let in_address = |byte: u8| byte.is_ascii_hexdigit() || byte == b':' || byte == b'.';
        return address.contains(':')
            && address.bytes().all(in_address)
            && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port));
    }
    let (name, port) = match host.split_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (host, None),
    };
    let in_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-';
    !name.is_empty() && name.bytes().all(in_name) && port.is_none_or(is_port)
}

/// What is no positive integer means the default; what is too large for a
/// number is large, not wrong.
fn page_size(text: &str) -> i64 {
    if text.len() > 18 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return MAX_PAGE_SIZE;
    }
    positive_integer(text)
        .unwrap_or(DEFAULT_PAGE_SIZE)
        .min(MAX_PAGE_SIZE)
}

/// Encodes what must not stand in a URL and was not encoded by the client.
fn encoded(part: &str) -> String {
    const KEPT: &str = "/#%[]=:;$&()+,!?*@'~-._";
    let mut encoded = String::with_capacity(part.len());
    for byte in part.bytes() {
        let c = char::from(byte);
        if c.is_ascii_alphanumeric() || KEPT.contains(c) {
            encoded.push(c);
        } else {
            // Bytes beyond ASCII count as Latin-1, as gateways pass them on.
            let mut utf8 = [0; 2];
            for byte in c.encode_utf8(&mut utf8).bytes() {
                // Writing to a String cannot fail.
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(query: &str) -> PageRequest {
        PageRequest::read(&Query::new(Some(query)))
    }

    #[test]
    fn sizes_and_numbers() {
        let table = [
            ("", 20, Some(1)),
            ("page=&page_size=", 20, Some(1)),
            ("page=3&page_size=5", 5, Some(3)),
            ("page_size=0", 20, Some(1)),
            ("page_size=-1", 20, Some(1)),
            ("page_size=x", 20, Some(1)),
            ("page_size=101", 100, Some(1)),
            ("page_size=99999999999999999999", 100, Some(1)),
            ("page=0", 20, None),
            ("page=x", 20, None),
            ("page=99999999999999999999", 20, None),
            ("page=x&page=2", 20, Some(2)),
            ("p%61ge=%32", 20, Some(2)),
        ];
        for (query, size, number) in table {
            assert_eq!(request(query), PageRequest { number, size }, "{query}");
        }
    }

    #[test]
    fn pages_exist_up_to_the_last() {
        assert_eq!(request("page=1").position(0).unwrap().offset(), 0);
        assert_eq!(request("page=2").position(0), None);
        assert_eq!(request("page=2").position(20), None);
        assert_eq!(request("page=2").position(21).unwrap().offset(), 20);
        assert_eq!(request("page=999999999999999999").position(21), None);
    }

    #[test]
    fn links_keep_the_other_parameters() {
        let table = [
            ("", None, Some("?page=2")),
            ("page=2", Some(""), Some("?page=3")),
            ("page=3", Some("?page=2"), None),
            (
                "tag=a%20b&page=2&status=",
                Some("?tag=a%20b&status="),
                Some("?tag=a%20b&page=3&status="),
            ),
            (
                "page=3&page_size=10&page=2",
                Some("?page_size=10"),
                Some("?page=3&page_size=10"),
            ),
            ("seller=4&&x", None, Some("?seller=4&&x&page=2")),
            ("tag=a\"b|é", None, Some("?tag=a%22b%7C%C3%83%C2%A9&page=2")),
        ];
        for (raw, previous, next) in table {
            let query = Query::new(Some(raw));
            let mut position = PageRequest::read(&query).position(60).unwrap();
            position.last = 3;
            let page = position.page(60, (), "http://h/l", &query);
            let link = |query: &str| format!("http://h/l{query}");
            assert_eq!(page.previous, previous.map(link), "{raw}");
            assert_eq!(page.next, next.map(link), "{raw}");
        }
    }

    #[test]
    fn hosts() {
        for host in [
            "localhost",
            "127.0.0.1:8101",
            "API.example.com.",
            "[::1]:80",
            "[::1]",
        ] {
            assert!(is_host(host), "{host}");
        }
        for host in [
            "", ":80", "a b", "a/b", "a:x", "a:", "[::1", "a:1:2", "é", "a_b", "[1]",
        ] {
            assert!(!is_host(host), "{host}");
        }
    }
}
