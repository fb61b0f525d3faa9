//! Calls to the databases, carried out.

use crate::{
    bug::Bug,
    call::{Call, Reply, What},
    conductor::{Charge, at},
    database::{Refused, WriteId},
    world::{LATE_MAX, World},
};
use protocol::{
    ConductorId, Side,
    lifecycle::Lifecycle,
    owner::{Claim, Given, OwnerRow, RowRead},
    reconcile::recognise,
    routing::Writes,
    stream::StreamState,
};
use std::collections::BTreeSet;

impl World {
    pub fn deliver(&mut self, call: usize, again: bool, lost: bool) {
        if self.calls.is_empty() {
            return;
        }
        let index = call % self.calls.len();
        let call = self.calls[index];
        let cut = self.conductors[call.conductor]
            .as_ref()
            .is_some_and(|conductor| conductor.cut[at(call.side)]);
        if cut || self.slow[at(call.side)] > 0 {
            return;
        }
        if call.claims() {
            // Whoever claims ends the sessions that it has there, and waits for that.
            self.calls.retain(|other| {
                !(other.claims() && (other.conductor, other.side) == (call.conductor, call.side))
            });
        } else {
            self.calls.remove(index);
        }
        if again && !call.claims() {
            self.delay(call);
        }
        self.check_claim(&call);
        let reply = self.execute(&call);
        // Gateways go by the order of the claims.
        let claims = match reply {
            Reply::Row { claim, .. } => claim.is_some() || matches!(call.what, What::Claim(_)),
            _ => false,
        };
        self.turns += u16::from(claims);
        let turn = self.turns;
        if lost {
            return;
        }
        let Some(conductor) = &mut self.conductors[call.conductor] else {
            return;
        };
        if conductor.run != call.run {
            return;
        }
        let awaited = conductor.awaited == Some(call);
        conductor.hear(call, reply);
        if awaited && claims {
            conductor.turn = turn;
        }
        let superseded = awaited && reply == Reply::Refused(Refused::Superseded);
        if superseded && conductor.is_in_charge() {
            let finding = "a conductor that was superseded goes on telling how it stands";
            self.auditor.finds(finding.to_owned());
        }
    }

    pub fn delay(&mut self, call: Call) {
        if matches!(
            call.what,
            What::Read | What::ReadGiven(_) | What::CatchUp(_)
        ) {
            return;
        }
        self.late.push(call);
        if self.late.len() > LATE_MAX {
            self.late.remove(0);
        }
    }

    /// Who finds rows that others have claimed has claimed nothing.
    pub fn check_claim(&mut self, call: &Call) {
        let Some(conductor) = &self.conductors[call.conductor] else {
            return;
        };
        let Charge::Compared(_) = conductor.charge else {
            return;
        };
        let row = self.databases[at(call.side)].row;
        if !matches!(call.what, What::Claim(_))
            || conductor.run != call.run
            || matches!(conductor.lifecycle, Lifecycle::Cancelling { .. })
            || conductor.compared[at(call.side)] != row.map(|row| row.conductor)
            // Its own claim, of which it has not heard.
            || row.is_some_and(|row| row.conductor == call.run)
        {
            return;
        }
        let read = row.map_or(RowRead::NoRow, RowRead::Row);
        let known: Vec<ConductorId> = conductor.journal.claimants();
        let known: Vec<ConductorId> = known.into_iter().filter(|id| *id != call.run).collect();
        if recognise(&known, read, read).is_err() {
            self.auditor
                .finds("rows are claimed of which the journal does not know".to_owned());
        }
    }

