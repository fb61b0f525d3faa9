//! Checklists of an extraction: who has answered what, and the loop that has the automatic
//! items checked, one after the other.
//!
//! A step that waits for an item has it checked by itself: at once where there is no
//! answer or an old one, and again later where it failed.

mod own_checks;
mod state;
mod view;

pub(crate) use view::unanswered;

use crate::{
    journal::{Journal, JournalError, now_ms},
    ports::ItemChecks,
    request::STOPPING,
    retire::RetireHandle,
    status::ChecklistStatus,
    worker::Worker,
};
use own_checks::OwnChecks;
use plan::{AutomaticCheck, ChecklistItem, Checklists, ExtractionName};
use protocol::{
    checklist::{Answers, CheckResult, Event, ItemState},
    rollout::{Actor, Gate, UnixMillis},
};
use state::State;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

/// Orders that may wait.
const ORDERS_MAX: usize = 16;

/// How long a check may take, and a backup.
const CHECK_MAX: Duration = Duration::from_mins(1);
const BACKUP_MAX: Duration = Duration::from_hours(6);

/// How long a step that waits leaves what was not passed alone, and a backup.
const CHECK_AGAIN: Duration = Duration::from_mins(1);
const BACKUP_AGAIN: Duration = Duration::from_hours(1);

/// An answer like the last one is written down no sooner than after this.
const SAME_AGAIN_MS: i64 = 60 * 60 * 1000;

/// What is ordered.
enum ItemOrder {
    Attest {
        item: ChecklistItem,
        by: Actor,
        note: String,
        reply: oneshot::Sender<Result<(), String>>,
    },
    Check {
        items: Vec<ChecklistItem>,
        reply: oneshot::Sender<()>,
    },
    /// A step waits for these.
    Wanted(Vec<ChecklistItem>),
}

/// The way to one extraction's checklists. Cheap to clone; does not keep the journal.
#[derive(Clone)]
pub struct ChecklistHandle {
    lists: Arc<Checklists>,
    orders: mpsc::Sender<ItemOrder>,
    state: watch::Receiver<State>,
}

impl ChecklistHandle {
    /// How all lists stand.
    pub fn status(&self) -> Vec<ChecklistStatus> {
        let state = self.state.borrow();
        let lists = self.lists.lists.iter();
        let now = UnixMillis(now_ms());
        lists
            .map(|(name, items)| view::list(name, items, &state, now))
            .collect()
    }

    /// Writes down that a person attests an item, as the text says that was read. The error
    /// says why not.
    pub async fn attest(
        &self,
        item: &str,
        by: Actor,
        note: &str,
        text: Option<&str>,
    ) -> Result<(), String> {
        if note.trim().is_empty() {
            return Err("say in a note what it rests on (`--note TEXT`)".to_owned());
        }
        let item = self.item(item)?;
        // A form keeps no line's end as it was.
        let same = |text: &str| text.split_whitespace().eq(item.text.split_whitespace());
        if !text.is_none_or(same) {
            return Err(format!(
                "the plan has changed since: `{}` is by now \"{}\". Nothing was attested. Read it, \
                 and attest it again if that is so",
                item.name, item.text
            ));
        }
        let (reply, result) = oneshot::channel();
        self.order(ItemOrder::Attest {
            item,
            by,
            note: note.to_owned(),
            reply,
        })
        .await?;
        result.await.map_err(|_| gone())?
    }

    /// Has the automatic items of a list, or one item, checked, and waits for that.
    pub async fn check(&self, name: &str) -> Result<(), String> {
        let items = self.lists.items(&[name.to_owned()]);
        let items = items.map_err(|_| self.unknown(name))?;
        let items: Vec<_> = items.into_iter().cloned().collect();
        if items.iter().all(|item| item.check.is_none()) {
            return Err(format!(
                "nothing of `{name}` is checked by itself: `banyan attest` answers it"
            ));
        }
        let (reply, result) = oneshot::channel();
        self.order(ItemOrder::Check { items, reply }).await?;
        result.await.map_err(|_| gone())
    }

