//! The record of one request: a line in the access log, a span in its trace.

use crate::{
    base::{index::Place, peer::Peer, refusal::Refusal},
    observe::{Observer, spans::Span, trace_context::TraceContext},
    state::{config::Config, connections::Connections, worker::Worker},
    upstream::{
        body_timeout::Cut,
        response_body::{BodyError, ResponseBody},
    },
};
use http::{HeaderValue, Method, Response, StatusCode, Uri, header, request::Parts};
use http_body::Body as _;
use protocol::Side;
use serde::Serialize;
use std::{
    borrow::Cow,
    net::IpAddr,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};
use time::{OffsetDateTime, format_description::BorrowedFormatItem, macros::format_description};

/// Longer paths, hosts and methods are cut off in the log and in spans.
const TEXT_BYTES_MAX: usize = 2 << 10;

/// RFC 3339, always of the same length.
const TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// How a request ended.
struct End {
    side: Option<Side>,
    status: Option<u16>,
    /// Of the body: how many there are, where its end is not waited for, else how many
    /// have been passed on.
    bytes: Option<u64>,
    /// Until the head of the answer, or until it was given up.
    after: Duration,
    /// Why the gateway refused it, or why it or its answer broke off.
    reason: Option<&'static str>,
    /// Whether the answer's body is on its way.
    is_passing: bool,
}

/// What is recorded of a request, and told when this is dropped.
pub(crate) struct RequestRecord {
    config: Arc<Config>,
    observer: Rc<Observer>,
    connections: Rc<Connections>,
    begun: Instant,
    at: SystemTime,
    method: Method,
    uri: Uri,
    host: Option<HeaderValue>,
    client: IpAddr,
    correlation: HeaderValue,
    /// From the request's `traceparent`.
    pub(super) parent: Option<TraceContext>,
    /// The gateway's span, where there is tracing.
    pub(super) own: Option<TraceContext>,
    place: Place,
    end: End,
}

/// A line of the access log.
#[derive(Serialize)]
struct Line<'a> {
    time: String,
    correlation_id: Cow<'a, str>,
    trace_id: Option<String>,
    client: IpAddr,
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

impl RequestRecord {
    pub(super) fn begin(
        worker: &Worker,
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
            config: Arc::clone(&worker.config),
            observer: Rc::clone(&worker.observer),
            connections: Rc::clone(&worker.connections),
            begun,
            at: SystemTime::now(),
            method: parts.method.clone(),
            uri: parts.uri.clone(),
            host: parts.headers.get(header::HOST).cloned(),
            client: worker.config.access.client(peer, &parts.headers),
            correlation: correlation.clone(),
            parent,
            own,
            place: Place::Elsewhere,
            end: End {
                side: None,
                status: None,
                bytes: None,
                after: Duration::ZERO,
                reason: None,
                is_passing: false,
            },
        }
    }

    /// The head of its answer is there.
    pub(super) fn answered(
        &mut self,
        place: Place,
        side: Option<Side>,
        response: &Response<ResponseBody>,
    ) {
        self.place = place;
        let (status, body) = (response.status(), response.body());
        let has_body = self.method != Method::HEAD
            && !status.is_informational()
            && !matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let is_passing = has_body && !matches!(body, ResponseBody::Own(_)) && !body.is_end_stream();
        let refusal = response.extensions().get::<Refusal>();
        self.end = End {
            side,
            status: Some(status.as_u16()),
            bytes: if is_passing {
                Some(0)
            } else {
                body.size_hint().exact()
            },
            after: self.begun.elapsed(),
            reason: refusal.map(|refusal| refusal.reason()),
            is_passing,
        };
    }

    /// It has no answer, and gets none.
    pub(super) fn given_up(&mut self, place: Place, side: Option<Side>) {
        self.place = place;
        self.end.side = side;
        self.end.after = self.begun.elapsed();
        self.end.reason = Some(self.given_up_by());
    }

    /// Whether there is still something to come of its answer.
    pub(super) fn is_passing(&self) -> bool {
        self.end.is_passing
    }

    /// So many bytes of its answer have been passed on.
    pub(super) fn passed(&mut self, bytes: usize) {
        *self.end.bytes.get_or_insert(0) += bytes as u64;
    }

    /// Its answer has ended.
    pub(super) fn whole(&mut self) {
        self.end.is_passing = false;
    }

    /// Its answer broke off.
    pub(super) fn broke_off(&mut self, error: &BodyError) {
        self.end.is_passing = false;
        let cut = error.downcast_ref::<Cut>();
        self.end.reason = Some(cut.copied().unwrap_or(Cut::Broken).reason());
    }

    /// Why nobody takes it any more.
    fn given_up_by(&self) -> &'static str {
        if self.connections.are_cut() {
            "cut"
        } else {
            "client-gone"
        }
    }

    fn line(&self) -> Line<'_> {
        let config = &self.config;
        let End {
            side,
            status,
            bytes,
            ..
        } = self.end;
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
            duration_ms: (self.end.after.as_secs_f64() * 1e6).round() / 1e3,
            reason: self.end.reason,
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
        let config = &self.config;
        let End { side, status, .. } = self.end;
        Span {
            own,
            parent: self.parent,
            begun: self.at,
            ended: self.at + self.end.after,
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
            reason: self.end.reason,
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

impl Drop for RequestRecord {
    fn drop(&mut self) {
        if self.end.is_passing {
            self.end.reason = Some(self.given_up_by());
        }
        let observer = &self.observer;
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
