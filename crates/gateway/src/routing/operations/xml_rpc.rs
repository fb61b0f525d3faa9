//! The method of an XML-RPC call.
//!
//! Readers differ in what they make of a document that is not plain: Python's takes the
//! last `methodName`, wherever it stands, others the first that a pattern finds, and what
//! a DTD defines is text to some. So the name must stand where the specification has it,
//! once and in its letters only, and whatever could hide another one is refused.

use crate::base::bad_operation::BadOperation;
use quick_xml::{
    Reader,
    events::{BytesRef, BytesStart, Event},
};
use std::borrow::Cow;

/// Values that are nested deeper are nobody's.
const DEPTH_MAX: usize = 128;

/// It carries calls inside of it, each of which would have a route of its own.
const MULTICALL: &str = "system.multicall";

/// The name that a call asks for.
pub(super) fn method(body: &[u8]) -> Result<String, BadOperation> {
    let text = match std::str::from_utf8(body) {
        Ok(text) => Cow::Borrowed(text),
        // Of one byte a letter; markup is the same in all that may be declared.
        Err(_) => body.iter().copied().map(char::from).collect(),
    };
    let is_utf8 = matches!(text, Cow::Borrowed(_));
    let mut reader = Reader::from_str(&text);
    reader.config_mut().expand_empty_elements = true;
    let mut call = Call::default();
    loop {
        match reader.read_event().map_err(|_| BadOperation::NotXmlRpc)? {
            Event::Decl(declared) => {
                let encoding = declared.encoding().transpose();
                let encoding = encoding.map_err(|_| BadOperation::NotXmlRpc)?;
                call.declare(encoding.as_deref(), is_utf8)?;
            }
            _ if !is_utf8 && call.charset == Charset::Utf8 => return Err(BadOperation::NotXmlRpc),
            Event::Start(element) => call.start(&element)?,
            Event::End(_) => call.end()?,
            Event::Text(text) => call.text(&text)?,
            Event::CData(_) => call.aside()?,
            Event::GeneralRef(reference) if is_letter(&reference) => call.aside()?,
            Event::Eof if call.state == State::Ended => {
                return call.name.ok_or(BadOperation::NotXmlRpc);
            }
            Event::GeneralRef(_)
            | Event::Eof
            | Event::Empty(_)
            | Event::Comment(_)
            | Event::PI(_)
            | Event::DocType(_) => return Err(BadOperation::NotXmlRpc),
        }
    }
}

