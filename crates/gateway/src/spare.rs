//! A head to send once more: of a safe request without a body.
//!
//! Nearly every read makes one and next to none uses it. So it is a copy of
//! the bytes in one piece, which is a fraction of the work of a copied header
//! map, and is read only when it is needed.

use crate::body::RequestBody;
use http::{HeaderName, HeaderValue, Method, Request, Uri, request::Parts};

/// Room for most heads; a vector that grows makes it again.
const USUAL_BYTES: usize = 1 << 10;

/// A head to send once more.
pub(crate) struct Spare {
    method: Method,
    uri: Uri,
    /// Per header the lengths of name and value, name, value.
    headers: Vec<u8>,
}

impl Spare {
    pub(crate) fn of(parts: &Parts) -> Self {
        let mut copy = Vec::with_capacity(USUAL_BYTES);
        for (name, value) in &parts.headers {
            let (name, value) = (name.as_str().as_bytes(), value.as_bytes());
            // A head is at most some KiB long.
            let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            copy.extend_from_slice(&length(name).to_le_bytes());
            copy.extend_from_slice(&length(value).to_le_bytes());
            copy.extend_from_slice(name);
            copy.extend_from_slice(value);
        }
        Self {
            method: parts.method.clone(),
            uri: parts.uri.clone(),
            headers: copy,
        }
    }

    pub(crate) fn request(&self) -> Request<RequestBody> {
        let mut request = Request::new(RequestBody::none());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        let mut rest = &self.headers[..];
        while let Some((name, value)) = header(&mut rest) {
            // They come out of a header map.
            if let (Ok(name), Ok(value)) =
                (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
            {
                request.headers_mut().append(name, value);
            }
        }
        request
    }
}

/// Takes the first header from a copy.
fn header<'a>(copy: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let (name, value) = (length(copy)?, length(copy)?);
    let (name, rest) = copy.split_at_checked(name)?;
    let (value, rest) = rest.split_at_checked(value)?;
    *copy = rest;
    Some((name, value))
}

fn length(copy: &mut &[u8]) -> Option<usize> {
    let (length, rest) = copy.split_first_chunk()?;
    *copy = rest;
    usize::try_from(u32::from_le_bytes(*length)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spare_is_the_head_that_it_was_made_of() {
        let parts = Request::builder()
            .method("HEAD")
            .uri("/a?b=c")
            .header("host", "x")
            .header("cookie", "a=1")
            .header("X-Own", "")
            .header("cookie", HeaderValue::from_bytes(b"b=\xff").unwrap())
            .body(())
            .unwrap()
            .into_parts()
            .0;
        let again = Spare::of(&parts).request();
        assert_eq!(again.method(), parts.method);
        assert_eq!(*again.uri(), parts.uri);
        assert_eq!(*again.headers(), parts.headers);
        assert_eq!(again.headers().get_all("cookie").iter().count(), 2);
    }
}
