//! Gathers the evidence that nobody uses the old side of an extraction that was finished:
//! from then on nothing of Banyan's own reads or writes the old tables.
//!
//! What was seen is kept with each sample, so that a restart goes on from it.

use crate::{
    journal::{Journal, JournalError, ReportKind, now_ms},
    ports::{Gateways, OldSide, SideCounts},
    status::{QuietStatus, RetireStatus},
    worker::Worker,
};
use plan::{ExtractionName, Retire};
use protocol::{
    retire::{Evidence, Quiet},
    rollout::UnixMillis,
};
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How often it is looked. What comes between the last look and a kill is of the routes
/// alone lost.
const LOOK: Duration = Duration::from_secs(5);

/// How long a look may take.
const LOOK_MAX: Duration = Duration::from_secs(30);

const NOT_COUNTED: &str = "the gateway does not count who comes to its routes: give it `retire: { \
                           quiet: 14d }` in the plan, and `banyan serve --take-over`";

/// The phase of an extraction that the service keeps for good.
const FINISHED: &str = "finished";

/// The way to the evidence of one extraction. Cheap to clone; does not keep the journal.
#[derive(Clone)]
pub struct RetireHandle {
    wanted: Retire,
    state: watch::Receiver<State>,
}

#[derive(Debug, Clone, Default)]
struct State {
    evidence: Option<Evidence>,
    /// Why there is none, or no newer.
    trouble: Option<String>,
}

impl RetireHandle {
    /// What was seen, and what is still wanted.
    pub fn status(&self) -> RetireStatus {
        let state = self.state.borrow();
        let quiet = |of: fn(&Evidence) -> &Quiet| {
            let quiet = of(state.evidence.as_ref()?);
            Some(QuietStatus {
                since_ms: quiet.since.0,
                quiet_ms: quiet.quiet_ms,
                because: quiet.because.clone(),
                enough: quiet.is_for(self.wanted.quiet),
            })
        };
        let (tables, routes) = (
            quiet(|evidence| &evidence.tables),
            quiet(|evidence| &evidence.routes),
        );
        let is_enough = |quiet: &Option<QuietStatus>| quiet.as_ref().is_some_and(|one| one.enough);
        RetireStatus {
            enough: state.trouble.is_none() && is_enough(&tables) && is_enough(&routes),
            wanted_ms: i64::try_from(self.wanted.quiet.as_millis()).unwrap_or(i64::MAX),
            tables,
            routes,
            counts: state.evidence.as_ref().map(|one| one.last.clone()),
            trouble: state.trouble.clone(),
        }
    }
}

/// What gathering needs.
pub(crate) struct Context {
    pub(crate) name: ExtractionName,
    pub(crate) wanted: Retire,
    pub(crate) journal: Arc<Journal>,
    pub(crate) worker: Worker,
    pub(crate) gateways: Arc<dyn Gateways>,
    pub(crate) old_side: Arc<dyn OldSide>,
}

/// Makes a handle and the loop behind it, which the caller spawns.
pub(crate) async fn start(
    context: Context,
    stop: CancellationToken,
) -> Result<(RetireHandle, impl Future<Output = ()> + Send + use<>), JournalError> {
    let kept = context
        .journal
        .report(&context.name, ReportKind::Retire)
        .await?;
    let trouble = Some("it is not looked at before `banyan finish`".to_owned());
    let (sender, state) = watch::channel(State {
        evidence: kept,
        trouble,
    });
    let handle = RetireHandle {
        wanted: context.wanted,
        state,
    };
    let run = async move {
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = looks.tick() => {}
            }
            if context.worker.status().phase == FINISHED {
                look(&context, &sender).await;
            }
        }
    };
    Ok((handle, run))
}

async fn look(context: &Context, state: &watch::Sender<State>) {
    let name = &context.name;
    let asked = context.old_side.table_use(name);
    let sample = match tokio::time::timeout(LOOK_MAX, asked).await {
        Ok(Ok(sample)) => sample,
        // What it does meanwhile is in the next sample.
        Ok(Err(why)) => return trouble(state, why),
        Err(_) => return trouble(state, format!("no answer within {LOOK_MAX:?}")),
    };
    // Only now: what is taken is counted once.
    let counts = context.gateways.take_side_counts(name).await;
    let Some(requests) = counts.as_ref().map(at_the_monolith) else {
        // Nobody was counted, which is not nobody.
        return trouble(state, NOT_COUNTED.to_owned());
    };
    let before = state.borrow().evidence.clone();
    let now = UnixMillis(now_ms());
    let evidence = match before {
        Some(before) => before.sampled(now, sample, requests),
        None => Evidence::begun(now, sample),
    };
    let kept = context
        .journal
        .keep_report(name, ReportKind::Retire, &evidence)
        .await;
    let trouble = kept.err().map(|error| error.unwritten());
    state.send_replace(State {
        evidence: Some(evidence),
        trouble,
    });
}

fn trouble(state: &watch::Sender<State>, why: String) {
    state.send_modify(|state| state.trouble = Some(why));
}

fn at_the_monolith(counts: &SideCounts) -> u64 {
    let side = &counts.monolith;
    let cells = side.reads.iter().chain(&side.writes);
    cells.map(|cell| u64::from(cell.requests)).sum()
}