/// Whether a reference needs no DTD.
fn is_letter(reference: &BytesRef<'_>) -> bool {
    let name: &str = reference;
    reference.is_char_ref() || matches!(name, "lt" | "gt" | "amp" | "apos" | "quot")
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    /// Nothing but a declaration so far.
    #[default]
    Before,
    /// Directly inside of `methodCall`.
    Call,
    /// Inside of its `methodName`.
    Name,
    /// So deep inside of its `params`, which is 1 itself.
    Params(usize),
    Ended,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Charset {
    #[default]
    Utf8,
    /// One byte is one letter.
    Bytes,
}

/// A call as far as it was read.
#[derive(Debug, Default)]
struct Call {
    state: State,
    is_declared: bool,
    charset: Charset,
    name: Option<String>,
    has_params: bool,
}

impl Call {
    fn declare(&mut self, encoding: Option<&str>, is_utf8: bool) -> Result<(), BadOperation> {
        if self.is_declared || self.state != State::Before {
            return Err(BadOperation::NotXmlRpc);
        }
        self.is_declared = true;
        let is = |name: &str| encoding.is_none_or(|one| one.eq_ignore_ascii_case(name));
        self.charset = if is("utf-8") || is("us-ascii") {
            Charset::Utf8
        } else if is("iso-8859-1") || is("windows-1252") {
            Charset::Bytes
        } else {
            return Err(BadOperation::TwoReadings);
        };
        if self.charset == Charset::Utf8 && !is_utf8 {
            return Err(BadOperation::NotXmlRpc);
        }
        Ok(())
    }

    fn start(&mut self, element: &BytesStart<'_>) -> Result<(), BadOperation> {
        let name = element.name();
        let is_plain = element.attributes_raw().trim_ascii().is_empty();
        let name: &str = name.as_ref();
        self.state = match (self.state, name) {
            (State::Before, "methodCall") if is_plain => State::Call,
            (State::Call, "methodName") if is_plain && self.name.is_none() => State::Name,
            (State::Call, "params") if self.name.is_some() && !self.has_params => {
                self.has_params = true;
                State::Params(1)
            }
            _ if names_method(name) => return Err(BadOperation::TwoReadings),
            (State::Params(depth), _) if depth < DEPTH_MAX => State::Params(depth + 1),
            _ => return Err(BadOperation::NotXmlRpc),
        };
        Ok(())
    }

    /// The reader holds it to the beginning that it ends.
    fn end(&mut self) -> Result<(), BadOperation> {
        self.state = match self.state {
            State::Name if self.name.is_none() => return Err(BadOperation::NotXmlRpc),
            State::Name | State::Params(1) => State::Call,
            State::Params(depth) => State::Params(depth - 1),
            State::Call => State::Ended,
            State::Before | State::Ended => return Err(BadOperation::NotXmlRpc),
        };
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), BadOperation> {
        match self.state {
            State::Params(_) => Ok(()),
            State::Name if self.name.is_some() => Err(BadOperation::TwoReadings),
            State::Name if text == MULTICALL => Err(BadOperation::Multicall),
            // Some readers take spaces around it for a part of it.
            State::Name if text.trim_ascii() != text => Err(BadOperation::TwoReadings),
            State::Name if text.bytes().all(is_of_names) => {
                self.name = Some(text.to_owned());
                Ok(())
            }
            State::Before | State::Call | State::Ended if text.trim_ascii().is_empty() => Ok(()),
            _ => Err(BadOperation::NotXmlRpc),
        }
    }

    /// Text in another form, which is for values only.
    fn aside(&self) -> Result<(), BadOperation> {
        match self.state {
            State::Params(_) => Ok(()),
            State::Name => Err(BadOperation::TwoReadings),
            State::Before | State::Call | State::Ended => Err(BadOperation::NotXmlRpc),
        }
    }
}

/// Whether some reader takes an element for the one that names the method: by its name in
/// any letters, or in any namespace.
fn names_method(element: &str) -> bool {
    let local = element.rsplit(':').next().unwrap_or_default();
    ["methodName", "methodCall"]
        .iter()
        .any(|name| local.eq_ignore_ascii_case(name))
}

fn is_of_names(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b':' | b'/' | b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(name: &str, params: &str) -> String {
        format!("<methodCall><methodName>{name}</methodName>{params}</methodCall>")
    }

    #[test]
    fn the_method_of_a_call_is_read() {
        let value = "<params><param><value><struct><member><name>a</name><value>\
                     <string>1 &lt; 2 &#38; <![CDATA[<b>]]></string></value></member></struct>\
                     </value></param></params>";
        for body in [
            call("contracts.get", ""),
            call("contracts.get", "<params/>"),
            call("contracts.get", value),
            format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}\n",
                call("contracts.get", value)
            ),
            "<methodCall>\r\n  <methodName>contracts.get</methodName >\n <params>\n</params> </methodCall >"
                .to_owned(),
        ] {
            assert_eq!(method(body.as_bytes()).as_deref(), Ok("contracts.get"), "{body}");
        }
        let mut latin = b"<?xml version='1.0' encoding='ISO-8859-1'?>".to_vec();
        latin.extend(call("a", "<params><param><value>x</value></param></params>").bytes());
        let at = latin.iter().rposition(|byte| *byte == b'x').unwrap();
        latin[at] = 0xe4;
        assert_eq!(method(&latin).as_deref(), Ok("a"));
        assert_eq!(method(&latin[43..]), Err(BadOperation::NotXmlRpc));
    }

    #[test]
    fn what_has_two_readings_is_refused() {
        let nested = |inner: &str| call("a", &format!("<params><param>{inner}</param></params>"));
        for body in [
            nested("<methodName>b</methodName>"),
            nested("<METHODNAME>b</METHODNAME>"),
            nested("<x:methodName xmlns:x='y'>b</x:methodName>"),
            call("a", "<methodName>b</methodName>"),
            call(" a", ""),
            call("a\n", ""),
            call("a<![CDATA[b]]>", ""),
            call("<![CDATA[b]]>", ""),
            call("a&#98;", ""),
            call("&amp;", ""),
            format!("<?xml version='1.0' encoding='utf-7'?>{}", call("a", "")),
            format!("{0}{0}", call("a", "")),
        ] {
            let read = method(body.as_bytes());
            assert_eq!(read, Err(BadOperation::TwoReadings), "{body}");
        }
        let multicall = call("system.multicall", "<params/>");
        assert_eq!(method(multicall.as_bytes()), Err(BadOperation::Multicall));
    }

    #[test]
    fn what_is_no_plain_call_is_refused() {
        let deep = |depth: usize| {
            let (open, close) = ("<value>".repeat(depth), "</value>".repeat(depth));
            call("a", &format!("<params>{open}{close}</params>"))
        };
        assert!(method(deep(DEPTH_MAX - 1).as_bytes()).is_ok());
        for body in [
            String::new(),
            "{}".to_owned(),
            "<methodCall/>".to_owned(),
            "<methodCall><methodName/></methodCall>".to_owned(),
            "<methodResponse></methodResponse>".to_owned(),
            format!("<!DOCTYPE methodCall>{}", call("a", "")),
            format!("<!DOCTYPE m [<!ENTITY e 'b'>]>{}", call("&e;", "")),
            format!("<!-- -->{}", call("a", "")),
            call("a<!-- -->", ""),
            call("a", "<?php ?>"),
            call("a b", ""),
            call("ä", ""),
            call("a", "b"),
            call("a", "<params/><params/>"),
            call("a", "<params>&e;</params>"),
            call("a", "<param/>"),
            format!("{}x", call("a", "")),
            format!("x{}", call("a", "")),
            "<methodCall><params/><methodName>a</methodName></methodCall>".to_owned(),
            "<methodCall><methodName>a</methodName>".to_owned(),
            "<methodCall><methodName>a</methodCall></methodName>".to_owned(),
            deep(DEPTH_MAX),
        ] {
            let read = method(body.as_bytes());
            assert_eq!(read, Err(BadOperation::NotXmlRpc), "{body}");
        }
        let mut bytes = call("a", "<params>x</params>").into_bytes();
        let at = bytes.iter().rposition(|byte| *byte == b'x').unwrap();
        bytes[at] = 0xff;
        assert_eq!(method(&bytes), Err(BadOperation::NotXmlRpc));
    }
}
