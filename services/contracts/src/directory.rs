//! Whether parties and plots exist: they are kept elsewhere, and asked for
//! over HTTP.
//!
//! Only that something exists is remembered, since nothing is ever deleted
//! there; that it does not may change at any moment.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
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
    answer_bytes: 64 << 10,
};

#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    #[error("GET {path} failed")]
    Failed { path: String, source: ClientError },
    #[error("GET {path} was answered with {status}")]
    Unexpected { path: String, status: StatusCode },
}

/// What is kept elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Party,
    LandPlot,
}

impl Kind {
    const fn address(self) -> &'static str {
        match self {
            Self::Party => "/api/parties",
            Self::LandPlot => "/api/land-plots",
        }
    }
}

/// Asks for parties and plots.
#[derive(Debug)]
pub struct Directory {
    client: Client,
    known: Mutex<HashSet<(Kind, i64)>>,
}

impl Directory {
    pub fn new(client: Client) -> Self {
        Self {
            client,
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
        let path = format!("{}/{id}", kind.address());
        let exists = self.answer(path).await?;
        if exists {
            let mut known = self.known();
            if known.len() >= MAX_KNOWN {
                known.clear();
            }
            known.insert((kind, id));
        }
        Ok(exists)
    }

    async fn answer(&self, path: String) -> Result<bool, DirectoryError> {
        match self.client.get(path.as_str()).send().await {
            Ok(answer) => match answer.status {
                StatusCode::OK => Ok(true),
                StatusCode::NOT_FOUND => Ok(false),
                status => Err(DirectoryError::Unexpected { path, status }),
            },
            Err(source) => Err(DirectoryError::Failed { path, source }),
        }
    }

    fn known(&self) -> MutexGuard<'_, HashSet<(Kind, i64)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
