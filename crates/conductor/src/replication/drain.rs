//! The hold: gateways hold what comes, and the writes in flight end.

use super::{budget::Budget, context::Context};
use crate::ports::{Gateways, InFlight, WorkError};
use futures_util::{
    StreamExt,
    future::{BoxFuture, join_all},
    stream::FuturesUnordered,
};
use plan::ExtractionName;
use protocol::{GatewayId, HandoverId, handover::Input};
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio::time::timeout;

/// Ends with the first of the missing gateways that holds and has drained; then the
/// state misses one fewer, and the rest is asked again. Fails where none has in the
/// time of `switch.drain`, and says what has kept it.
pub(super) fn begin(
    context: &Context,
    id: &HandoverId,
    missing: BTreeSet<GatewayId>,
    budget: Budget,
) -> BoxFuture<'static, Result<Input, WorkError>> {
    let gateways = Arc::clone(context.publisher.gateways());
    let name = context.extraction.name.clone();
    let epoch = context.publisher.epoch(&name, id.epoch);
    Box::pin(async move {
        let drained = {
            let mut waiting: FuturesUnordered<_> = missing
                .iter()
                .map(|gateway| {
                    let (gateways, name) = (&gateways, &name);
                    async move {
                        gateways.held(*gateway, name, epoch).await;
                        *gateway
                    }
                })
                .collect();
            timeout(budget.drain_left(), waiting.next()).await
        };
        match drained {
            Ok(Some(gateway)) => Ok(Input::Held(gateway)),
            Ok(None) => Err(WorkError::Permanent("no gateway is alive".to_owned())),
            Err(_) => {
                let found = in_flight(&*gateways, &missing, &name, budget.naming()).await;
                Err(WorkError::Permanent(undrained(&found, budget)))
            }
        }
    })
}

/// What keeps each of those that answer.
async fn in_flight(
    gateways: &dyn Gateways,
    missing: &BTreeSet<GatewayId>,
    name: &ExtractionName,
    limit: Duration,
) -> Vec<InFlight> {
    let asking = missing
        .iter()
        .map(|gateway| timeout(limit, gateways.in_flight(*gateway, name)));
    let answers = join_all(asking).await.into_iter();
    answers.filter_map(|answer| answer.ok().flatten()).collect()
}

fn undrained(found: &[InFlight], budget: Budget) -> String {
    let count: usize = found.iter().map(|one| one.count).sum();
    let longest = found.iter().max_by_key(|one| one.longest);
    let which = match longest {
        None => "a gateway has not said that it holds".to_owned(),
        Some(InFlight { longest, route, .. }) => {
            let route = route
                .iter()
                .map(|route| format!(", by the route `{route}`"));
            let route: String = route.collect();
            format!(
                "{count} are not answered yet, the longest for {:.1} s{route}",
                longest.as_secs_f64()
            )
        }
    };
    format!(
        "the writes in flight did not end in the time of {}: {which}. See to what is slow there, \
         or raise it",
        budget.drain_text()
    )
}
