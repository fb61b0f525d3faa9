//! Messages as a strict reader frames them.

/// A request or an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Request line or status line.
    pub first: String,
    /// The lines of the fields, as they came.
    pub fields: Vec<String>,
    pub body: Vec<u8>,
    /// The lines of the trailers.
    pub trailers: Vec<String>,
}

/// Whether a message has a body that its head does not tell of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// As the head says.
    Framed,
    /// The answer to HEAD, whatever its head says.
    Never,
}

impl Message {
    /// The values of a field, in whichever case its name stands.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields.iter().filter_map(move |line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    /// The status of an answer.
    pub fn status(&self) -> u16 {
        let status = self.first.split(' ').nth(1);
        status.and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// Takes one whole message off the front. `None`: there is none, or what
    /// stands there is not framed as the gateway and its upstreams should.
    pub fn take(bytes: &[u8], body: Body) -> Option<(Self, &[u8])> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        // Byte by byte: what is no UTF-8 stays what it is.
        let head: String = bytes[..end].iter().map(|byte| char::from(*byte)).collect();
        let mut lines = head.split("\r\n").map(str::to_owned);
        let mut message = Self {
            first: lines.next()?,
            fields: lines.collect(),
            body: Vec::new(),
            trailers: Vec::new(),
        };
        let rest = &bytes[end + 4..];
        let lengths: Vec<&str> = message.values("content-length").collect();
        let codings: Vec<&str> = message.values("transfer-encoding").collect();
        let bodiless = matches!(message.status(), 100..=199 | 204 | 304);
        let rest = match (&lengths[..], &codings[..]) {
            _ if body == Body::Never || bodiless => rest,
            ([], []) => rest,
            ([length], []) => {
                let length = length.parse().ok()?;
                message.body.extend_from_slice(rest.get(..length)?);
                &rest[length..]
            }
            ([], [coding]) if coding.eq_ignore_ascii_case("chunked") => message.chunks(rest)?,
            _ => return None,
        };
        Some((message, rest))
    }

    fn chunks<'a>(&mut self, mut rest: &'a [u8]) -> Option<&'a [u8]> {
        loop {
            let size;
            (size, rest) = line(rest)?;
            let size = usize::from_str_radix(&size, 16).ok()?;
            if size == 0 {
                break;
            }
            self.body.extend_from_slice(rest.get(..size)?);
            rest = rest[size..].strip_prefix(b"\r\n")?;
        }
        loop {
            let trailer;
            (trailer, rest) = line(rest)?;
            if trailer.is_empty() {
                return Some(rest);
            }
            self.trailers.push(trailer);
        }
    }
}

fn line(bytes: &[u8]) -> Option<(String, &[u8])> {
    let end = bytes.windows(2).position(|two| two == b"\r\n")?;
    let text = bytes[..end].iter().map(|byte| char::from(*byte)).collect();
    Some((text, &bytes[end + 2..]))
}

/// All whole requests, and what is left.
pub fn requests(mut bytes: &[u8]) -> (Vec<Message>, &[u8]) {
    let mut all = Vec::new();
    while let Some((one, rest)) = Message::take(bytes, Body::Framed) {
        all.push(one);
        bytes = rest;
    }
    (all, bytes)
}

/// All whole answers, the first final one of which may be one to HEAD, and what
/// is left.
pub fn answers(mut bytes: &[u8], first: Body) -> (Vec<Message>, &[u8]) {
    let (mut all, mut body) = (Vec::new(), first);
    while let Some((one, rest)) = Message::take(bytes, body) {
        if one.status() >= 200 {
            body = Body::Framed;
        }
        all.push(one);
        bytes = rest;
    }
    (all, bytes)
}
