//! Asks an instance of an upstream whether it can work, or only whether it is
//! there.

use super::addresses::Addresses;
use bytes::Bytes;
use futures_util::{StreamExt, stream::FuturesUnordered};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Empty;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use plan::{HealthChecks, HostAddresses, Protocol, Upstream, UpstreamUrl};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// The largest head of an answer to a check.
const HEAD_BYTES_MAX: u32 = 16 << 10;

/// How long an upstream of which the plan says nothing may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

const USER_AGENT: HeaderValue = HeaderValue::from_static("banyan-health-check");

/// Why a check failed.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// No connection.
    #[error("cannot be reached: {0}")]
    Connect(#[from] std::io::Error),
    /// A connection, but no answer.
    #[error("does not answer: {0}")]
    Exchange(#[from] hyper::Error),
    /// The plan's path is none.
    #[error("the path cannot be asked for: {0}")]
    Path(#[from] http::Error),
    /// It says that it cannot.
    #[error("answers {0}")]
    Status(StatusCode),
    /// A connection, but no answer in time.
    #[error("takes connections, but has not answered within {0:?}")]
    Late(Duration),
}

/// What an instance was asked, and what came of it.
#[derive(Debug, thiserror::Error)]
#[error("{asked} {error}")]
pub struct Unhealthy {
    /// `GET http://host:port/path`.
    pub asked: String,
    /// What was wrong.
    #[source]
    pub error: CheckError,
}

/// One question, asked on a connection of its own: a kept one would say nothing
/// about whether new ones can be made.
#[derive(Debug, Clone)]
pub(crate) struct Probe<'a> {
    method: Method,
    path: &'a str,
    /// For connection and answer together.
    limit: Duration,
    wanted: Answer,
}

/// What counts as a good answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// One of success.
    Success,
    /// Any that is not a proxy's before nothing.
    Any,
    /// None: a connection is enough.
    Connection,
}

impl<'a> Probe<'a> {
    /// The plan's.
    pub(crate) fn planned(checks: &'a HealthChecks) -> Self {
        Self {
            method: Method::GET,
            path: &checks.path,
            limit: checks.timeout,
            wanted: Answer::Success,
        }
    }

    /// That of an upstream; where the plan says nothing, whether anything answers.
    fn of(upstream: &'a Upstream) -> Self {
        let unplanned = Self {
            method: Method::HEAD,
            path: "/",
            limit: ANSWER_TIMEOUT,
            wanted: Answer::Any,
        };
        upstream.health.as_ref().map_or(unplanned, Self::planned)
    }

    /// What it asks, in words.
    pub(crate) fn asked(&self, url: &UpstreamUrl) -> String {
        format!("{} {url}{}", self.method, self.path)
    }

    /// Asks. Cancel safe.
    pub(crate) async fn ask(
        &self,
        addresses: &Addresses,
        protocol: Protocol,
    ) -> Result<(), CheckError> {
        let end = Instant::now() + self.limit;
        let wire = TokioIo::new(addresses.connect(self.limit).await?);
        if self.wanted == Answer::Connection {
            return Ok(());
        }
        let exchange = self.exchange(wire, addresses.authority(), protocol);
        let late = |_| CheckError::Late(self.limit);
        let status = timeout_at(end, exchange).await.map_err(late)??;
        let from_a_proxy = matches!(
            status,
            StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT
        );
        if status.is_success() || self.wanted == Answer::Any && !from_a_proxy {
            Ok(())
        } else {
            Err(CheckError::Status(status))
        }
    }

    /// Asks all instances; one that is as wanted is enough.
    async fn ask_any(&self, upstream: &Upstream, resolve: &HostAddresses) -> Result<(), Unhealthy> {
        let ask = |url| self.ask_one(url, resolve, upstream.protocol);
        let mut asking: FuturesUnordered<_> = upstream.instances().map(ask).collect();
        let mut first = None;
        while let Some(asked) = asking.next().await {
            match asked {
                Ok(()) => return Ok(()),
                Err(error) => first = first.or(Some(error)),
            }
        }
        first.map_or(Ok(()), Err)
    }

    async fn ask_one(
        &self,
        url: &UpstreamUrl,
        resolve: &HostAddresses,
        protocol: Protocol,
    ) -> Result<(), Unhealthy> {
        let addresses = Addresses::new(url, resolve);
        let asked = self.ask(&addresses, protocol).await;
        asked.map_err(|error| Unhealthy {
            asked: self.asked(url),
            error,
        })
    }

    async fn exchange<I>(
        &self,
        wire: I,
        authority: &str,
        protocol: Protocol,
    ) -> Result<StatusCode, CheckError>
    where
        I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    {
        let request = Request::builder()
            .method(self.method.clone())
            .uri(self.path)
            .header(header::USER_AGENT, USER_AGENT);
        match protocol {
            Protocol::Http1 => {
                let (mut sender, connection) = http1::Builder::new()
                    .max_buf_size(HEAD_BYTES_MAX as usize)
                    .handshake(wire)
                    .await?;
                let request = request
                    .header(header::HOST, authority)
                    .header(header::CONNECTION, "close")
                    .body(Empty::<Bytes>::new())?;
                Ok(answered(sender.send_request(request), connection).await?)
            }
            Protocol::H2c => {
                let (mut sender, connection) = http2::Builder::new(TokioExecutor::new())
                    .max_header_list_size(HEAD_BYTES_MAX)
                    .handshake(wire)
                    .await?;
                let request = request
                    .uri(format!("http://{authority}{}", self.path))
                    .body(Empty::<Bytes>::new())?;
                Ok(answered(sender.send_request(request), connection).await?)
            }
        }
    }
}

/// Asks an upstream now whether it can work: whether an instance answers as the
/// plan wants, or where it says nothing of that, whether one answers at all.
/// All instances are asked at once, so that it lasts no longer than one answer
/// may: `health.timeout`, or two seconds where the plan has no `health`. The error
/// is that of the first that failed. Cancel safe.
pub async fn check_health(upstream: &Upstream, resolve: &HostAddresses) -> Result<(), Unhealthy> {
    Probe::of(upstream).ask_any(upstream, resolve).await
}

/// Whether anything takes connections there, be it healthy or not. Bounded as
/// [`check_health`]; cancel safe.
pub async fn check_presence(upstream: &Upstream, resolve: &HostAddresses) -> Result<(), Unhealthy> {
    let probe = Probe {
        wanted: Answer::Connection,
        ..Probe::of(upstream)
    };
    probe.ask_any(upstream, resolve).await
}

/// What [`check_health`] asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthQuestion {
    /// Of each instance: `GET http://host:port/path`.
    pub asked: Vec<String>,
    /// How long the answer may take.
    pub limit: Duration,
    /// Whether the plan says so.
    pub planned: bool,
}

impl HealthQuestion {
    /// That of an upstream.
    pub fn of(upstream: &Upstream) -> Self {
        let probe = Probe::of(upstream);
        Self {
            asked: upstream.instances().map(|url| probe.asked(url)).collect(),
            limit: probe.limit,
            planned: upstream.health.is_some(),
        }
    }
}

/// The status of an answer, for which its connection is driven.
async fn answered<B>(
    answer: impl Future<Output = hyper::Result<Response<B>>>,
    connection: impl Future<Output = hyper::Result<()>>,
) -> hyper::Result<StatusCode> {
    tokio::pin!(answer, connection);
    let response = tokio::select! {
        biased;
        response = &mut answer => response?,
        ended = &mut connection => {
            ended?;
            answer.await?
        }
    };
    Ok(response.status())
}
