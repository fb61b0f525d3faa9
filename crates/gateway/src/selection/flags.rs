//! Feature flags: they choose a side for the reads of single users, and for the
//! writes where both sides share the data.
//!
//! The user is what clients of the extraction are known by. What is said of
//! the user comes before what is said of everybody, and what Redis says before
//! what the plan says. A flag chooses like a tester ([`super::force`]): it moves
//! no write to a side that does not own, and no read to a side that has not seen its client's writes, or
//! not even all that was there when this gateway started.
//!
//! Requests look into a copy in memory. It is read from Redis in the
//! background ([`store`]); while that is away, what it last said stays.

mod settings;
mod store;

use crate::base::index::ExtractionIndex;
use plan::Plan;
use prometheus_client::registry::Registry;
use protocol::Side;
use serde::Serialize;
use settings::FlagSettings;
use std::{rc::Rc, sync::Arc};
use store::{FlagMetrics, Store};
use tokio::task::JoinSet;

/// What is said of a flag now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FlagReport {
    /// Its name.
    pub name: String,
    /// The extractions that go by it.
    pub extractions: Vec<String>,
    /// What the plan says.
    pub planned: FlagRule,
    /// What Redis said last, which comes before that; `None`: the plan names none.
    pub stored: Option<FlagRule>,
    /// When Redis was last seen to say something else than before, in milliseconds since
    /// 1970; `None`: not since this gateway reads it.
    pub stored_changed_ms: Option<i64>,
    /// Whether Redis is away, so that its last word stays.
    pub is_stale: bool,
}

/// What one source says of a flag. Users are not named.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct FlagRule {
    /// `monolith` or `service`; `None`: nothing is said.
    pub everybody: Option<&'static str>,
    /// Users with a word of their own that go to the monolith.
    pub users_to_monolith: usize,
    /// The same, to the service.
    pub users_to_service: usize,
}

impl FlagRule {
    fn of(said: &FlagSettings) -> Self {
        let to = |side: Side| said.users.values().filter(|to| **to == side).count();
        Self {
            everybody: said.everybody.map(Side::as_str),
            users_to_monolith: to(Side::Monolith),
            users_to_service: to(Side::Service),
        }
    }
}

/// The flags of a plan.
pub(crate) struct Flags {
    /// By place: its name, and who goes by it.
    names: Vec<(String, Vec<String>)>,
    /// By extraction: the place of its flag.
    places: Vec<Option<usize>>,
    /// By place: what the plan says.
    planned: Vec<FlagSettings>,
    store: Option<Arc<Store>>,
    metrics: FlagMetrics,
}

impl Flags {
    pub(crate) fn new(plan: &Plan) -> Self {
        Self::of(plan, None, FlagMetrics::default())
    }

    /// Those of a changed plan. What was read of a store that stays, stays.
    pub(crate) fn after(&self, plan: &Plan) -> Self {
        Self::of(plan, self.store.as_ref(), self.metrics.clone())
    }

    fn of(plan: &Plan, old: Option<&Arc<Store>>, metrics: FlagMetrics) -> Self {
        let flags = plan.extractions.values().map(|one| one.flag.as_deref());
        let mut names: Vec<&str> = flags.clone().flatten().collect();
        names.sort_unstable();
        names.dedup();
        let said = |name: &&str| plan.gateway.flags.set.get(*name).map(FlagSettings::of);
        let store = plan.gateway.flags.store.as_ref();
        Self {
            names: names.iter().map(|name| named(plan, name)).collect(),
            places: flags.map(|flag| names.binary_search(&flag?).ok()).collect(),
            planned: names
                .iter()
                .map(|name| said(name).unwrap_or_default())
                .collect(),
            store: store.map(|source| match old {
                Some(old) if old.is(source, &names) => Arc::clone(old),
                _ => Arc::new(Store::new(source.clone(), &names, metrics.clone())),
            }),
            metrics,
        }
    }

    /// The side that an extraction's flag chooses for a user, if
    /// it does.
    pub(crate) fn side(&self, extraction: ExtractionIndex, user: Option<&[u8]>) -> Option<Side> {
        let place = (*self.places.get(extraction.get())?)?;
        let planned = self.planned.get(place)?;
        let stored = self.store.as_ref().map(|store| store.said());
        let stored = stored.as_ref().and_then(|stored| stored.get(place));
        let of_user = |said: &FlagSettings| said.users.get(user?).copied();
        stored
            .and_then(of_user)
            .or_else(|| of_user(planned))
            .or_else(|| stored.and_then(|said| said.everybody))
            .or(planned.everybody)
    }

    /// What is said of each now.
    pub(crate) fn report(&self) -> Vec<FlagReport> {
        let stored = self.store.as_ref().map(|store| store.said());
        let rule = |at| {
            stored
                .as_ref()
                .and_then(|said| said.get(at))
                .map(FlagRule::of)
        };
        let report = |at: usize| {
            let (name, extractions) = self.names.get(at)?;
            Some(FlagReport {
                name: name.clone(),
                extractions: extractions.clone(),
                planned: FlagRule::of(self.planned.get(at)?),
                stored: rule(at),
                stored_changed_ms: self.store.as_ref().and_then(|store| store.changed_ms(at)),
                is_stale: self.metrics.is_stale(),
            })
        };
        (0..self.names.len()).filter_map(report).collect()
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        self.metrics.register(registry);
    }
}

