//! Looks only at the databases, at what clients were told and at what is shown.

use crate::{
    conductor::{Conductor, at},
    database::{Database, WriteId},
};
use protocol::{Nonce, Side, lifecycle::Lifecycle, owner::Owner, stream::is_split};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Auditor {
    acknowledged: BTreeSet<WriteId>,
    refused: BTreeSet<WriteId>,
    appended: BTreeSet<WriteId>,
    /// By the side that wrote them, and whether the sides were split by then.
    split: BTreeMap<WriteId, (Side, bool)>,
    /// Of whom each is a rehearsal.
    rehearsals: BTreeMap<Nonce, Side>,
    /// The first thing that is wrong.
    pub finding: Option<String>,
    /// Requests that a fence refused.
    pub refused_by_fence: u16,
    /// Lives that were cancelled.
    pub lives: u16,
}

impl Auditor {
    pub fn finds(&mut self, what: String) {
        self.finding.get_or_insert(what);
    }

    pub fn acknowledged(&mut self, id: WriteId) {
        self.acknowledged.insert(id);
    }

    pub fn refused(&mut self, id: WriteId) {
        self.refused.insert(id);
    }

    pub fn refused_by_fence(&mut self) {
        self.refused_by_fence += 1;
    }

    pub fn appended(&mut self, id: WriteId) {
        self.appended.insert(id);
    }

    pub fn split(&mut self, id: WriteId, by: Side, split: bool) {
        self.split.insert(id, (by, split));
    }

    /// Of a split table each side keeps its own, and the service's side is emptied.
    pub fn life_ended(&mut self) {
        self.lives += 1;
        self.split.clear();
    }

    pub fn rehearses(&mut self, nonce: Nonce, from: Side) {
        self.rehearsals.insert(nonce, from);
    }

    pub fn count(&self) -> (usize, usize, usize) {
        let split = self.split.values().filter(|(_, split)| *split).count();
        (self.acknowledged.len(), self.appended.len(), split)
    }

    /// Holds after every move.
    pub fn safety(
        &self,
        [monolith, service]: &[Database; 2],
        conductors: &[Option<Conductor>; 2],
    ) -> Option<&'static str> {
        if service.row.is_some() && monolith.accepts() && service.accepts() {
            return Some("both sides accept writes");
        }
        if let Some(conflict) = monolith.conflict.or(service.conflict) {
            return Some(conflict);
        }
        for row in [monolith, service].into_iter().filter_map(|one| one.row) {
            let from = self.rehearsals.get(&row.nonce);
            if from.is_some_and(|from| row.owner == Owner::from(from.other())) {
                return Some("a rehearsal has given the data away");
            }
        }
        for conductor in conductors.iter().flatten() {
            let claims = |database: &Database| {
                database.row.is_some_and(|row| {
                    conductor.claims[at(database.side)].is_some_and(|claim| {
                        (claim.conductor, claim.generation) == (row.conductor, row.generation)
                    })
                })
            };
            if let Lifecycle::Owned(owned) = &conductor.lifecycle
                && conductor.is_in_charge()
                && claims(monolith)
                && claims(service)
            {
                let database = [monolith, service][at(owned.by)];
                if database.owner() != Some(Owner::from(owned.by)) {
                    return Some("an owner is shown that may not write");
                }
            }
        }
        None
    }

    /// Holds when everything has come to rest. `owner`: None where nothing is moved.
    pub fn end(&self, databases: &[Database; 2], owner: Option<Side>) -> Result<(), String> {
        let [monolith, service] = databases;
        let own = owner.map_or(monolith, |side| &databases[at(side)]);
        if let Some(id) = self
            .acknowledged
            .iter()
            .find(|id| !own.tables.rows.contains_key(id))
        {
            return Err(format!("acknowledged write {id} is lost"));
        }
        for database in databases {
            let rows = &database.tables.rows;
            if let Some(id) = self.refused.iter().find(|id| rows.contains_key(id)) {
                return Err(format!("refused write {id} is in the {}", database.side));
            }
        }
        if !own.accepts() {
            return Err(format!(
                "the owner, the {}, does not accept writes",
                own.side
            ));
        }
        if let Some(id) = self
            .appended
            .iter()
            .find(|id| !own.tables.appended.contains_key(id))
        {
            return Err(format!("appended row {id} is lost"));
        }
        if owner.is_none() {
            return Ok(());
        }
        if monolith.tables.rows != service.tables.rows
            || monolith.tables.register != service.tables.register
        {
            return Err("the sides differ".to_owned());
        }
        if monolith.tables.appended != service.tables.appended {
            return Err("the table that both append to differs".to_owned());
        }
        self.split_end(databases)
    }

    /// Of a split table, a row from before the split is on both sides unless it was
    /// written in the hand-over itself; a later one is only where it was written.
    fn split_end(&self, databases: &[Database; 2]) -> Result<(), String> {
        let [monolith, service] = databases;
        let is_split = service.row.as_ref().is_some_and(is_split);
        if !is_split && monolith.tables.split != service.tables.split {
            return Err("the split table differs though nothing was switched".to_owned());
        }
        for (id, (by, split)) in &self.split {
            for database in databases {
                let own = database.side == *by;
                let there = database.tables.split.get(id).copied().unwrap_or_default();
                if own && there != 1 {
                    return Err(format!(
                        "split row {id} is {there} times where it was written"
                    ));
                }
                if !own && *split && there != 0 {
                    return Err(format!("split row {id} has flown to the {}", database.side));
                }
            }
        }
        Ok(())
    }
}