    /// The gate of a step that waits for lists or items; what is missing is checked.
    pub(crate) fn gate(&self, names: &[String]) -> Gate {
        let items = self.lists.items(names).unwrap_or_default();
        let now = UnixMillis(now_ms());
        let state = self.state.borrow();
        let missing: Vec<_> = items
            .iter()
            .filter(|item| state.answers.state(item, now) != ItemState::Done)
            .collect();
        let wanted: Vec<_> = missing.iter().map(|item| (**item).clone()).collect();
        if wanted.iter().any(|item| item.check.is_some()) {
            // Where the queue is full, the next turn asks again.
            let _ = self.orders.try_send(ItemOrder::Wanted(wanted));
        }
        view::gate(&items, &state, now)
    }

    fn item(&self, name: &str) -> Result<ChecklistItem, String> {
        let mut items = self.lists.lists.values().flatten();
        let found = items.find(|item| item.name == name);
        found.cloned().ok_or_else(|| self.unknown(name))
    }

    fn unknown(&self, name: &str) -> String {
        let lists: Vec<_> = self.lists.lists.keys().map(String::as_str).collect();
        format!(
            "there is no checklist and no item `{name}`; the lists are {}",
            lists.join(", ")
        )
    }

    async fn order(&self, order: ItemOrder) -> Result<(), String> {
        self.orders.send(order).await.map_err(|_| gone())
    }
}

fn gone() -> String {
    STOPPING.to_owned()
}

/// What an extraction's checklists need.
pub(crate) struct Context {
    pub(crate) name: ExtractionName,
    pub(crate) lists: Arc<Checklists>,
    pub(crate) journal: Arc<Journal>,
    /// Of all extractions.
    pub(crate) workers: BTreeMap<ExtractionName, Worker>,
    pub(crate) checks: Arc<dyn ItemChecks>,
    /// Whether the old side is used.
    pub(crate) retirement: Option<RetireHandle>,
}

/// Makes a handle and the loop behind it, which the caller spawns.
pub(crate) async fn start(
    context: Context,
    stop: CancellationToken,
) -> Result<(ChecklistHandle, impl Future<Output = ()> + Send + use<>), JournalError> {
    let history = context.journal.read(&context.name).await?.checklist;
    let answers = history.iter().fold(Answers::default(), Answers::evolve);
    let (orders, receiver) = mpsc::channel(ORDERS_MAX);
    let (sender, state) = watch::channel(State {
        answers,
        checking: None,
    });
    let handle = ChecklistHandle {
        lists: Arc::clone(&context.lists),
        orders,
        state,
    };
    let running = Running {
        context,
        state: sender,
        due: VecDeque::new(),
        under_way: JoinSet::new(),
        tried: BTreeMap::new(),
        waiting: Vec::new(),
    };
    Ok((handle, running.run(receiver, stop)))
}

/// Somebody who waits until these were checked.
struct WaitingCaller {
    items: BTreeSet<String>,
    reply: oneshot::Sender<()>,
}

struct Running {
    context: Context,
    state: watch::Sender<State>,
    /// Each item once.
    due: VecDeque<ChecklistItem>,
    /// One at most. Ends with us, and with it what it has started.
    under_way: JoinSet<(String, CheckResult, String)>,
    /// When an item's check ended last.
    tried: BTreeMap<String, Instant>,
    waiting: Vec<WaitingCaller>,
}

impl Running {
    async fn run(mut self, mut orders: mpsc::Receiver<ItemOrder>, stop: CancellationToken) {
        loop {
            self.begin_next();
            tokio::select! {
                () = stop.cancelled() => return,
                Some(order) = orders.recv() => self.carry_out(order).await,
                Some(ended) = self.under_way.join_next() => match ended {
                    Ok((item, result, text)) => self.checked(item, result, text).await,
                    Err(error) => {
                        tracing::error!(extraction = %self.context.name, %error, "check ended");
                        let item = self.state.borrow().checking.clone().unwrap_or_default();
                        self.checked(item, CheckResult::Failed, error.to_string()).await;
                    }
                }
            }
        }
    }

