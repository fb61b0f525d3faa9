//! Whether parties and plots exist: they are kept elsewhere, and asked for
//! over HTTP.
//!
//! Only that something exists is remembered, since nothing is ever deleted
//! there; that it does not may change at any moment.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use kit::acl::{AclError, Facade, HttpReader, Reply, Translator};
use kit::client::Policy;
use kit::{Client, ClientError};

use crate::validation::{Existence, Mentions};

/// What was seen to exist is forgotten all at once beyond this many.
const MAX_KNOWN: usize = 10_000;

/// For one question. A GET that failed before an answer is tried once more:
/// most often a connection was closed just when it was used again.
pub const POLICY: Policy = Policy {
    timeout: Duration::from_secs(2),
    attempt_timeout: Duration::from_secs(2),
    attempts: 2,
    concurrency: 256,
    waiting: 4096,
    response_bytes: 64 << 10,
};

/// A reply that is neither yes nor no.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("GET {path} was answered with {status}")]
pub struct UnexpectedReply {
    path: String,
    status: StatusCode,
}

pub type DirectoryError = AclError<ClientError, UnexpectedReply>;

/// What is kept elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Party,
    LandPlot,
}

/// The monolith's words for them.
#[derive(Debug)]
struct MonolithTranslator;

impl Translator for MonolithTranslator {
    type Question = (Kind, i64);
    type Answer = bool;
    type Call = String;
    type Reply = Reply;
    type Error = UnexpectedReply;

    fn call(&self, (kind, id): &(Kind, i64)) -> String {
        match kind {
            Kind::Party => format!("/api/parties/{id}"),
            Kind::LandPlot => format!("/api/land-plots/{id}"),
        }
    }

    fn answer(&self, question: &(Kind, i64), reply: Reply) -> Result<bool, UnexpectedReply> {
        match reply.status {
            StatusCode::OK => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            status => Err(UnexpectedReply {
                path: self.call(question),
                status,
            }),
        }
    }
}

/// Asks for parties and plots.
#[derive(Debug)]
pub struct Directory {
    monolith: Facade<HttpReader, MonolithTranslator>,
    known: Mutex<HashSet<(Kind, i64)>>,
}

impl Directory {
    pub fn new(client: Client) -> Self {
        Self {
            monolith: Facade::new(HttpReader(client), MonolithTranslator),
            known: Mutex::default(),
        }
    }

    /// Asks for everything that was mentioned, at the same time.
    pub async fn existence(&self, mentions: Mentions) -> Result<Existence, DirectoryError> {
        let (seller, buyer, land_plot) = futures_util::try_join!(
            self.exists(Kind::Party, mentions.seller),
            self.exists(Kind::Party, mentions.buyer),
            self.exists(Kind::LandPlot, mentions.land_plot),
        )?;
        Ok(Existence {
            seller,
            buyer,
            land_plot,
        })
    }

    async fn exists(&self, kind: Kind, id: Option<i64>) -> Result<bool, DirectoryError> {
        let Some(id) = id else { return Ok(false) };
        if self.known().contains(&(kind, id)) {
            return Ok(true);
        }
        let exists = self.monolith.ask(&(kind, id)).await?;
        if exists {
            let mut known = self.known();
            if known.len() >= MAX_KNOWN {
                known.clear();
            }
            known.insert((kind, id));
        }
        Ok(exists)
    }

    fn known(&self) -> MutexGuard<'_, HashSet<(Kind, i64)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Bytes;

    use super::*;

    #[test]
    fn the_monoliths_words_are_ours() {
        let party = (Kind::Party, 7);
        assert_eq!(MonolithTranslator.call(&party), "/api/parties/7");
        assert_eq!(
            MonolithTranslator.call(&(Kind::LandPlot, 8)),
            "/api/land-plots/8"
        );
        let answer = |status| {
            let body = Bytes::default();
            MonolithTranslator.answer(&party, Reply { status, body })
        };
        assert_eq!(answer(StatusCode::OK), Ok(true));
        assert_eq!(answer(StatusCode::NOT_FOUND), Ok(false));
        let unexpected = answer(StatusCode::FORBIDDEN).unwrap_err();
        let shown = "GET /api/parties/7 was answered with 403 Forbidden";
        assert_eq!(unexpected.to_string(), shown);
    }
}
