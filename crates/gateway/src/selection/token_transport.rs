//! Where a read-your-writes token is in a message: a cookie or a header.

use crate::{
    base::headers::cookie,
    routing::write_token::{PresentedToken, Signer, Token},
};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use plan::{ExtractionName, ReadYourWrites};

/// How long a browser keeps a token. The log has long been applied by then;
/// and should a database be replaced by one with a log of its own, this is how
/// long its clients keep to the owner.
const MAX_AGE_SECONDS: u32 = 3600;

/// How the tokens of one extraction come and go.
#[derive(Debug)]
pub(crate) struct TokenTransport {
    place: Place,
    signer: Signer,
}

#[derive(Debug)]
enum Place {
    Cookie(String),
    Header(HeaderName),
}

impl TokenTransport {
    /// From the plan, which has checked the name.
    pub(crate) fn new(plan: &ReadYourWrites, extraction: &ExtractionName) -> Option<Self> {
        Some(Self {
            place: match &plan.transport {
                plan::TokenTransport::Cookie(name) => Place::Cookie(name.clone()),
                plan::TokenTransport::Header(name) => Place::Header(name.parse().ok()?),
            },
            signer: Signer::new(&plan.secret, extraction.clone()),
        })
    }

    /// What a request brings.
    pub(crate) fn presented(&self, headers: &HeaderMap) -> PresentedToken {
        let text = match &self.place {
            Place::Cookie(name) => cookie(headers, name.as_bytes()),
            Place::Header(name) => headers.get(name).map(HeaderValue::as_bytes),
        };
        let token = text.and_then(|text| self.signer.read(text));
        token.map_or(PresentedToken::Nothing, PresentedToken::Token)
    }

    /// Adds a token to an answer. `secure`: the client came over TLS.
    pub(crate) fn tell(&self, token: Token, secure: bool, headers: &mut HeaderMap) {
        let text = self.signer.sign(token);
        match &self.place {
            Place::Header(name) => {
                if let Ok(value) = HeaderValue::try_from(text) {
                    headers.insert(name, value);
                }
            }
            Place::Cookie(name) => {
                let secure = if secure { "; Secure" } else { "" };
                let text = format!(
                    "{name}={text}; Path=/; Max-Age={MAX_AGE_SECONDS}; HttpOnly; SameSite=Lax{secure}"
                );
                if let Ok(value) = HeaderValue::try_from(text) {
                    headers.append(header::SET_COOKIE, value);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::{life::Life, write_token::Origin};
    use plan::Secret;
    use protocol::{Epoch, Lsn, Side};

    const TOKEN: Token = Token {
        side: Side::Monolith,
        life: Life(0),
        epoch: Epoch(3),
        origin: Origin::Read,
        position: Some(Lsn(255)),
    };

    fn transport_of(transport: plan::TokenTransport) -> TokenTransport {
        let secret = Secret::new("0123456789abcdef").unwrap();
        let name = ExtractionName::new("contracts").unwrap();
        TokenTransport::new(&ReadYourWrites { transport, secret }, &name).unwrap()
    }

    #[test]
    fn a_cookie_is_for_the_gateway_only() {
        let transport = transport_of(plan::TokenTransport::Cookie("seen".to_owned()));
        let told = |secure| {
            let mut headers = HeaderMap::new();
            headers.append(header::SET_COOKIE, HeaderValue::from_static("theirs=1"));
            transport.tell(TOKEN, secure, &mut headers);
            let all: Vec<_> = headers.get_all(header::SET_COOKIE).into_iter().collect();
            assert_eq!((all.len(), all[0].as_bytes()), (2, &b"theirs=1"[..]));
            all[1].to_str().unwrap().to_owned()
        };
        let plain = told(false);
        assert!(
            plain.ends_with("; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax"),
            "{plain}"
        );
        assert_eq!(told(true), format!("{plain}; Secure"));
        let pair = plain.split(';').next().unwrap();
        let mut headers = HeaderMap::new();
        assert_eq!(transport.presented(&headers), PresentedToken::Nothing);
        headers.insert(header::COOKIE, format!("sid=1; {pair}").parse().unwrap());
        assert_eq!(transport.presented(&headers), PresentedToken::Token(TOKEN));
        headers.insert(header::COOKIE, format!("{pair}0").parse().unwrap());
        assert_eq!(transport.presented(&headers), PresentedToken::Nothing);
    }

    #[test]
    fn a_header_is_read_as_it_was_written() {
        let transport = transport_of(plan::TokenTransport::Header("x-seen".to_owned()));
        let mut headers = HeaderMap::new();
        headers.insert("x-seen", HeaderValue::from_static("theirs"));
        assert_eq!(transport.presented(&headers), PresentedToken::Nothing);
        transport.tell(TOKEN, true, &mut headers);
        assert_eq!(headers.len(), 1);
        assert_eq!(transport.presented(&headers), PresentedToken::Token(TOKEN));
    }
}
