//! The evidence that nobody uses the old side.

use crate::{rollout::counts, support::*};
use async_trait::async_trait;
use conductor::{
    Request, RetireHandle,
    ports::{OldSide, SideCounts},
    status::RetireStatus,
};
use plan::ExtractionName;
use protocol::{
    retire::{OldCaller, TableUse},
    rollout::UnixMillis,
};
use std::{collections::BTreeMap, sync::Arc};

struct Untouched;

#[async_trait]
impl OldSide for Untouched {
    async fn table_use(&self, _: &ExtractionName) -> Result<TableUse, String> {
        Ok(TableUse {
            statistics: "these".to_owned(),
            at: UnixMillis(1),
            tables: BTreeMap::new(),
        })
    }
}

async fn until(handle: &RetireHandle, what: &str, is: impl Fn(&RetireStatus) -> bool) {
    shows(LIMIT, what, || handle.status(), is).await;
}

/// Nobody was counted, which is not nobody.
#[tokio::test]
async fn routes_that_are_not_counted_are_not_unused() {
    let process = Process::new();
    let mover = Scripted::new(Ok(NOTHING_YET), Ok(()));
    let mut conductor = process.conductor(&mover).await;
    let worker = switched(&conductor).await;
    worker.request(Request::Finish).await.unwrap();
    let old_side: Arc<dyn OldSide> = Arc::new(Untouched);
    let watched = conductor.watch_old_sides(&process.plan, &process.publisher, &old_side);
    let handle = watched.await.unwrap().remove(&name()).unwrap();
    let counts_nobody = |status: &RetireStatus| {
        let why = status.trouble.as_deref().unwrap_or_default();
        why.contains("does not count")
    };
    until(&handle, "told", counts_nobody).await;
    let status = handle.status();
    assert!(!status.enough && status.routes.is_none(), "{status:?}");
    *process.told.counts.lock().unwrap() = Some(SideCounts::default());
    until(&handle, "seen", |status| status.routes.is_some()).await;
    // Somebody came by an old way, and was refused: that is use as well.
    let job = OldCaller {
        route: "GET /v0".to_owned(),
        agent: "job".to_owned(),
        requests: 3,
        refused: 3,
    };
    process.told.callers.lock().unwrap().push(job.clone());
    let was_called = |status: &RetireStatus| {
        let routes = status.routes.as_ref();
        status.callers == [job.clone()]
            && routes.is_some_and(|one| one.because.starts_with("3 requests"))
    };
    until(&handle, "called", was_called).await;
    // The monolith has answered: the time begins anew.
    *process.told.counts.lock().unwrap() = Some(counts(0));
    let was_used = |status: &RetireStatus| {
        let routes = status.routes.as_ref();
        routes.is_some_and(|one| one.because.contains("requests"))
    };
    until(&handle, "used", was_used).await;
    conductor.stop().await;
}
