//! The pins of an extraction, shared by the workers.
//!
//! Per client one [`Pin`], in shards with a mutex each, the only locks on the
//! path of a request. Besides there are three pins that many share:
//!
//! - *keyless*: the writes of clients without a key. Their reads stay with the
//!   owner, unless somebody chose for them; and it matters for routes that stay.
//! - *overflow*: the writes of clients that the table has no room for. It binds
//!   every client with a key: exact, only slower.
//! - *start*: what this gateway does not know of because it was written before
//!   it started. It binds everybody until the other side has seen the first
//!   sampled position. While there is none it binds routes that stay only for a
//!   while: an extraction whose database is away must not stop the whole
//!   monolith. Once there is one, what is not known to be applied is not.

use super::{
    client_id::{ByClient, ClientId, SHARDS},
    lineage::Lineage,
    pin::{Answered, Debt, Pin},
};
use crate::routing::snapshot::Ownership;
use parking_lot::Mutex;
use protocol::{Lsn, Side};
use std::{
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    time::{Duration, Instant},
};
use tokio::sync::watch;

/// The most clients with a pin of their own, per extraction: those that wrote
/// within the time that the other side lags behind. About 10 MiB.
pub(crate) const CLIENTS_MAX: usize = 100_000;

/// Whose pin it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Holder {
    Client(ClientId),
    Keyless,
    Overflow,
    Start,
}

#[derive(Debug, Default)]
struct SharedPins {
    keyless: Option<Pin>,
    overflow: Option<Pin>,
    start: Option<(Pin, Instant)>,
}

/// The pins of an extraction.
pub(crate) struct Pins {
    seed: u64,
    clients_max: usize,
    /// How long the start binds routes that stay while its position is not known.
    start_binds: Duration,
    shards: Vec<Mutex<ByClient<Pin>>>,
    clients: AtomicUsize,
    lineage: Lineage,
    /// All answers so far: the base of each new pin.
    answers: AtomicU64,
    shared: Mutex<SharedPins>,
    /// How many shared pins there are, to leave their lock alone if none.
    shared_count: AtomicUsize,
    applied_on_service: watch::Receiver<Lsn>,
    applied_on_monolith: watch::Receiver<Lsn>,
    /// Grows with each change that a waiter must look at.
    changes: watch::Sender<u64>,
}

impl Pins {
    /// `applied` says how far a side's log has been applied on the other one.
    pub(crate) fn new(
        seed: u64,
        clients_max: usize,
        start_binds: Duration,
        applied: impl Fn(Side) -> watch::Receiver<Lsn>,
    ) -> Self {
        Self {
            seed,
            clients_max,
            start_binds,
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            clients: AtomicUsize::new(0),
            lineage: Lineage::new(),
            answers: AtomicU64::new(0),
            shared: Mutex::default(),
            shared_count: AtomicUsize::new(0),
            applied_on_service: applied(Side::Monolith),
            applied_on_monolith: applied(Side::Service),
            changes: watch::Sender::new(0),
        }
    }

    /// The id of a client, whatever its key has become since.
    pub(crate) fn client(&self, key: &[u8]) -> ClientId {
        self.lineage.first(self.plain(key))
    }

    /// A key as it is, whatever it follows: what the lines of keys are made of may change
    /// while a request is under way.
    pub(crate) fn plain(&self, key: &[u8]) -> ClientId {
        ClientId::of(key, self.seed)
    }

    /// The client that a key belongs to by now.
    pub(crate) fn known_as(&self, key: ClientId) -> ClientId {
        self.lineage.first(key)
    }

    /// A client is given another key. `false`: what it wrote does not follow it there,
    /// since the key belongs to one that has writes of its own, or there is no room.
    pub(crate) fn rename(&self, client: ClientId, key: &[u8]) -> bool {
        let key = self.plain(key);
        let known = self.lineage.first(key);
        known == client
            || (self.pin(Holder::Client(known)).is_none() && self.lineage.follow(key, client))
    }

