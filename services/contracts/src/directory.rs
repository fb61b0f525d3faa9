//! Whether parties and plots exist: they are kept elsewhere, and asked for
//! over HTTP.
//!
//! Only that something exists is remembered, since nothing is ever deleted
//! there; that it does not may change at any moment.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper::{Response, StatusCode, Uri};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::validation::{Existence, Mentions};

/// For one question, a second attempt included.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// A GET that failed before an answer is tried once more: most often a
/// connection was closed just when it was used again.
const MAX_ATTEMPTS: u32 = 2;
/// Shorter than servers keep idle connections.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
const MAX_IDLE_CONNECTIONS: usize = 32;
/// What was seen to exist is forgotten all at once beyond this many.
const MAX_KNOWN: usize = 10_000;
/// Answers are read to their end so that connections can be used again.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    #[error("GET {path} was not answered within {} s", ANSWER_TIMEOUT.as_secs())]
    TimedOut { path: String },
    #[error("GET {path} failed")]
    Failed { path: String, source: ClientError },
    #[error("GET {path} was answered with {status}")]
    Unexpected { path: String, status: StatusCode },
    #[error("MONOLITH_URL makes no address of {path}")]
    Address {
        path: String,
        source: hyper::http::uri::InvalidUri,
    },
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
    client: Client<HttpConnector, Empty<Bytes>>,
    origin: String,
    known: Mutex<HashSet<(Kind, i64)>>,
}

impl Directory {
    /// `origin` is a URL without a slash at its end.
    pub fn new(origin: String) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(ANSWER_TIMEOUT));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(MAX_IDLE_CONNECTIONS)
            .retry_canceled_requests(false)
            .build(connector);
        Self {
            client,
            origin,
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
        let uri: Uri = match format!("{}{path}", self.origin).parse() {
            Ok(uri) => uri,
            Err(source) => return Err(DirectoryError::Address { path, source }),
        };
        let response = match tokio::time::timeout(ANSWER_TIMEOUT, self.get(uri)).await {
            Ok(Ok(response)) => response,
            Ok(Err(source)) => return Err(DirectoryError::Failed { path, source }),
            Err(_) => return Err(DirectoryError::TimedOut { path }),
        };
        match response {
            StatusCode::OK => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            status => Err(DirectoryError::Unexpected { path, status }),
        }
    }

    async fn get(&self, uri: Uri) -> Result<StatusCode, ClientError> {
        let mut attempt = 1;
        loop {
            match self.client.get(uri.clone()).await {
                Ok(response) => return Ok(drained(response).await),
                Err(error) if attempt == MAX_ATTEMPTS => return Err(error),
                Err(_) => attempt += 1,
            }
        }
    }

    fn known(&self) -> MutexGuard<'_, HashSet<(Kind, i64)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The status says everything; a body that breaks off does not change it.
async fn drained(response: Response<Incoming>) -> StatusCode {
    let (head, body) = response.into_parts();
    let _ = Limited::new(body, MAX_ANSWER_BYTES).collect().await;
    head.status
}
