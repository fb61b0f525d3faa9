//! Gathers the evidence that nobody uses the old side of an extraction that was finished:
//! from then on nothing of Banyan's own reads or writes the old tables.
//!
//! What was seen is kept with each sample, so that a restart goes on from it.

use crate::{
    brown_out::BrownOutHandle,
    journal::{Journal, JournalError, ReportKind, now_ms},
    ports::{Gateways, OldSide, SideCounts},
    status::{ExtractionStatus, QuietStatus, RetireStatus},
    worker::Worker,
};
use plan::{ExtractionName, Retire};
use protocol::{
    retire::{Evidence, OldCaller, Quiet, add_callers},
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

const NOT_FINISHED: &str = "it is not looked at before `banyan finish`, which ends the way back";

/// In place of that, until the first look.
const JUST_FINISHED: &str = "it was finished a moment ago, and the first look is to come";

/// The phase of an extraction that was not started, or was cancelled.
const PLANNED: &str = "planned";

/// The phase of an extraction that the service keeps for good.
const FINISHED: &str = "finished";

/// The way to the evidence of one extraction. Cheap to clone; does not keep the journal.
#[derive(Clone)]
pub struct RetireHandle {
    wanted: Retire,
    worker: Worker,
    state: watch::Receiver<State>,
    brown_out: BrownOutHandle,
}

#[derive(Debug, Clone, Default)]
struct State {
    evidence: Option<Evidence>,
    /// Who came by the old ways.
    callers: Vec<OldCaller>,
    /// How many of them no sample has counted yet.
    uncounted: u64,
    /// Why there is none, or no newer.
    trouble: Option<String>,
}

impl RetireHandle {
    /// What refuses the old ways for a while.
    pub(crate) fn brown_out(&self) -> &BrownOutHandle {
        &self.brown_out
    }

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
            callers: state.callers.clone(),
            trouble: state.trouble.as_ref().map(|why| {
                let is_late = why == NOT_FINISHED && self.worker.status().phase == FINISHED;
                if is_late { JUST_FINISHED } else { why }.to_owned()
            }),
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
    pub(crate) brown_out: BrownOutHandle,
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
    let callers = context
        .journal
        .report(&context.name, ReportKind::OldCallers)
        .await?;
    let trouble = Some(NOT_FINISHED.to_owned());
    let (sender, state) = watch::channel(State {
        evidence: kept,
        callers: callers.unwrap_or_default(),
        uncounted: 0,
        trouble,
    });
    let handle = RetireHandle {
        wanted: context.wanted,
        worker: context.worker.clone(),
        state,
        brown_out: context.brown_out.clone(),
    };
    let run = async move {
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut life = None;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = looks.tick() => {}
            }
            if is_another_life(&mut life, &context.worker.status()) {
                sender.send_modify(|state| {
                    state.callers.clear();
                    state.uncounted = 0;
                });
            }
            // Before `finish` they are shown only: then they prove nothing.
            let called = take_callers(&context, &sender).await;
            if context.worker.status().phase == FINISHED {
                look(&context, &sender, called).await;
            }
        }
    };
    Ok((handle, run))
}

/// Whether a cancel has ended the life that was last seen: nobody has come for the old side
/// of the next one. The journal has forgotten those callers with it.
fn is_another_life(known: &mut Option<String>, now: &ExtractionStatus) -> bool {
    let differs = now.instance.is_some() && known.is_some() && *known != now.instance;
    if now.instance.is_some() {
        known.clone_from(&now.instance);
    }
    differs || now.phase == PLANNED
}

/// Adds up who came by the old ways since the last look; how many they were.
async fn take_callers(context: &Context, state: &watch::Sender<State>) -> u64 {
    let name = &context.name;
    let taken = context.gateways.take_old_callers(name);
    if taken.is_empty() {
        return 0;
    }
    let count = taken.iter().map(|one| one.requests).sum();
    state.send_modify(|state| add_callers(&mut state.callers, taken));
    let callers = state.borrow().callers.clone();
    let kept = context
        .journal
        .keep_report(name, ReportKind::OldCallers, &callers);
    if let Err(error) = kept.await {
        tracing::warn!(extraction = %name, %error, "callers of the old side not kept");
    }
    count
}

/// `called`: how many came by the old ways since the last look.
async fn look(context: &Context, state: &watch::Sender<State>, called: u64) {
    let name = &context.name;
    // Whatever becomes of this look, they have used it.
    state.send_modify(|state| {
        state.uncounted = state.uncounted.saturating_add(called);
    });
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
    // A request that its client sent to the old side is in both.
    let requests = requests.max(state.borrow().uncounted);
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
    state.send_modify(|state| {
        state.evidence = Some(evidence);
        state.uncounted = 0;
        state.trouble = trouble;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_are_of_one_life() {
        let at = |phase: &str, instance: Option<&str>| ExtractionStatus {
            phase: phase.to_owned(),
            instance: instance.map(str::to_owned),
            ..ExtractionStatus::default()
        };
        let mut known = None;
        for (phase, instance, wanted) in [
            ("", None, false),
            ("switched", Some("one"), false),
            // Its databases do not answer.
            ("unknown", None, false),
            ("finished", Some("one"), false),
            ("copying", Some("two"), true),
            ("following", Some("two"), false),
            ("planned", None, true),
            ("preparing", Some("three"), true),
        ] {
            let found = is_another_life(&mut known, &at(phase, instance));
            assert_eq!(found, wanted, "{phase} {instance:?}");
        }
    }
}