    /// Whether a client, or anybody without a key, has written what the other side may
    /// lack by now. A pin lasts for up to a second longer, until the next sweep.
    pub(crate) fn owes(&self, owner: Ownership, client: Option<ClientId>) -> bool {
        let holder = client.map_or(Holder::Keyless, Holder::Client);
        let applied = self.applied(owner.side);
        self.pin(holder)
            .is_some_and(|pin| pin.binds(owner, applied))
    }

    /// An owner is known for the first time: everything before now counts as a
    /// write that must be settled.
    pub(crate) fn start(&self, owner: Ownership) {
        let mut pin = self.fresh(owner);
        self.answers.fetch_add(1, Ordering::AcqRel);
        pin.send(owner);
        pin.answer(owner);
        let mut shared = self.shared.lock();
        if shared.start.replace((pin, Instant::now())).is_none() {
            self.shared_count.fetch_add(1, Ordering::Release);
        }
    }

    /// A write is about to be sent. Ended by [`Self::answered`] or
    /// [`Self::unsent`] with the holder that this returns.
    pub(crate) fn sent(&self, owner: Ownership, client: Option<ClientId>) -> Holder {
        let Some(client) = client else {
            self.send_shared(owner, |shared| &mut shared.keyless);
            return Holder::Keyless;
        };
        let mut shard = self.shard(client).lock();
        if let Some(pin) = shard.get_mut(&client) {
            pin.send(owner);
            return Holder::Client(client);
        }
        if self.clients.fetch_add(1, Ordering::AcqRel) < self.clients_max {
            let mut pin = self.fresh(owner);
            pin.send(owner);
            shard.insert(client, pin);
            return Holder::Client(client);
        }
        self.clients.fetch_sub(1, Ordering::AcqRel);
        drop(shard);
        self.send_shared(owner, |shared| &mut shared.overflow);
        Holder::Overflow
    }

    fn send_shared(
        &self,
        owner: Ownership,
        which: impl FnOnce(&mut SharedPins) -> &mut Option<Pin>,
    ) {
        let mut shared = self.shared.lock();
        let pin = which(&mut shared);
        if pin.is_none() {
            self.shared_count.fetch_add(1, Ordering::Release);
        }
        pin.get_or_insert_with(|| self.fresh(owner)).send(owner);
    }

    /// A write was not sent after all.
    pub(crate) fn unsent(&self, owner: Ownership, holder: Holder) {
        self.change(holder, |pin| pin.unsend(owner));
    }

    /// A write was answered, or never will be.
    pub(crate) fn answered(&self, owner: Ownership, holder: Holder) {
        self.answers.fetch_add(1, Ordering::AcqRel);
        self.change(holder, |pin| pin.answer(owner));
    }

    /// So many writes that were answered before a sample lie at or before it.
    pub(crate) fn settle(&self, owner: Ownership, holder: Holder, writes: u64, position: Lsn) {
        self.change(holder, |pin| pin.settle(owner, writes, position));
    }

