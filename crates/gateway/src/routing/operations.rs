//! Requests whose body says what they ask for, where many operations share one
//! path: JSON-RPC, GraphQL, XML-RPC.
//!
//! Two parties that read a request differently are a hole: a call could be
//! routed as a read here and carried out as a write there. So whatever has two
//! readings (a field twice, a field that some readers take for another's name,
//! a body that is not sent as what it is) is refused rather than guessed, and so is
//! what cannot be read at all. What remains is either known by its name, or
//! known not to be known: a stored GraphQL document may do anything that its
//! path may, so it counts as a write of all that.
//!
//! `json`, `graphql` and `xml_rpc` read, `parts` says which places that touches and where
//! it can go whole, all of them pure; `request::operations` carries it out, and waits
//! until writes of several places may be sent together.

mod graphql;
mod json;
pub(crate) mod parts;
pub(crate) mod query;
mod xml_rpc;

use crate::base::bad_operation::BadOperation;
use http::{HeaderMap, header, request::Parts as Head};
use plan::Dialect;
use query::{Effect, Operation, OperationQuery};

/// What a request asks for, whose whole body is here.
pub(crate) fn read(
    dialect: &Dialect,
    head: &Head,
    body: &[u8],
) -> Result<OperationQuery, BadOperation> {
    let (is_its_type, otherwise): (fn(&[u8]) -> bool, _) = match dialect {
        Dialect::Json(_) | Dialect::GraphQl => (is_json, BadOperation::NotSentAsJson),
        Dialect::XmlRpc => (is_xml, BadOperation::NotSentAsXml),
    };
    if !body.is_empty() && !is_sent_as(&head.headers, is_its_type) {
        return Err(otherwise);
    }
    match dialect {
        Dialect::Json(_) | Dialect::XmlRpc if body.is_empty() && head.method.is_safe() => {
            Ok(OperationQuery::These(Vec::new()))
        }
        Dialect::Json(field) => in_json(field, body),
        Dialect::GraphQl => graphql::read(head.uri.query(), head.method.as_str(), body),
        Dialect::XmlRpc => {
            let name = Some(xml_rpc::method(body)?);
            let effect = Effect::AsTheRouteSays;
            Ok(OperationQuery::These(vec![Operation { name, effect }]))
        }
    }
}

fn in_json(field: &str, body: &[u8]) -> Result<OperationQuery, BadOperation> {
    let mut operations = Vec::new();
    json::objects(body, [field], |[name]| {
        let effect = Effect::AsTheRouteSays;
        operations.push(Operation { name, effect });
        Ok(())
    })?;
    Ok(OperationQuery::These(operations))
}

/// Whether every server would take the body for such a type, if for anything: a form
/// whose text is JSON, too, has another reading.
fn is_sent_as(headers: &HeaderMap, is_its_type: fn(&[u8]) -> bool) -> bool {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let is_its_type = match (types.next(), types.next()) {
        (None, _) => true,
        (Some(only), None) => is_its_type(&only.as_bytes().to_ascii_lowercase()),
        (Some(_), Some(_)) => false,
    };
    let plain = |coding: &http::HeaderValue| coding.as_bytes().eq_ignore_ascii_case(b"identity");
    is_its_type && headers.get_all(header::CONTENT_ENCODING).iter().all(plain)
}

/// A type without its parameters.
fn essence(content_type: &[u8]) -> &[u8] {
    let essence = content_type.split(|byte| *byte == b';').next();
    essence.unwrap_or_default().trim_ascii()
}

fn is_json(content_type: &[u8]) -> bool {
    let essence = essence(content_type);
    matches!(
        essence,
        b"application/json"
            | b"application/json-rpc"
            | b"application/jsonrequest"
            | b"text/json"
            | b"text/plain"
    ) || (essence.starts_with(b"application/") && essence.ends_with(b"+json"))
}

/// A charset outside of the document counts more than the one inside for some readers.
fn is_xml(content_type: &[u8]) -> bool {
    let is_known = |parameter: &[u8]| {
        let Some(charset) = parameter.trim_ascii().strip_prefix(b"charset=") else {
            return true;
        };
        let charset = charset.strip_prefix(b"\"").unwrap_or(charset);
        let charset = charset.strip_suffix(b"\"").unwrap_or(charset);
        let one_byte_a_letter = [&b"utf-8"[..], b"us-ascii", b"iso-8859-1", b"windows-1252"];
        one_byte_a_letter.contains(&charset)
    };
    matches!(essence(content_type), b"text/xml" | b"application/xml")
        && content_type
            .split(|byte| *byte == b';')
            .skip(1)
            .all(is_known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(
        method: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<OperationQuery, BadOperation> {
        let mut request = http::Request::builder().method(method).uri("/rpc");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let head = request.body(()).unwrap().into_parts().0;
        read(&Dialect::Json("method".into()), &head, body.as_bytes())
    }

    #[test]
    fn a_body_must_be_sent_as_what_it_is_read_as() {
        let body = r#"{"method":"a"}"#;
        for fine in [
            &[][..],
            &[("content-type", "application/json; charset=utf-8")],
            &[("content-type", "Application/JSON")],
            &[("content-type", "application/vnd.api+json")],
            &[
                ("content-type", "text/plain"),
                ("content-encoding", "identity"),
            ],
        ] {
            assert!(asked("POST", fine, body).is_ok(), "{fine:?}");
        }
        for bad in [
            &[("content-type", "application/x-www-form-urlencoded")][..],
            &[("content-type", "multipart/form-data; boundary=+json")],
            &[
                ("content-type", "application/json"),
                ("content-type", "text/json"),
            ],
            &[("content-type", "")],
            &[("content-encoding", "gzip")],
        ] {
            let refused = Err(BadOperation::NotSentAsJson);
            assert_eq!(asked("POST", bad, body), refused, "{bad:?}");
        }
    }

    #[test]
    fn calls_of_xml_rpc_are_sent_as_xml() {
        let asked = |content_type: &str| {
            let request = http::Request::post("/rpc").header("content-type", content_type);
            let head = request.body(()).unwrap().into_parts().0;
            let body = b"<methodCall><methodName>a.b</methodName></methodCall>";
            read(&Dialect::XmlRpc, &head, body)
        };
        for fine in [
            "text/xml",
            "Application/XML; Charset=\"UTF-8\"",
            "text/xml;x=y",
        ] {
            assert!(asked(fine).is_ok(), "{fine}");
        }
        for bad in [
            "application/json",
            "text/html",
            "text/xml; charset=utf-7",
            "",
        ] {
            assert_eq!(asked(bad), Err(BadOperation::NotSentAsXml), "{bad}");
        }
    }

    #[test]
    fn only_safe_methods_may_ask_for_nothing() {
        assert_eq!(asked("GET", &[], ""), Ok(OperationQuery::These(Vec::new())));
        assert_eq!(asked("POST", &[], ""), Err(BadOperation::NotJson));
        assert_eq!(
            asked("POST", &[], "[]"),
            Ok(OperationQuery::These(Vec::new()))
        );
        let nameless = Operation {
            name: None,
            effect: Effect::AsTheRouteSays,
        };
        let nameless = Ok(OperationQuery::These(vec![nameless]));
        assert_eq!(asked("POST", &[], r#"{"id":1}"#), nameless);
        assert_eq!(asked("POST", &[], r#"{"method":null}"#), nameless);
    }
}
