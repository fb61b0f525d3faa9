//! Steps that wait for items of a checklist.

use crate::{
    rollout::{Service, ada, mover, until},
    support::*,
};
use async_trait::async_trait;
use conductor::{
    ChecklistHandle, Conductor, Request, RolloutHandle, ShiftGuard,
    ports::{Gauges, ItemChecks},
    status::{ItemStatus, RolloutStatus},
};
use plan::{AutomaticCheck, ExtractionName};
use protocol::checklist::CheckResult::{self, Failed, Passed, Skipped};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

/// Answers as it is told to, and counts how often it is asked.
#[derive(Default)]
pub struct Scripts(Mutex<BTreeMap<AutomaticCheck, (CheckResult, u32)>>);

impl Scripts {
    pub fn say(&self, check: AutomaticCheck, result: CheckResult) {
        self.0.lock().unwrap().entry(check).or_insert((result, 0)).0 = result;
    }

    fn count(&self, check: AutomaticCheck) -> u32 {
        self.0.lock().unwrap().get(&check).map_or(0, |one| one.1)
    }
}

#[async_trait]
impl ItemChecks for Scripts {
    async fn check(&self, _: &ExtractionName, check: AutomaticCheck) -> (CheckResult, String) {
        let mut scripts = self.0.lock().unwrap();
        let (result, count) = scripts.entry(check).or_insert((Skipped, 0));
        *count += 1;
        (*result, "as told".to_owned())
    }
}

const STEPS: &str = "steps: [{ reads: 50%, checklist: [go-live, databases] }]";

fn process() -> Process {
    let plan = PLAN.replace("x-user-id }", &format!("x-user-id }}, {STEPS}"));
    Process::planned(&format!(
        "checklists: {{ lists: {{ go-live: [backup, ticket] }} }}\n{plan}"
    ))
}

pub async fn begun(
    process: &Process,
    conductor: &mut Conductor,
    scripts: &Arc<Scripts>,
) -> (ChecklistHandle, RolloutHandle) {
    let checks: Arc<dyn ItemChecks> = scripts.clone();
    let answered = conductor.answer_checklists(&process.plan, &checks).await;
    let lists = answered.unwrap().remove(&name()).unwrap();
    let guard: Arc<dyn ShiftGuard> = Arc::new(Service::default());
    let gauges: Arc<dyn Gauges> = process.gauges.clone();
    let (plan, digest) = (&process.plan, "digest".into());
    let rollouts = conductor.roll_out(plan, &digest, &process.publisher, &guard, &gauges);
    (lists, rollouts.await.unwrap().remove(&name()).unwrap())
}

fn item(lists: &ChecklistHandle, name: &str) -> ItemStatus {
    let lists = lists.status();
    let mut items = lists.into_iter().flat_map(|list| list.items);
    items.find(|item| item.name == name).unwrap()
}

fn waits(status: &RolloutStatus, what: &str) -> bool {
    status.waits_for.iter().any(|one| one.contains(what))
}

#[tokio::test]
async fn a_step_waits_until_its_items_are_done_and_a_restart_knows_them() {
    let process = process();
    let mover = mover();
    let scripts = Arc::new(Scripts::default());
    scripts.say(AutomaticCheck::Databases, Passed);
    scripts.say(AutomaticCheck::Backup, Failed);
    let mut conductor = process.conductor(&mover).await;
    let (lists, rollout) = begun(&process, &mut conductor, &scripts).await;
    let worker = conductor.workers()[&name()].clone();
    worker.request(Request::Start).await.unwrap();
    // What can be checked is checked by itself, once.
    let open = "backup (failed), ticket (open). ";
    until(&rollout, "waiting", |status| waits(status, open)).await;
    assert_eq!(item(&lists, "databases").state, "done");
    assert_eq!(worker.status().reads_percent.to_string(), "0");
    let refused = lists.attest("backup", ada(), "it was fine", None).await;
    assert!(refused.unwrap_err().contains("that failed: as told"));
    let refused = lists.attest("ticket", ada(), " ", None).await;
    assert!(refused.unwrap_err().contains("--note"));
    assert!(lists.attest("tickets", ada(), "x", None).await.is_err());
    // What somebody attests is what they have read.
    let refused = lists.attest("ticket", ada(), "CHG-7", Some("another text"));
    assert!(refused.await.unwrap_err().contains("has changed since"));
    let read = lists.status().into_iter().flat_map(|list| list.items);
    let read = read.into_iter().find(|item| item.name == "ticket").unwrap();
    let attested = lists.attest("ticket", ada(), "CHG-7", Some(&read.text));
    attested.await.unwrap();
    assert_eq!(scripts.count(AutomaticCheck::Backup), 1);
    scripts.say(AutomaticCheck::Backup, Skipped);
    lists.check("backup").await.unwrap();
    until(&rollout, "skipped", |status| {
        waits(status, "backup (skipped)")
    })
    .await;
    conductor.stop().await;

    mover.keeps_its_rows();
    let mut conductor = process.conductor(&mover).await;
    let (lists, rollout) = begun(&process, &mut conductor, &scripts).await;
    let worker = conductor.workers()[&name()].clone();
    let ticket = item(&lists, "ticket");
    assert_eq!(
        (ticket.state.as_str(), ticket.by.as_deref()),
        ("done", Some("ada"))
    );
    until(&rollout, "waiting", |status| {
        waits(status, "not done: backup (skipped). ")
    })
    .await;
    lists
        .attest("backup", ada(), "restored by hand", None)
        .await
        .unwrap();
    until(&rollout, "shifted", |_| {
        worker.status().reads_percent > 49.0
    })
    .await;
    assert!(
        lists
            .status()
            .iter()
            .any(|list| list.name == "go-live" && list.done)
    );
    conductor.stop().await;
}
