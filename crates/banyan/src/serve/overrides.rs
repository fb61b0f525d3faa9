//! `CANARY_PERCENTAGE` and `ROUTE_TO_MONOLITH`: what the environment of
//! `banyan serve` wants of the extractions when it starts.
//!
//! Both only ask the conductor, as a person with the command line would; so
//! neither can send a write to a side that does not own it. Where both sides
//! share the data, the share is one of the writes, too. Each counts once
//! for each extraction: what people ask for afterwards holds.

mod attempts;
mod environment;

pub(crate) use environment::{Override, read};

use attempts::{PACE, shift, take_back};
use conductor::{Shift, Worker, ports::Gateways};
use environment::{MONOLITH, SHARE};
use plan::ExtractionName;
use std::{collections::BTreeMap, sync::Arc};
use tokio::task::JoinSet;

/// Has it done for all extractions; ends with the set that it returns. To be
/// called before the workers have looked at their databases: they answer then
/// what was asked before they route by what they found.
fn apply(
    wanted: Override,
    workers: &BTreeMap<ExtractionName, Worker>,
    gateways: &Arc<dyn Gateways>,
) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for (name, worker) in workers {
        let (name, worker) = (name.clone(), worker.clone());
        let gateways = Arc::clone(gateways);
        tasks.spawn(async move {
            let done = match wanted {
                Override::Share(share) => {
                    let reads_and_writes = Shift::Both {
                        reads: share,
                        writes: share,
                    };
                    let shares = if worker.splits_writes() {
                        reads_and_writes
                    } else {
                        Shift::Reads(share)
                    };
                    shift(&worker, shares, PACE).await
                }
                Override::Monolith => {
                    let predecessors = || gateways.predecessors();
                    take_back(&worker, predecessors, PACE).await
                }
            };
            match done {
                Ok(Some(status)) => {
                    let (owner, reads) = (status.owner, status.reads_percent);
                    let writes = status.writes_percent;
                    tracing::info!(extraction = %name, owner, reads, writes,
                        "set as the environment wants");
                }
                Ok(None) => {
                    tracing::info!(extraction = %name, "nothing of it goes to the service");
                }
                Err(error) => {
                    let variable = match wanted {
                        Override::Share(_) => SHARE,
                        Override::Monolith => MONOLITH,
                    };
                    tracing::error!(extraction = %name, variable, %error,
                        "not set as the environment wants; see `banyan status`");
                }
            }
        });
    }
    tasks
}

/// The same for another conductor of this process: what is done stays done, the
/// rest is asked anew.
pub(crate) fn renewed(
    before: Option<JoinSet<()>>,
    wanted: Option<Override>,
    workers: &BTreeMap<ExtractionName, Worker>,
    gateways: &Arc<dyn Gateways>,
) -> Option<JoinSet<()>> {
    let mut before = before;
    if let Some(tasks) = &mut before {
        while tasks.try_join_next().is_some() {}
        if tasks.is_empty() {
            return before;
        }
    }
    wanted.map(|wanted| apply(wanted, workers, gateways))
}