/// A flag, and the extractions that go by it.
fn named(plan: &Plan, flag: &str) -> (String, Vec<String>) {
    let extractions = plan.extractions.values();
    let by_it = extractions.filter(|one| one.flag.as_deref() == Some(flag));
    let names = by_it.map(|one| one.name.to_string());
    (flag.to_owned(), names.collect())
}

/// Keeps the copy of the flags fresh for as long as it is there; one per
/// process.
#[derive(Default)]
pub(crate) struct Refresher(Option<(Arc<Store>, Rc<JoinSet<()>>)>);

impl Refresher {
    /// Keeps these from now on, where this worker is the one to do it.
    pub(crate) fn after(&self, flags: &Flags, keeps: bool) -> Self {
        let store = flags.store.as_ref().filter(|_| keeps);
        Self(store.map(|store| match &self.0 {
            Some((same, task)) if Arc::ptr_eq(same, store) => (Arc::clone(same), Rc::clone(task)),
            _ => {
                let mut task = JoinSet::new();
                let kept = Arc::clone(store);
                task.spawn_local(async move { kept.keep().await });
                (Arc::clone(store), Rc::new(task))
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: &str = r#"
monolith: { url: "http://127.0.0.1:1", database: "postgres://u:p@127.0.0.1:2/m" }
services:
  a: { url: "http://127.0.0.1:3", database: "postgres://u:p@127.0.0.1:4/a" }
gateway:
  listen: "127.0.0.1:0"
  flags:
    redis: "redis://127.0.0.1:1/0"
    set: { new: { everybody: never, users: { "7": always, "8": never } } }
extractions:
  one:
    service: a
    routes: [{ path: /one/* }]
    data: { mode: replicate, schema: s, tables: { public.t: {} } }
    rollout: { key: address, flag: new }
  two:
    service: a
    routes: [{ path: /two/* }]
    data: { mode: replicate, schema: s, tables: { public.u: {} } }
    rollout: { key: address, flag: old }
  without:
    service: a
    routes: [{ path: /without/* }]
    data: { mode: replicate, schema: s, tables: { public.v: {} } }
"#;

    #[test]
    fn the_user_comes_before_everybody_and_redis_before_the_plan() {
        let flags = Flags::new(&Plan::parse(PLAN, |_| None).unwrap());
        let side = |extraction, user: &str| {
            flags.side(ExtractionIndex::new(extraction), Some(user.as_bytes()))
        };
        let (monolith, service) = (Some(Side::Monolith), Some(Side::Service));
        assert_eq!(side(0, "7"), service);
        assert_eq!(side(0, "8"), monolith);
        assert_eq!(side(0, "9"), monolith);
        assert_eq!(flags.side(ExtractionIndex::new(0), None), monolith);
        assert_eq!((side(1, "7"), side(2, "7")), (None, None));
        let store = flags.store.as_ref().unwrap();
        for (key, value) in [
            ("feature:new:user:8", "true"),
            ("feature:new", "true"),
            ("feature:old:user:a:b", "false"),
            ("feature:other", "true"),
        ] {
            store.note(key.as_bytes(), value.as_bytes());
        }
        assert_eq!(side(0, "7"), service);
        assert_eq!(side(0, "8"), service);
        assert_eq!(side(0, "9"), service);
        assert_eq!((side(1, "a:b"), side(1, "a")), (monolith, None));
    }

    #[test]
    fn what_is_said_of_a_flag_names_no_user() {
        let flags = Flags::new(&Plan::parse(PLAN, |_| None).unwrap());
        let store = flags.store.as_ref().unwrap();
        store.note(b"feature:new:user:8", b"true");
        let rule = |everybody, users_to_monolith, users_to_service| FlagRule {
            everybody,
            users_to_monolith,
            users_to_service,
        };
        let report = flags.report();
        assert_eq!(report.len(), 2);
        assert_eq!(report[0].name, "new");
        assert_eq!(report[0].extractions, ["one"]);
        assert_eq!(report[0].planned, rule(Some("monolith"), 1, 1));
        assert_eq!(report[0].stored, Some(rule(None, 0, 1)));
        assert_eq!(report[1].planned, FlagRule::default());
    }

    #[test]
    fn a_changed_plan_keeps_what_was_read() {
        let plan = |text: &str| Plan::parse(text, |_| None).unwrap();
        let flags = Flags::new(&plan(PLAN));
        flags.store.as_ref().unwrap().note(b"feature:old", b"true");
        let side = |flags: &Flags| flags.side(ExtractionIndex::new(1), Some(b"7"));
        let after = flags.after(&plan(
            &PLAN.replace("everybody: never", "everybody: always"),
        ));
        assert_eq!(side(&after), Some(Side::Service));
        assert_eq!(
            after.side(ExtractionIndex::new(0), Some(b"9")),
            Some(Side::Service)
        );
        let moved = flags.after(&plan(
            &PLAN.replace("redis://127.0.0.1:1", "redis://127.0.0.1:2"),
        ));
        assert_eq!(side(&moved), None);
    }
}
