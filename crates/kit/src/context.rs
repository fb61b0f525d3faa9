//! What a request carries through the service and on to others: its
//! correlation id and its place in a trace.
//!
//! It is bound to the task that handles the request. A task spawned by a
//! handler takes it along by [`Context::scope`].

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use uuid::Uuid;

/// The header of the correlation id, in and out.
pub const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");

/// Longer ids are replaced: they would stand in every line of the log.
const CORRELATION_BYTES_MAX: usize = 128;

tokio::task_local! {
    static CURRENT: Context;
}

/// What ties together the log lines of one request in all services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorrelationId(String);

impl CorrelationId {
    /// A new one.
    pub fn random() -> Self {
        Self(Uuid::new_v4().to_string())
    }

    /// One that a caller gave; `None` where it could do harm in a log or a
    /// header, or is too long.
    pub fn given(text: &[u8]) -> Option<Self> {
        let harmless = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/+=@".contains(byte);
        let fits = (1..=CORRELATION_BYTES_MAX).contains(&text.len());
        if !fits || !text.iter().all(harmless) {
            return None;
        }
        String::from_utf8(text.to_vec()).ok().map(Self)
    }

    /// As it is sent and logged.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn header(&self) -> HeaderValue {
        // Harmless characters are a value.
        HeaderValue::try_from(&self.0).unwrap_or(HeaderValue::from_static("invalid"))
    }
}

impl fmt::Display for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a request carries.
#[derive(Debug, Clone)]
pub struct Context {
    /// Its correlation id.
    pub correlation: CorrelationId,
    /// Our span in its trace.
    pub(crate) trace: SpanContext,
    /// The caller's span; invalid where the trace begins here.
    pub(crate) parent: SpanId,
}

/// The context of the request that this task works for.
pub fn current() -> Option<Context> {
    CURRENT.try_with(Clone::clone).ok()
}

impl Context {
    /// What a request says, with a span of our own within its trace.
    pub fn read(headers: &HeaderMap) -> Self {
        let given = headers.get(CORRELATION_ID);
        let correlation = given
            .and_then(|value| CorrelationId::given(value.as_bytes()))
            .unwrap_or_else(CorrelationId::random);
        let parent = TraceContextPropagator::new().extract(&Incoming(headers));
        let parent = parent.span().span_context().clone();
        let trace = if parent.is_valid() {
            child(&parent)
        } else {
            begun()
        };
        Self {
            correlation,
            trace,
            parent: parent.span_id(),
        }
    }

    /// One that begins here: for work that no request asked for.
    pub fn begin() -> Self {
        Self {
            correlation: CorrelationId::random(),
            trace: begun(),
            parent: SpanId::INVALID,
        }
    }

    /// Does work in this context.
    pub async fn scope<F: Future>(self, work: F) -> F::Output {
        CURRENT.scope(self, work).await
    }

    /// As people look for the trace.
    pub fn trace_id(&self) -> String {
        self.trace.trace_id().to_string()
    }

    /// Adds to a request to another service what it should know of this.
    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        headers.insert(CORRELATION_ID, self.correlation.header());
        let context = opentelemetry::Context::new().with_remote_span_context(self.trace.clone());
        TraceContextPropagator::new().inject_context(&context, &mut Outgoing(headers));
    }
}

fn begun() -> SpanContext {
    // Random, and 0 as good as never, which would only be an invalid trace.
    let trace = TraceId::from(Uuid::new_v4().as_u128());
    SpanContext::new(
        trace,
        random_span(),
        TraceFlags::SAMPLED,
        false,
        TraceState::NONE,
    )
}

fn child(parent: &SpanContext) -> SpanContext {
    SpanContext::new(
        parent.trace_id(),
        random_span(),
        parent.trace_flags(),
        false,
        parent.trace_state().clone(),
    )
}

fn random_span() -> SpanId {
    // The lower half of a random UUID has two fixed bits at its top.
    let (_, low) = Uuid::new_v4().as_u64_pair();
    SpanId::from(low)
}

struct Incoming<'a>(&'a HeaderMap);

impl Extractor for Incoming<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        let mut all = self.0.get_all(key).iter();
        // Said twice is as good as not said.
        let (only, None) = (all.next()?, all.next()) else {
            return None;
        };
        only.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

struct Outgoing<'a>(&'a mut HeaderMap);

impl Injector for Outgoing<'_> {
    fn set(&mut self, key: &str, value: String) {
        let name = HeaderName::try_from(key);
        if let (Ok(name), Ok(value)) = (name, HeaderValue::try_from(value)) {
            // An empty trace state says nothing.
            if !value.is_empty() {
                self.0.insert(name, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn headers(all: &[(&'static str, &str)]) -> HeaderMap {
        all.iter()
            .map(|(name, value)| {
                let value = HeaderValue::from_str(value).unwrap();
                (HeaderName::from_static(name), value)
            })
            .collect()
    }

    #[test]
    fn what_a_request_says_is_passed_on() {
        let given = headers(&[("x-correlation-id", "a-1"), ("traceparent", PARENT)]);
        let context = Context::read(&given);
        assert_eq!(context.correlation.as_str(), "a-1");
        let mut sent = HeaderMap::new();
        context.write(&mut sent);
        assert_eq!(sent["x-correlation-id"], "a-1");
        let traceparent = sent["traceparent"].to_str().unwrap();
        assert!(traceparent.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"));
        assert!(traceparent.ends_with("-01") && traceparent != PARENT);
        assert!(!sent.contains_key("tracestate"));
    }

    #[test]
    fn what_nobody_could_have_meant_is_replaced() {
        let long = "x".repeat(CORRELATION_BYTES_MAX + 1);
        for wrong in ["", "two words", "a\tb", "{\"a\":1}", &long] {
            let context = Context::read(&headers(&[("x-correlation-id", wrong)]));
            assert_eq!(context.correlation.as_str().len(), 36, "{wrong}");
        }
        let wrong = PARENT.to_uppercase();
        let context = Context::read(&headers(&[("traceparent", &wrong)]));
        assert_eq!(context.parent, SpanId::INVALID);
        assert!(context.trace.is_valid());
    }

    proptest! {
        #[test]
        fn whatever_comes_can_be_sent_on(id: Vec<u8>, parent: Vec<u8>) {
            let mut given = HeaderMap::new();
            for (name, value) in [("x-correlation-id", &id), ("traceparent", &parent)] {
                if let Ok(value) = HeaderValue::from_bytes(value) {
                    given.insert(name, value);
                }
            }
            let context = Context::read(&given);
            let mut sent = HeaderMap::new();
            context.write(&mut sent);
            let again = Context::read(&sent);
            prop_assert_eq!(again.correlation, context.correlation);
            prop_assert_eq!(again.parent, context.trace.span_id());
        }
    }
}
