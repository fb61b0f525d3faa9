//! What is told of one request while it is answered: it is counted, and has a record where
//! the plan wants one.

use super::record::RequestRecord;
use crate::{
    base::{index::Place, peer::Peer},
    observe::{
        connection_gauge::{Counted, Tally},
        labels::{CLIENT_GONE, method_label},
        trace_context::{TRACEPARENT, TRACESTATE},
    },
    state::{recorder::Kind, worker::Worker},
    upstream::response_body::ResponseBody,
};
use http::{HeaderMap, HeaderValue, Response, request::Parts};
use protocol::Side;
use std::{cell::Cell, rc::Rc, time::Instant};

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

/// A request that is being answered. Dropped before [`Observed::end`], its client has gone,
/// or a stop has cut it off.
pub(crate) struct Observed<'a> {
    _running: CountedRequest<'a>,
    worker: &'a Worker,
    begun: Instant,
    method: &'static str,
    place: Cell<Place>,
    /// Where it was sent last, if anywhere.
    side: Cell<Option<Side>>,
    record: Option<Box<RequestRecord>>,
    is_answered: bool,
}

impl<'a> Observed<'a> {
    /// A request has come.
    pub(crate) fn begin(
        worker: &'a Rc<Worker>,
        peer: &'a Peer,
        parts: &Parts,
        correlation: &HeaderValue,
        begun: Instant,
    ) -> Self {
        let this = &worker.observer;
        let record = if this.sink.is_none() && this.tracing.is_none() {
            None
        } else {
            let record = RequestRecord::begin(worker, peer, parts, correlation, begun);
            Some(Box::new(record))
        };
        Self {
            _running: CountedRequest::new(&this.tally, peer),
            worker,
            begun,
            method: method_label(&parts.method),
            place: Cell::new(Place::Elsewhere),
            side: Cell::new(None),
            record,
            is_answered: false,
        }
    }

    /// It belongs here.
    pub(crate) fn at(&self, place: Place) {
        self.place.set(place);
    }

    /// It is sent there, from now on.
    pub(crate) fn goes_to(&self, side: Side) {
        self.side.set(Some(side));
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

    /// It was answered. What this returns is told when the answer has ended.
    pub(crate) fn end(
        mut self,
        side: Option<Side>,
        response: &Response<ResponseBody>,
    ) -> Option<Box<RequestRecord>> {
        self.is_answered = true;
        let mut record = self.record.take()?;
        record.answered(self.place.get(), side, response);
        Some(record)
    }
}

impl Drop for Observed<'_> {
    fn drop(&mut self) {
        if self.is_answered {
            return;
        }
        let (place, side) = (self.place.get(), self.side.get());
        if let Some(record) = &mut self.record {
            record.given_up(place, side);
        }
        // What a stop cuts off says nothing of clients.
        if !self.worker.connections.are_cut() {
            let kind = Kind {
                place,
                method: self.method,
                code: CLIENT_GONE,
                side,
            };
            self.worker.recorder.record(kind, self.begun.elapsed());
        }
    }
}
