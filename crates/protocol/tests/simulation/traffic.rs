//! What users send, and the gateways that it goes by.

use crate::{
    conductor::at,
    database::{SharedWrite, WriteId},
    gateway::Route,
    world::{Phase, Transaction, World},
};
use protocol::{Side, handover::Input, lifecycle::Lifecycle, routing::Writes, stream::is_split};

impl World {
    pub fn write_id(&mut self) -> WriteId {
        self.next_write += 1;
        self.next_write
    }

    pub fn client_writes(&mut self, gateway: u8) {
        let id = self.write_id();
        let place = self.place_of(gateway);
        match self.gateways[place].route(id) {
            Route::Send(side) => self.transaction(id, side, Some(place)),
            Route::Held => {}
            Route::Refused => self.auditor.refused(id),
        }
    }

    pub fn refused(&mut self, ids: Vec<WriteId>) {
        for id in ids {
            self.auditor.refused(id);
        }
    }

    pub fn transaction(&mut self, id: WriteId, side: Side, gateway: Option<usize>) {
        self.transactions.push(Transaction {
            id,
            side,
            phase: Phase::Sent,
            gateway,
        });
    }

    pub fn transaction_goes_on(&mut self, which: u8, heard: bool) {
        if self.transactions.is_empty() {
            return;
        }
        let index = usize::from(which) % self.transactions.len();
        let Transaction {
            id,
            side,
            phase,
            gateway,
        } = self.transactions[index];
        if self.slow[at(side)] > 0 {
            return;
        }
        let database = &mut self.databases[at(side)];
        match phase {
            Phase::Sent => self.transactions[index].phase = Phase::Begun(database.accepts()),
            Phase::Begun(saw) if database.write(id, saw) => {
                self.transactions[index].phase = Phase::Written;
            }
            Phase::Begun(_) => {
                self.transactions.remove(index);
                self.auditor.refused(id);
                if gateway.is_some() {
                    self.auditor.refused_by_fence();
                }
            }
            Phase::Written => {
                database.commit(id);
                self.transactions.remove(index);
                if heard {
                    self.auditor.acknowledged(id);
                }
            }
        }
    }

    /// Either side writes a table that both write.
    pub fn shared_write(&mut self, side: Side, what: u8) {
        // The service may append once the copy is complete.
        if self.databases[1].incoming.is_none() {
            return;
        }
        let id = self.write_id();
        let database = &mut self.databases[at(side)];
        let (id, what) = match what % 3 {
            0 => (id, SharedWrite::Append),
            1 => {
                // One of the latest: it may just have come from the other side.
                let mut latest = database.tables.appended.keys().rev();
                match latest.nth(usize::from(what / 80)) {
                    Some(latest) => (*latest, SharedWrite::Amend(id)),
                    None => return,
                }
            }
            _ => (id, SharedWrite::Split),
        };
        let split = self.databases[1].row.as_ref().is_some_and(is_split);
        if !self.databases[at(side)].write_shared(id, what) {
            return;
        }
        match what {
            SharedWrite::Append => self.auditor.appended(id),
            SharedWrite::Amend(_) => {}
            SharedWrite::Split => self.auditor.split(id, side, split),
        }
    }

    pub fn hear(&mut self, conductor: usize, gateway: u8, late: bool) {
        let place = self.place_of(gateway);
        let Some(told) = &self.conductors[conductor] else {
            return;
        };
        let told = told.told[usize::from(!late)];
        if self.gateways[place].cut[conductor] {
            return;
        }
        let Some(told) = told else { return };
        for id in self.gateways[place].take(told) {
            match self.gateways[place].writes() {
                Some(Writes::To(side)) => self.transaction(id, side, Some(place)),
                _ => self.auditor.refused(id),
            }
        }
    }

    pub fn acknowledge(&mut self, conductor: u8, gateway: u8) {
        let place = self.place_of(gateway);
        let drained = !self
            .transactions
            .iter()
            .any(|one| one.gateway == Some(place));
        let gateway = &self.gateways[place];
        let heard = !gateway.cut[usize::from(conductor)];
        let Some(asking) = &self.conductors[usize::from(conductor)] else {
            return;
        };
        let Lifecycle::HandingOver { before, handover } = &asking.lifecycle else {
            return;
        };
        let current = gateway.known.is_some_and(|known| known.turn == asking.turn);
        if heard && drained && current && gateway.holds(before.instance, handover.epoch()) {
            let id = gateway.id;
            self.feed(conductor, Input::Held(id));
        }
    }

    /// It answers for the extraction no more: nothing that is held is sent.
    pub fn lease_ends(&mut self, gateway: u8) {
        let gateway = self.gateway(gateway);
        if gateway.cut.contains(&true) {
            gateway.has_lease = false;
            let held = std::mem::take(&mut gateway.held);
            self.refused(held);
        }
    }

    /// Clocks differ: the gateway itself may think otherwise.
    pub fn lease_counted(&mut self, conductor: u8, gateway: u8) {
        let gateway = self.gateway(gateway);
        if gateway.cut[usize::from(conductor)] {
            let id = gateway.id;
            self.feed(conductor, Input::Held(id));
        }
    }

    /// Its transactions may commit all the same; nobody hears of it.
    pub fn gateway_dies(&mut self, gateway: u8) {
        let place = self.place_of(gateway);
        let dead = &mut self.gateways[place];
        dead.held.clear();
        dead.has_lease = false;
        let id = dead.id;
        for one in &mut self.transactions {
            if one.gateway == Some(place) {
                one.gateway = None;
            }
        }
        for conductor in 0..2 {
            self.feed(conductor, Input::Held(id));
        }
    }
}