    /// Lets those who wait look again.
    pub(crate) fn announce(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    /// Whether a client must read from the owner. One without a key shares a pin
    /// with all of its like: it may have chosen the other side all the same.
    pub(crate) fn bind(&self, owner: Ownership, client: Option<ClientId>) -> bool {
        let applied = self.applied(owner.side);
        let own = client.map_or(Holder::Keyless, Holder::Client);
        let overflow = client.map(|_| Holder::Overflow);
        [Some(own), overflow, Some(Holder::Start)]
            .into_iter()
            .flatten()
            .any(|holder| {
                self.pin(holder)
                    .is_some_and(|pin| pin.binds(owner, applied))
            })
    }

    /// Whether the other side has what was written before this gateway came,
    /// and all that a client has written since; without a key, all that anybody
    /// without one has.
    pub(crate) fn has_flowed(&self, owner: Ownership, client: Option<ClientId>) -> bool {
        let applied = self.applied(owner.side);
        let own = client.map_or(Holder::Keyless, Holder::Client);
        let binds = |holder| {
            let pin = self.pin(holder);
            pin.is_some_and(|pin| pin.binds(owner, applied))
        };
        ![own, Holder::Overflow, Holder::Start]
            .into_iter()
            .any(binds)
    }

    /// Waits until the other side has all of `source`'s log up to a position.
    /// For ever, where it never gets there: the caller bounds it.
    pub(crate) async fn reached(&self, source: Side, position: Lsn) {
        let mut applied = self.applied_watch(source).clone();
        if applied
            .wait_for(|applied| *applied >= position)
            .await
            .is_err()
        {
            std::future::pending::<()>().await;
        }
    }

    /// What a request must wait for that has no choice of side: the writes of
    /// its client that were answered before now, where the other side has not
    /// seen them yet.
    pub(crate) fn debts(
        &self,
        owner: Ownership,
        client: Option<ClientId>,
    ) -> Vec<(Holder, Answered)> {
        let applied = self.applied(owner.side);
        if applied == Lsn::MAX {
            return Vec::new();
        }
        let own = client.map_or(Holder::Keyless, Holder::Client);
        let overflow = client.map(|_| Holder::Overflow);
        let lapsed = self.start_has_lapsed();
        let owed = |holder| {
            let pin = self.pin(holder)?;
            let answered = pin.answered();
            match pin.debt(owner, answered) {
                Debt::None => None,
                Debt::Until(position) if position <= applied => None,
                Debt::Unsettled if holder == Holder::Start && lapsed => None,
                Debt::Until(_) | Debt::Unsettled => Some((holder, answered)),
            }
        };
        [Some(own), overflow, Some(Holder::Start)]
            .into_iter()
            .flatten()
            .filter_map(owed)
            .collect()
    }

    /// When the start binds routes that stay no more.
    fn start_lapse(&self) -> Option<Instant> {
        if self.shared_count.load(Ordering::Acquire) == 0 {
            return None;
        }
        self.shared
            .lock()
            .start
            .map(|(_, since)| since + self.start_binds)
    }

    fn start_has_lapsed(&self) -> bool {
        self.start_lapse()
            .is_none_or(|lapse| lapse <= Instant::now())
    }

    /// Waits until the other side has seen the writes of a debt. `owner` is
    /// asked for the ownership in use, which ends a debt when it changes.
    pub(crate) async fn paid(
        &self,
        owner: impl Fn() -> Option<Ownership>,
        debt: (Holder, Answered),
    ) {
        let (holder, answered) = debt;
        // Fixed: a start that begins again meanwhile is another debt.
        let lapse = match holder {
            Holder::Start => self.start_lapse(),
            Holder::Client(_) | Holder::Keyless | Holder::Overflow => None,
        };
        let mut changes = self.changes.subscribe();
        let Some(owed_to) = owner() else { return };
        let mut applied = self.applied_watch(owed_to.side).clone();
        // Fixed once it is known: later writes must not move it.
        let mut until = None;
        loop {
            changes.mark_unchanged();
            let reached = *applied.borrow_and_update();
            if owner() != Some(owed_to) {
                return;
            }
            if until.is_none() {
                match self.pin(holder).map(|pin| pin.debt(owed_to, answered)) {
                    None | Some(Debt::None) => return,
                    Some(Debt::Unsettled) => {}
                    Some(Debt::Until(position)) => until = Some(position),
                }
            }
            if reached == Lsn::MAX || until.is_some_and(|position| position <= reached) {
                return;
            }
            let lapsed = async {
                match lapse {
                    Some(lapse) if until.is_none() => {
                        tokio::time::sleep_until(lapse.into()).await;
                    }
                    _ => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = changes.changed() => {}
                Ok(()) = applied.changed() => {}
                () = lapsed => return,
            }
        }
    }

    /// Waits until so much of a side's log has been applied on the other one
    /// that nothing is owed, or until that is so for another reason that
    /// [`Self::announce`] tells of.
    pub(crate) async fn until(&self, source: Side, mut is_owed: impl FnMut(Lsn) -> bool) {
        let mut changes = self.changes.subscribe();
        let mut applied = self.applied_watch(source).clone();
        loop {
            changes.mark_unchanged();
            let reached = *applied.borrow_and_update();
            if !is_owed(reached) {
                return;
            }
            tokio::select! {
                _ = changes.changed() => {}
                Ok(()) = applied.changed() => {}
            }
        }
    }

    /// Forgets the pins that bind nothing any more. `owner` is the ownership
    /// in use, or was a moment ago: a switch does not wait for a sweep, and
    /// pins of the next owner are not for this one to judge.
    pub(crate) fn sweep(&self, owner: Option<Ownership>) {
        let Some(owner) = owner else { return };
        let applied = self.applied(owner.side);
        let binds = |pin: &Pin| {
            pin.owner().since > owner.since || pin.owner() == owner && pin.binds(owner, applied)
        };
        for shard in &self.shards {
            let mut shard = shard.lock();
            let before = shard.len();
            shard.retain(|_, pin| binds(pin));
            self.clients
                .fetch_sub(before - shard.len(), Ordering::AcqRel);
        }
        let mut shared = self.shared.lock();
        let SharedPins {
            keyless,
            overflow,
            start,
        } = &mut *shared;
        for pin in [keyless, overflow] {
            if pin.take_if(|pin| !binds(pin)).is_some() {
                self.shared_count.fetch_sub(1, Ordering::Release);
            }
        }
        if start.take_if(|(pin, _)| !binds(pin)).is_some() {
            self.shared_count.fetch_sub(1, Ordering::Release);
        }
        drop(shared);
        let has_pin = |client| self.pin(Holder::Client(client)).is_some();
        self.lineage.sweep(has_pin);
    }

    fn fresh(&self, owner: Ownership) -> Pin {
        Pin::new(owner, self.answers.load(Ordering::Acquire))
    }

    fn shard(&self, client: ClientId) -> &Mutex<ByClient<Pin>> {
        &self.shards[client.shard()]
    }

    fn pin(&self, holder: Holder) -> Option<Pin> {
        if let Holder::Client(client) = holder {
            if self.clients.load(Ordering::Acquire) == 0 {
                return None;
            }
            return self.shard(client).lock().get(&client).copied();
        }
        if self.shared_count.load(Ordering::Acquire) == 0 {
            return None;
        }
        let shared = self.shared.lock();
        match holder {
            Holder::Keyless => shared.keyless,
            Holder::Overflow => shared.overflow,
            Holder::Start | Holder::Client(_) => shared.start.map(|(pin, _)| pin),
        }
    }

    fn change(&self, holder: Holder, change: impl FnOnce(&mut Pin)) {
        if let Holder::Client(client) = holder {
            self.shard(client).lock().get_mut(&client).map(change);
            return;
        }
        let mut shared = self.shared.lock();
        match holder {
            Holder::Keyless => shared.keyless.as_mut(),
            Holder::Overflow => shared.overflow.as_mut(),
            Holder::Start | Holder::Client(_) => shared.start.as_mut().map(|(pin, _)| pin),
        }
        .map(change);
    }

    fn applied_watch(&self, source: Side) -> &watch::Receiver<Lsn> {
        match source {
            Side::Monolith => &self.applied_on_service,
            Side::Service => &self.applied_on_monolith,
        }
    }

    /// How far a side's log has been applied on the other one.
    pub(crate) fn applied(&self, source: Side) -> Lsn {
        *self.applied_watch(source).borrow()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::Epoch;

    const OWNER: Ownership = Ownership {
        side: Side::Service,
        since: Epoch(1),
    };

    fn pins(clients_max: usize) -> (Pins, watch::Sender<Lsn>) {
        let applied = watch::Sender::new(Lsn(0));
        let pins = Pins::new(1, clients_max, Duration::ZERO, |_| applied.subscribe());
        (pins, applied)
    }

    #[test]
    fn a_full_table_binds_everybody_until_what_overflowed_is_applied() {
        let (pins, applied) = pins(1);
        let [one, two, three] = [b"1", b"2", b"3"].map(|key| pins.client(key));
        assert_eq!(pins.sent(OWNER, Some(one)), Holder::Client(one));
        assert!(!pins.bind(OWNER, Some(three)));
        let holder = pins.sent(OWNER, Some(two));
        assert_eq!(holder, Holder::Overflow);
        pins.answered(OWNER, holder);
        pins.settle(OWNER, holder, 1, Lsn(5));
        assert!(pins.bind(OWNER, Some(two)) && pins.bind(OWNER, Some(three)));
        assert_eq!(pins.debts(OWNER, Some(three)).len(), 1);
        assert_eq!(pins.debts(OWNER, None).len(), 0);
        applied.send_replace(Lsn(5));
        assert!(!pins.bind(OWNER, Some(two)) && !pins.bind(OWNER, Some(three)));
        assert!(pins.bind(OWNER, Some(one)));
    }

    #[test]
    fn nothing_is_owed_once_it_is_applied_whether_swept_or_not() {
        let (pins, applied) = pins(1);
        assert!(!pins.owes(OWNER, None));
        let holder = pins.sent(OWNER, None);
        assert!(pins.owes(OWNER, None));
        pins.answered(OWNER, holder);
        pins.settle(OWNER, holder, 1, Lsn(5));
        assert!(pins.owes(OWNER, None) && !pins.owes(OWNER, Some(pins.client(b"1"))));
        applied.send_replace(Lsn(5));
        assert!(!pins.owes(OWNER, None) && pins.pin(Holder::Keyless).is_some());
    }

    #[test]
    fn a_sweep_makes_room_and_keeps_what_binds() {
        let (pins, applied) = pins(2);
        let [one, two, three] = [b"1", b"2", b"3"].map(|key| pins.client(key));
        for (client, position) in [(one, 5), (two, 6)] {
            let holder = pins.sent(OWNER, Some(client));
            pins.answered(OWNER, holder);
            pins.settle(OWNER, holder, 1, Lsn(position));
        }
        applied.send_replace(Lsn(5));
        pins.sweep(Some(OWNER));
        assert!(pins.bind(OWNER, Some(two)));
        assert_eq!(pins.sent(OWNER, Some(three)), Holder::Client(three));
        let next = Ownership {
            side: Side::Monolith,
            since: Epoch(2),
        };
        pins.sweep(Some(next));
        assert_eq!(pins.clients.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_sweep_that_began_before_a_switch_takes_no_pin_of_the_next_owner() {
        let (pins, _applied) = pins(2);
        pins.start(OWNER);
        pins.sweep(None);
        assert!(pins.pin(Holder::Start).is_some());
        let next = Ownership {
            side: Side::Monolith,
            since: Epoch(2),
        };
        let one = pins.client(b"1");
        for client in [Some(one), None] {
            pins.sent(next, client);
        }
        pins.sweep(Some(OWNER));
        assert!(pins.pin(Holder::Client(one)).is_some());
        assert!(pins.pin(Holder::Keyless).is_some());
    }

    #[tokio::test]
    async fn who_waits_for_a_forgotten_pin_does_not_wait_for_the_next() {
        let (pins, applied) = pins(2);
        let one = pins.client(b"1");
        let write = |position| {
            let holder = pins.sent(OWNER, Some(one));
            pins.answered(OWNER, holder);
            let debt = pins.debts(OWNER, Some(one))[0];
            pins.settle(OWNER, holder, 1, Lsn(position));
            debt
        };
        let debt = write(5);
        applied.send_replace(Lsn(5));
        pins.sweep(Some(OWNER));
        assert!(pins.pin(Holder::Client(one)).is_none());
        let unsettled = pins.sent(OWNER, Some(one));
        pins.answered(OWNER, unsettled);
        pins.paid(|| Some(OWNER), debt).await;
    }

    /// A key that several clients are given in turn, as the name of a tenant is.
    #[test]
    fn a_key_that_comes_back_keeps_what_was_written_under_it() {
        let (pins, _applied) = pins(9);
        let client = |key: &[u8]| Some(pins.client(key));
        assert!(pins.rename(pins.client(b"beta"), b"acme"));
        let written = pins.sent(OWNER, client(b"acme"));
        pins.answered(OWNER, written);
        assert!(pins.bind(OWNER, client(b"acme")));
        // The caller enters a write of the key's own, then.
        assert!(!pins.rename(pins.client(b"gamma"), b"acme"));
        assert!(pins.bind(OWNER, client(b"acme")));

        assert!(pins.rename(pins.client(b"one"), b"two"));
        assert!(pins.rename(pins.client(b"three"), b"two"));
        let written = pins.sent(OWNER, client(b"one"));
        pins.answered(OWNER, written);
        assert!(pins.rename(pins.client(b"one"), b"two"));
        assert!(pins.bind(OWNER, client(b"two")));
    }
}
