//! Values of labels, from bounded sets.

use http::{Method, StatusCode};

/// The code of requests whose client did not wait for an answer, as nginx counts them.
pub(crate) const CLIENT_GONE: u16 = 499;

/// The labels of what belongs to no route.
pub(crate) fn elsewhere() -> (String, String) {
    ("monolith".to_owned(), "other".to_owned())
}

/// A method as a label; from a bounded set.
pub(crate) fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

/// A status code as a label: those of no class are all one.
pub(crate) fn code_label(status: StatusCode) -> u16 {
    if class(status.as_u16()) == "other" {
        0
    } else {
        status.as_u16()
    }
}

pub(crate) fn class(code: u16) -> &'static str {
    match code / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        5 => "5xx",
        _ => "other",
    }
}
