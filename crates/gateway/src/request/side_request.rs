//! A request at a side, as it is counted for comparing both sides.
//!
//! It counts once, at the side that it was sent to first. What that side failed and the
//! owner answered is the side's failure; the owner's answer is left out, or requests that
//! are hard would count for the owner beside those that the split gives it. Left out, too:
//! what was held before it was sent, as time; copies; requests of several places at once,
//! which the split does not tell apart; and upgrades, which it does not send.
//!
//! An answer counts with its head, so that one which lasts for hours is not missed. Should
//! it break off later, or a gRPC call end in its trailers with a failure of the service's,
//! it counts once more, as failed: a side that breaks one of a hundred off has failed one of
//! 101, and one that breaks all off has failed half.

use super::caller::Client;
use crate::{
    base::index::RouteIndex,
    state::{
        side_counts::{CellIndex, SideCounter},
        worker::Worker,
    },
    upstream::{failure::Failure, grpc_status, response_body::ResponseBody},
};
use http::Response;
use plan::MethodKind;
use protocol::Side;
use std::{
    rc::Rc,
    time::{Duration, Instant},
};

/// A client that goes after this has given the side up: that is the side's failure, or one
/// that hangs until its clients go would have none. One that goes earlier says nothing.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(1);

/// A request that was sent to a side. Dropped before [`SideRequest::ended`], its client has
/// gone.
pub(crate) struct SideRequest(Option<Counted>);

/// One that is counted.
struct Counted {
    counter: Rc<SideCounter>,
    side: Side,
    kind: MethodKind,
    cell: CellIndex,
    sent: Instant,
}

impl SideRequest {
    /// One that is not counted.
    pub(crate) const UNCOUNTED: Self = Self(None);

    /// A request is sent now, of this client.
    pub(crate) fn sent(
        worker: &Worker,
        route: RouteIndex,
        (side, kind): (Side, MethodKind),
        client: Client<'_>,
    ) -> Self {
        let Some(counter) = worker.side_counter(route.extraction) else {
            return Self::UNCOUNTED;
        };
        let config = &worker.config;
        let pattern = &config.table.entry(route.extraction).routes[route.route].path;
        let source = &config.features.get(route.extraction).key;
        let key = source.find(client.key_input(), Some(pattern));
        let any = || CellIndex::any(worker.upstreams.random.next());
        Self(Some(Counted {
            counter: Rc::clone(counter),
            side,
            kind,
            cell: key.map_or_else(any, CellIndex::of),
            sent: Instant::now(),
        }))
    }

    /// The side has answered, or it will not.
    pub(crate) fn ended(mut self, answer: Result<&mut Response<ResponseBody>, Failure>) {
        let Some(counted) = self.0.take() else { return };
        match answer {
            Ok(answer) => {
                let failed =
                    answer.status().is_server_error() || grpc_status::is_failure(answer.headers());
                counted.count(failed, Some(counted.sent.elapsed()));
                if !failed {
                    let late = move || counted.count(true, None);
                    answer.body_mut().on_failure(Box::new(late));
                }
            }
            // The client's doing.
            Err(failure) if !failure.refusal().is_the_upstreams() => {}
            Err(Failure::NotSent(_)) => counted.count(true, None),
            Err(Failure::Sent(_)) => counted.count(true, Some(counted.sent.elapsed())),
        }
    }
}

impl Counted {
    fn count(&self, has_failed: bool, time: Option<Duration>) {
        let at = (self.side, self.kind, self.cell);
        self.counter.count(at, has_failed, time);
    }
}

impl Drop for SideRequest {
    fn drop(&mut self) {
        if let Some(counted) = &self.0 {
            let waited = counted.sent.elapsed();
            if waited > GIVEN_UP_AFTER {
                counted.count(true, Some(waited));
            }
        }
    }
}
