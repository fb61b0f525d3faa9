//! Followers, and what follows from a state without a call.

use crate::{
    bug::Bug,
    conductor::at,
    database::Refused,
    moves::Move,
    world::{CHUNK, FOLLOWERS_MAX, Follower, World},
};
use protocol::{InstanceId, Side, lifecycle::Lifecycle, owner::Claim};

impl World {
    pub fn follow(&mut self, index: usize, what: Move) {
        if self.followers.is_empty() {
            return;
        }
        let index = index % self.followers.len();
        let follower = self.followers[index];
        let forget = self.has(Bug::PositionNotAtomic) && self.count.is_multiple_of(16);
        let boasts = self.has(Bug::ConfirmBeyondStored);
        let (monolith, service) = self.databases.split_at_mut(1);
        let (source, target) = match follower.from {
            Side::Monolith => (&mut monolith[0], &mut service[0]),
            Side::Service => (&mut service[0], &mut monolith[0]),
        };
        let theirs = target
            .row
            .is_some_and(|row| row.instance == follower.instance);
        let stored = target.incoming.map_or(0, |incoming| incoming.position);
        match what {
            Move::Receive { .. } => {
                let received = follower.received.max(stored);
                self.followers[index].received = source.log.len().min(received + CHUNK);
            }
            Move::Confirm { .. } if theirs => {
                let told = if boasts { follower.received } else { stored };
                source.confirmed = source.confirmed.max(told);
            }
            Move::Reconnect { .. } => {
                // Asked for what is confirmed already, a server forwards silently.
                let opened = stored.max(source.confirmed);
                self.followers[index].opened = opened;
                self.followers[index].received = opened;
            }
            Move::Apply { .. } if self.slow[at(target.side)] == 0 => {
                let Follower {
                    claim,
                    instance,
                    opened,
                    received,
                    ..
                } = follower;
                let source = (source.log.as_slice(), opened, received);
                if target.apply(source, claim, instance, forget) == Err(Refused::Superseded) {
                    self.followers.swap_remove(index);
                    for conductor in self.conductors.iter_mut().flatten() {
                        conductor.stranded |= conductor.claims.contains(&Some(claim));
                    }
                }
            }
            _ => {}
        }
    }

    /// What follows from the state without a call: followers are started, gateways told.
    pub fn notice(&mut self) {
        for place in 0..2 {
            let Some(conductor) = &mut self.conductors[place] else {
                continue;
            };
            if let (Lifecycle::Owned(owned), [Some(monolith), Some(service)]) =
                (&conductor.lifecycle, conductor.claims)
                && conductor.is_in_charge()
                && conductor.follows != Some(owned.instance)
            {
                let instance = owned.instance;
                conductor.follows = Some(instance);
                for (from, claim) in [(Side::Monolith, service), (Side::Service, monolith)] {
                    self.follower(from, claim, instance);
                }
            }
            if let Some(conductor) = &mut self.conductors[place] {
                if conductor.turn == 0 && conductor.is_in_charge() {
                    self.turns += 1;
                    conductor.turn = self.turns;
                }
                conductor.announce();
            }
        }
        let finding = self.auditor.safety(&self.databases, &self.conductors);
        if let Some(finding) = finding {
            self.auditor.finds(finding.to_owned());
        }
    }

    /// Followers of earlier runs go on: they are the zombies.
    pub fn follower(&mut self, from: Side, claim: Claim, instance: InstanceId) {
        let stored = self.databases[at(from.other())].incoming;
        let stored = stored.map_or(0, |incoming| incoming.position);
        let opened = stored.max(self.databases[at(from)].confirmed);
        if self.followers.len() >= FOLLOWERS_MAX {
            self.followers.remove(0);
        }
        self.followers.push(Follower {
            from,
            claim,
            instance,
            opened,
            received: opened,
        });
    }
}
