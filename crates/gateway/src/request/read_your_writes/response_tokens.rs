//! The read-your-writes tokens that an answer will carry.

use crate::{
    base::{
        index::ExtractionIndex,
        peer::{Peer, Scheme},
    },
    routing::{
        life::Life,
        write_token::{Origin, PresentedToken, Token},
    },
    state::{config::Config, worker::Worker},
};
use http::{HeaderMap, HeaderValue, header};
use protocol::{Epoch, Lsn, Side};
use std::cell::RefCell;
use tokio::sync::oneshot;

/// The tokens that an answer will carry. Nothing, for nearly all.
#[derive(Default)]
pub(crate) struct ResponseTokens(RefCell<Vec<(ExtractionIndex, Token, Option<PendingPosition>)>>);

/// A position that is being sampled.
type PendingPosition = oneshot::Receiver<Lsn>;

impl ResponseTokens {
    /// What is known of a client's writes by now: the newest position sampled
    /// while this request ran, else the token in its headers.
    pub(crate) fn presented(
        tokens: Option<&Self>,
        config: &Config,
        extraction: ExtractionIndex,
        headers: &HeaderMap,
    ) -> PresentedToken {
        let Some(transport) = &config.features.get(extraction).token_transport else {
            return PresentedToken::Unasked;
        };
        let found = tokens.and_then(|tokens| {
            let all = tokens.0.borrow();
            let known = |(of, token, coming): &&(_, Token, _)| {
                *of == extraction && token.position.is_some() && Option::is_none(coming)
            };
            all.iter().rev().find(known).map(|(_, token, _)| *token)
        });
        found.map_or_else(|| transport.presented(headers), PresentedToken::Token)
    }

    /// It wrote: the answer says so.
    pub(crate) fn wrote(&self, extraction: ExtractionIndex, token: Token) {
        self.put(extraction, token, None);
    }

    fn put(&self, extraction: ExtractionIndex, token: Token, coming: Option<PendingPosition>) {
        let mut all = self.0.borrow_mut();
        all.retain(|(of, ..)| *of != extraction);
        all.push((extraction, token, coming));
    }

    /// It read from the owner for want of a token: the answer brings one, if
    /// the position is there by then. Sampled from now on, so at or past all
    /// that the client was told of before it asked.
    pub(crate) fn renew(
        &self,
        worker: &Worker,
        extraction: ExtractionIndex,
        (side, life, epoch): (Side, Life, Epoch),
        presented: PresentedToken,
    ) {
        let origin = match presented {
            PresentedToken::Token(token) => token.origin,
            PresentedToken::Nothing | PresentedToken::Unasked => Origin::Read,
        };
        let token = Token {
            side,
            life,
            epoch,
            origin,
            position: None,
        };
        let coming = worker.lsn_samplers[extraction.get()].position(side);
        self.put(extraction, token, Some(coming));
    }

    /// Adds the tokens to the head of an answer.
    pub(crate) fn tell(self, config: &Config, peer: &Peer, headers: &mut HeaderMap) {
        let tokens = self.0.into_inner();
        let mut has_told = false;
        for (extraction, mut token, coming) in tokens {
            if let Some(mut coming) = coming {
                match coming.try_recv() {
                    Ok(position) => token.position = Some(position),
                    // Another time: what the client has binds it all the same.
                    Err(_) => continue,
                }
            }
            if let Some(transport) = &config.features.get(extraction).token_transport {
                transport.tell(token, peer.scheme == Scheme::Tls, headers);
                has_told = true;
            }
        }
        if has_told {
            // A cache that kept it would give one client's token to others.
            headers.append(header::CACHE_CONTROL, HeaderValue::from_static("private"));
        }
    }
}
