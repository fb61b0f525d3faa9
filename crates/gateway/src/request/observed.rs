//! What is recorded of one request: a line in the access log, a span in its
//! trace.

use crate::{
    base::{index::Place, peer::Peer, refusal::Refusal},
    observe::{
        connection_gauge::{Counted, Tally},
        spans::Span,
        trace_context::{TRACEPARENT, TRACESTATE, TraceContext},
    },
    state::{config::Config, worker::Worker},
    upstream::response_body::ResponseBody,
};
use http::{HeaderMap, HeaderValue, Method, Response, Uri, header, request::Parts};
use http_body::Body as _;
use protocol::Side;
use serde::Serialize;
use std::{
    borrow::Cow,
    net::IpAddr,
    time::{Instant, SystemTime},
};
use time::{OffsetDateTime, format_description::BorrowedFormatItem, macros::format_description};

/// Longer paths, hosts and methods are cut off in the log and in spans.
const TEXT_BYTES_MAX: usize = 2 << 10;

/// RFC 3339, always of the same length.
const TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// A request in flight; counted until it is dropped.
struct CountedRequest<'a> {
    tally: &'a Tally,
    peer: &'a Peer,
}

impl<'a> CountedRequest<'a> {
    fn new(tally: &'a Tally, peer: &'a Peer) -> Self {
        tally.add(Counted::Request);
        if peer.running.replace(peer.running.get() + 1) == 0 {
            tally.add(Counted::Busy);
        }
        Self { tally, peer }
    }
}

impl Drop for CountedRequest<'_> {
    fn drop(&mut self) {
        self.tally.subtract(Counted::Request);
        let left = self.peer.running.get() - 1;
        self.peer.running.set(left);
        if left == 0 {
            self.tally.subtract(Counted::Busy);
        }
    }
}

/// A request that is being answered. Dropped before [`Observed::end`], its
/// client has gone.
pub(crate) struct Observed<'a> {
    _running: CountedRequest<'a>,
    record: Option<Box<RequestRecord<'a>>>,
}

impl<'a> Observed<'a> {
    /// A request has come.
    pub(crate) fn begin(
        worker: &'a Worker,
        peer: &'a Peer,
        parts: &Parts,
        correlation: &HeaderValue,
        begun: Instant,
    ) -> Self {
        let this = &worker.observer;
        let record = if this.sink.is_none() && this.tracing.is_none() {
            None
        } else {
            Some(Box::new(RequestRecord::begin(
                worker,
                peer,
                parts,
                correlation,
                begun,
            )))
        };
        Self {
            _running: CountedRequest::new(&this.tally, peer),
            record,
        }
    }

    /// It belongs here.
    pub(crate) fn at(&mut self, place: Place) {
        if let Some(record) = &mut self.record {
            record.place = place;
        }
    }

    /// Tells the upstream in which trace it works, where there is tracing.
    /// Otherwise what the client said of it passes.
    pub(crate) fn introduce(&self, headers: &mut HeaderMap) {
        let Some(record) = &self.record else { return };
        let Some(own) = record.own else { return };
        headers.insert(TRACEPARENT, own.header());
        if record.parent.is_none() {
            // It says something about a trace that is not this one.
            headers.remove(TRACESTATE);
        }
    }

    /// It was answered.
    pub(crate) fn end(mut self, side: Option<Side>, response: &Response<ResponseBody>) {
        if let Some(record) = &mut self.record {
            let refusal = response.extensions().get::<Refusal>();
            record.end = End::Answered {
                side,
                reason: refusal.map(|refusal| refusal.reason()),
                status: response.status().as_u16(),
                bytes: response.body().size_hint().exact(),
            };
        }
    }
}

/// How a request ended.
enum End {
    /// Its client did not wait.
    Gone,
    Answered {
        side: Option<Side>,
        /// Where the gateway refused it.
        reason: Option<&'static str>,
        status: u16,
        /// Of the body, where that is known beforehand.
        bytes: Option<u64>,
    },
}

/// What is recorded of a request.
struct RequestRecord<'a> {
    worker: &'a Worker,
    begun: Instant,
    at: SystemTime,
    method: Method,
    uri: Uri,
    host: Option<HeaderValue>,
    client: Option<IpAddr>,
    correlation: HeaderValue,
    /// From the request's `traceparent`.
    parent: Option<TraceContext>,
    /// The gateway's span, where there is tracing.
    own: Option<TraceContext>,
    place: Place,
    end: End,
}

/// A line of the access log.
#[derive(Serialize)]
struct Line<'a> {
    time: String,
    correlation_id: Cow<'a, str>,
    trace_id: Option<String>,
    client: Option<IpAddr>,
    method: &'a str,
    host: Option<Cow<'a, str>>,
    path: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    query: Option<Cow<'a, str>>,
    route: Option<String>,
    belongs_to: Option<&'a str>,
    side: Option<&'static str>,
    upstream: Option<&'a str>,
    status: Option<u16>,
    bytes: Option<u64>,
    duration_ms: f64,
    reason: Option<&'static str>,
}

impl<'a> RequestRecord<'a> {
    fn begin(
        worker: &'a Worker,
        peer: &Peer,
        parts: &Parts,
        correlation: &HeaderValue,
        begun: Instant,
    ) -> Self {
        let observer = &worker.observer;
        let parent = TraceContext::read(&parts.headers);
        let random = || observer.random.next();
        let own = observer.tracing.as_ref().map(|(_, share)| {
            parent.map_or_else(
                || TraceContext::begin(random, *share),
                |parent| parent.child(random),
            )
        });
        Self {
            worker,
            begun,
            at: SystemTime::now(),
            method: parts.method.clone(),
            uri: parts.uri.clone(),
            host: parts.headers.get(header::HOST).cloned(),
            client: peer
                .address
                .map(|address| worker.config.access.client(address, &parts.headers)),
            correlation: correlation.clone(),
            parent,
            own,
            place: Place::Elsewhere,
            end: End::Gone,
        }
    }