    pub fn execute(&mut self, call: &Call) -> Reply {
        let (monolith, service) = self.databases.split_at_mut(1);
        let (monolith, service) = (&mut monolith[0], &mut service[0]);
        let done = |result: Result<(), Refused>| match result {
            Ok(()) => Reply::Done,
            Err(refused) => Reply::Refused(refused),
        };
        let row = |read: Option<OwnerRow>, claim, copied| Reply::Row {
            read: read.map_or(RowRead::NoRow, RowRead::Row),
            claim,
            copied,
        };
        let claimed = |claimed: Option<(OwnerRow, Claim)>, copied| {
            row(
                claimed.map(|(row, _)| row),
                claimed.map(|(_, claim)| claim),
                copied,
            )
        };
        let copied = call.side == Side::Service && service.incoming.is_some();
        let (database, other) = match call.side {
            Side::Monolith => (monolith, service),
            Side::Service => (service, monolith),
        };
        match call.what {
            What::Read => row(database.row, None, copied),
            What::Claim(conductor) => claimed(database.claim(conductor), copied),
            What::Prepare(instance) => match database.prepare(instance, call.run) {
                Ok(claim) => {
                    if call.side == Side::Service {
                        other.wait_for(database);
                    }
                    row(database.row, Some(claim), copied)
                }
                Err(refused) => Reply::Refused(refused),
            },
            What::Copy(claim, instance) => done(database.copy(other, claim, instance)),
            What::Fence(claim, id) => done(database.fence(claim, &id)),
            What::CatchUp(id) => {
                let there = database
                    .incoming
                    .is_some_and(|incoming| incoming.state == StreamState::Stopped(id.epoch));
                done(if there || self.bug == Some(Bug::CommitBeforeCaughtUp) {
                    Ok(())
                } else {
                    Err(Refused::Busy)
                })
            }
            What::Decide(claim, id, wanted) => match database.decide(claim, &id, wanted) {
                Ok(outcome) => Reply::Decided(outcome),
                Err(refused) => Reply::Refused(refused),
            },
            What::ReadGiven(id) => done(match database.row.map(|row| row.given(&id)) {
                Some(Given::Given) => Ok(()),
                Some(Given::NotGiven) => Err(Refused::Stale),
                None | Some(Given::Superseded) => Err(Refused::Ahead),
            }),
            What::Open(claim, id) => done(database.open(claim, &id)),
            What::Unfence(claim, instance) => done(database.unfence(claim, instance)),
            What::TakeAway(conductor, whose) => {
                if database
                    .row
                    .as_ref()
                    .is_none_or(|row| row.ends(Side::Monolith, whose))
                {
                    claimed(database.claim(conductor), copied)
                } else {
                    Reply::Refused(Refused::Stale)
                }
            }
            What::Clear(claim) => done(self.clear(call.side, claim)),
        }
    }

    /// Takes everything away from one side. What the service has added to tables that
    /// both append to is brought home before. Requests that were on their way to the
    /// service since before a rollback have ended by then, and leases as well.
    pub fn clear(&mut self, side: Side, claim: Claim) -> Result<(), Refused> {
        if side == Side::Service {
            let [monolith, service] = &mut self.databases;
            if let (Some(row), Some(_)) = (monolith.row, monolith.incoming)
                && service
                    .row
                    .is_some_and(|there| there.instance == row.instance)
            {
                let theirs = Claim {
                    conductor: row.conductor,
                    generation: row.generation,
                };
                let home = (service.log.as_slice(), 0, service.log.len());
                monolith.apply(home, theirs, row.instance, false)?;
            }
        }
        let database = &mut self.databases[at(side)];
        let was = database.row.is_some();
        database.clear(claim)?;
        if side == Side::Service && was {
            let end: BTreeSet<WriteId> = self
                .transactions
                .iter()
                .filter(|one| one.side == Side::Service)
                .map(|one| one.id)
                .collect();
            self.transactions.retain(|one| !end.contains(&one.id));
            self.databases[1].writers.clear();
            for place in 0..self.gateways.len() {
                if self.gateways[place].writes() == Some(Writes::To(Side::Service)) {
                    self.gateways[place].has_lease = false;
                }
            }
            self.auditor.life_ended();
        }
        Ok(())
    }
}
