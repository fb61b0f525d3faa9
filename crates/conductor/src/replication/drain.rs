//! The hold: gateways hold what comes, and the writes in flight end.

use super::{budget::Budget, context::Context, effect_result::EffectResult};
use crate::ports::{Gateways, InFlight, WorkError};
use futures_util::{
    StreamExt,
    future::{BoxFuture, join_all},
    stream::FuturesUnordered,
};
use plan::ExtractionName;
use protocol::{GatewayId, HandoverId, handover::Input};
use std::{collections::BTreeSet, convert::Infallible, sync::Arc, time::Duration};
use tokio::time::timeout;

/// Ends with the first of the missing gateways that holds and has drained; then the
/// state misses one fewer, and the rest is asked again. Fails where none has in the
/// time of `switch.drain`, and says what has kept it. With `watches` it is asked at the
/// beginning what is in flight.
pub(super) fn begin(
    context: &Context,
    id: &HandoverId,
    missing: BTreeSet<GatewayId>,
    budget: Budget,
    watches: bool,
) -> BoxFuture<'static, Result<EffectResult, WorkError>> {
    let gateways = Arc::clone(context.publisher.gateways());
    let name = context.extraction.name.clone();
    let epoch = context.publisher.epoch(&name, id.epoch);
    Box::pin(async move {
        let mut seen = Vec::new();
        let asking = async {
            if watches {
                seen = in_flight(&*gateways, &missing, &name, budget.naming()).await;
            }
            std::future::pending::<Infallible>().await
        };
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
            tokio::select! {
                drained = timeout(budget.drain_left(), waiting.next()) => drained,
                never = asking => match never {},
            }
        };
        match drained {
            Ok(Some(gateway)) => Ok(EffectResult {
                input: Input::Held(gateway),
                waited_for: counted(&seen)
                    .map(|(count, longest)| format!("{count} writes in flight, {longest}"))
                    .into_iter()
                    .collect(),
            }),
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

/// How many were in flight, and the longest of them in words.
fn counted(found: &[InFlight]) -> Option<(usize, String)> {
    let count = found.iter().map(|one| one.count).sum();
    let InFlight { longest, route, .. } = found.iter().max_by_key(|one| one.longest)?;
    let route = route
        .iter()
        .map(|route| format!(", by the route `{route}`"));
    let route: String = route.collect();
    let longest = format!("the longest for {:.1} s{route}", longest.as_secs_f64());
    Some((count, longest))
}

fn undrained(found: &[InFlight], budget: Budget) -> String {
    let which = match counted(found) {
        None => "a gateway has not said that it holds".to_owned(),
        Some((count, longest)) => format!("{count} are not answered yet, {longest}"),
    };
    format!(
        "the writes in flight did not end in the time of {}: {which}. See to what is slow there, \
         or raise it",
        budget.drain_text()
    )
}