    fn line(&self) -> Line<'_> {
        let config = &self.worker.config;
        let (side, status, bytes, reason) = self.ended();
        let query = self.query(config);
        Line {
            time: OffsetDateTime::from(self.at)
                .format(TIME)
                .unwrap_or_default(),
            correlation_id: String::from_utf8_lossy(self.correlation.as_bytes()),
            trace_id: self.own.or(self.parent).map(TraceContext::trace_id),
            client: self.client,
            method: &self.method.as_str()[..self.method.as_str().len().min(32)],
            host: self.host.as_ref().map(|host| cut(host.as_bytes())),
            path: cut(self.uri.path().as_bytes()),
            query,
            route: route(config, self.place),
            belongs_to: belongs_to(config, self.place),
            side: side.map(Side::as_str),
            upstream: side.map(|side| upstream(config, self.place, side)),
            status,
            bytes,
            duration_ms: (self.begun.elapsed().as_secs_f64() * 1e6).round() / 1e3,
            reason,
        }
    }

    fn ended(&self) -> (Option<Side>, Option<u16>, Option<u64>, Option<&'static str>) {
        match self.end {
            End::Gone if self.worker.connections.are_cut() => (None, None, None, Some("cut")),
            End::Gone => (None, None, None, Some("client-gone")),
            End::Answered {
                side,
                reason,
                status,
                bytes,
            } => (side, Some(status), bytes, reason),
        }
    }

    /// Where the plan wants it, without the credentials that the plan knows of.
    fn query(&self, config: &Config) -> Option<Cow<'_, str>> {
        let wanted = config.settings.observe.access_log.as_ref();
        let query = self
            .uri
            .query()
            .filter(|_| wanted.is_some_and(|log| log.query))?;
        Some(match config.redaction.apply(query) {
            Cow::Borrowed(query) => cut(query.as_bytes()),
            Cow::Owned(query) => Cow::Owned(cut(query.as_bytes()).into_owned()),
        })
    }

    fn span(&self, own: TraceContext) -> Span {
        let config = &self.worker.config;
        let (side, status, _, reason) = self.ended();
        Span {
            own,
            parent: self.parent,
            begun: self.at,
            ended: self.at + self.begun.elapsed(),
            method: crate::observe::labels::method_label(&self.method),
            host: self
                .host
                .as_ref()
                .map(|host| cut(host.as_bytes()).into_owned()),
            path: cut(self.uri.path().as_bytes()).into_owned(),
            client: self.client,
            correlation: String::from_utf8_lossy(self.correlation.as_bytes()).into_owned(),
            route: route(config, self.place),
            side: side.map(Side::as_str),
            upstream: side.map(|side| upstream(config, self.place, side).to_owned()),
            status,
            reason,
        }
    }
}

/// Notes a message that was no request, in the access log: of what it asked for nothing
/// is certain.
pub(crate) fn unread(worker: &Worker, peer: &Peer, correlation: &HeaderValue, refusal: Refusal) {
    let Some(sink) = &worker.observer.sink else {
        return;
    };
    sink.add(&Line {
        time: OffsetDateTime::now_utc().format(TIME).unwrap_or_default(),
        correlation_id: String::from_utf8_lossy(correlation.as_bytes()),
        trace_id: None,
        client: peer.address,
        method: "",
        host: None,
        path: Cow::Borrowed(""),
        query: None,
        route: None,
        belongs_to: None,
        side: None,
        upstream: None,
        status: Some(refusal.status().as_u16()),
        bytes: None,
        duration_ms: 0.0,
        reason: Some(refusal.reason()),
    });
}

impl Drop for RequestRecord<'_> {
    fn drop(&mut self) {
        let observer = &self.worker.observer;
        if let Some(sink) = &observer.sink {
            sink.add(&self.line());
        }
        if let (Some((exporter, _)), Some(own)) = (&observer.tracing, self.own)
            && own.is_sampled()
        {
            exporter.add(self.span(own));
        }
    }
}

/// Text of a client's, as much as is logged of it.
fn cut(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(&bytes[..bytes.len().min(TEXT_BYTES_MAX)])
}

/// The route's pattern.
fn route(config: &Config, place: Place) -> Option<String> {
    match place {
        Place::Elsewhere => None,
        Place::Route(passthrough) => Some(
            config
                .table
                .passthrough(passthrough)
                .route
                .route
                .path
                .to_string(),
        ),
        Place::Extraction(found) => {
            let entry = config.table.entry(found.extraction);
            Some(entry.routes[found.route].path.to_string())
        }
    }
}

/// The extraction's name, or the route's own.
fn belongs_to(config: &Config, place: Place) -> Option<&str> {
    match place {
        Place::Elsewhere => None,
        Place::Route(passthrough) => Some(&config.table.passthrough(passthrough).route.name),
        Place::Extraction(found) => Some(config.table.entry(found.extraction).name.as_str()),
    }
}

/// The upstream that answered.
fn upstream(config: &Config, place: Place, side: Side) -> &str {
    let index = match place {
        Place::Elsewhere => crate::base::index::UpstreamIndex::MONOLITH,
        Place::Route(passthrough) => config.table.passthrough(passthrough).upstream,
        Place::Extraction(found) => config.table.upstream(found.extraction, side),
    };
    &config.upstreams.get(index).name
}