    async fn carry_out(&mut self, order: ItemOrder) {
        match order {
            ItemOrder::Attest {
                item,
                by,
                note,
                reply,
            } => {
                let refused = self.state.borrow().answers.refuses_attestation(&item);
                let result = if let Some(why) = refused {
                    Err(why)
                } else {
                    let at = UnixMillis(now_ms());
                    let item = item.name;
                    let recorded = self.record(Event::Attested { item, by, note, at }).await;
                    recorded.map_err(|error| error.unwritten())
                };
                let _ = reply.send(result);
            }
            ItemOrder::Check { items, reply } => {
                let items: Vec<_> = items
                    .into_iter()
                    .filter(|one| one.check.is_some())
                    .collect();
                let names = items.iter().map(|item| item.name.clone()).collect();
                self.waiting.push(WaitingCaller {
                    items: names,
                    reply,
                });
                for item in items {
                    self.enqueue(item);
                }
            }
            ItemOrder::Wanted(items) => {
                for item in items {
                    if self.is_due(&item) {
                        self.enqueue(item);
                    }
                }
            }
        }
    }

    /// Whether a step that waits for an item has it checked now.
    fn is_due(&self, item: &ChecklistItem) -> bool {
        let Some(check) = item.check else {
            return false;
        };
        let pause = match check {
            AutomaticCheck::Backup => BACKUP_AGAIN,
            _ => CHECK_AGAIN,
        };
        let tried = self.tried.get(&item.name);
        tried.is_none_or(|at| at.elapsed() >= pause)
    }

    fn enqueue(&mut self, item: ChecklistItem) {
        let checking = self.state.borrow().checking.clone();
        let is_there = checking.as_ref() == Some(&item.name)
            || self.due.iter().any(|one| one.name == item.name);
        if !is_there {
            self.due.push_back(item);
        }
    }

    fn begin_next(&mut self) {
        if !self.under_way.is_empty() {
            return;
        }
        let next = self.due.pop_front();
        let name = next.as_ref().map(|item| item.name.clone());
        self.state.send_if_modified(|state| {
            let has_changed = state.checking != name;
            state.checking = name;
            has_changed
        });
        let Some((item, check)) = next.and_then(|item| Some((item.name, item.check?))) else {
            return;
        };
        let own = OwnChecks {
            name: self.context.name.clone(),
            journal: Arc::clone(&self.context.journal),
            workers: self.context.workers.clone(),
            retirement: self.context.retirement.clone(),
        };
        let outside = Arc::clone(&self.context.checks);
        self.under_way.spawn(async move {
            let limit = match check {
                AutomaticCheck::Backup => BACKUP_MAX,
                _ => CHECK_MAX,
            };
            let name = own.name.clone();
            let made = async {
                match own.check(check).await {
                    Some(answer) => answer,
                    None => outside.check(&name, check).await,
                }
            };
            let (result, text) = timeout(limit, made).await.unwrap_or_else(|_| {
                let text = format!("it did not end within {} s", limit.as_secs());
                (CheckResult::Failed, text)
            });
            (item, result, text)
        });
    }

    async fn checked(&mut self, item: String, result: CheckResult, text: String) {
        self.tried.insert(item.clone(), Instant::now());
        let at = UnixMillis(now_ms());
        let is_news = {
            let state = self.state.borrow();
            let last = state.answers.of(&item).and_then(|one| one.checked.as_ref());
            last.is_none_or(|last| {
                result == CheckResult::Passed
                    || (last.result, &last.text) != (result, &text)
                    || at.0.saturating_sub(last.at.0) >= SAME_AGAIN_MS
            })
        };
        let name = item.clone();
        let event = Event::Checked {
            item,
            result,
            text,
            at,
        };
        if is_news && let Err(error) = self.record(event).await {
            tracing::error!(extraction = %self.context.name, %error, "answer not recorded");
        }
        let waiting = std::mem::take(&mut self.waiting);
        for mut caller in waiting {
            caller.items.remove(&name);
            if caller.items.is_empty() {
                let _ = caller.reply.send(());
            } else {
                self.waiting.push(caller);
            }
        }
    }

    async fn record(&self, event: Event) -> Result<(), JournalError> {
        let events = [event];
        self.context
            .journal
            .append(&self.context.name, &events)
            .await?;
        tracing::info!(extraction = %self.context.name, event = ?events[0], "recorded");
        self.state.send_modify(|state| {
            state.answers = std::mem::take(&mut state.answers).evolve(&events[0]);
        });
        Ok(())
    }
}
