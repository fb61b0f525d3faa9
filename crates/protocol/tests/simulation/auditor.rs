//! Looks only at the databases and at what clients were told.

use crate::database::{Database, WriteId};
use protocol::{Nonce, Side, owner::Owner, stream::is_split};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Default)]
pub struct Auditor {
    acknowledged: BTreeSet<WriteId>,
    refused: BTreeSet<WriteId>,
    appended: BTreeSet<WriteId>,
    /// By the side that wrote them, and whether the sides were split by then.
    split: BTreeMap<WriteId, (Side, bool)>,
    /// Of whom each is a rehearsal.
    rehearsals: BTreeMap<Nonce, Side>,
}

impl Auditor {
    pub fn acknowledged(&mut self, id: WriteId) {
        self.acknowledged.insert(id);
    }

    pub fn refused(&mut self, id: WriteId) {
        self.refused.insert(id);
    }

    pub fn appended(&mut self, id: WriteId) {
        self.appended.insert(id);
    }

    pub fn split(&mut self, id: WriteId, by: Side, split: bool) {
        self.split.insert(id, (by, split));
    }

    pub fn rehearses(&mut self, nonce: Nonce, from: Side) {
        self.rehearsals.insert(nonce, from);
    }

    /// No row names anybody else by a rehearsal than who owned before it.
    pub fn rehearsed(&self, databases: &[Database; 2]) -> Result<(), String> {
        for row in databases.iter().map(|database| &database.row) {
            let from = self.rehearsals.get(&row.nonce);
            if from.is_some_and(|from| ![Owner::from(*from), Owner::Nobody].contains(&row.owner)) {
                return Err(format!(
                    "a rehearsal has given the data to the {}",
                    row.owner
                ));
            }
        }
        Ok(())
    }

    /// How many rows were written to the shared tables, and how many of them
    /// after the sides were split.
    pub fn shared(&self) -> (u64, u64) {
        let split = self.split.values().filter(|(_, split)| *split).count();
        (self.appended.len() as u64, split as u64)
    }

    pub fn count(&self) -> u64 {
        self.acknowledged.len() as u64
    }

    /// Holds after every step.
    pub fn safety([monolith, service]: &[Database; 2]) -> Result<(), String> {
        if monolith.row.owner == Owner::Monolith && service.row.owner == Owner::Service {
            return Err("both sides accept writes".to_owned());
        }
        for database in [monolith, service] {
            if let Some(misfit) = &database.misfit {
                return Err(misfit.clone());
            }
            if let Some((id, count)) = database.rows.iter().find(|(_, count)| **count > 1) {
                return Err(format!(
                    "write {id} is there {count} times in the {}",
                    database.side
                ));
            }
        }
        Ok(())
    }

    /// Holds when everything has come to rest.
    pub fn end(&self, databases: &[Database; 2], owner: Option<Side>) -> Result<(), String> {
        let [monolith, service] = databases;
        for database in databases {
            for id in &self.acknowledged {
                if !database.rows.contains_key(id) {
                    return Err(format!(
                        "acknowledged write {id} is lost in the {}",
                        database.side
                    ));
                }
            }
            if let Some(id) = self
                .refused
                .iter()
                .find(|id| database.rows.contains_key(id))
            {
                return Err(format!("refused write {id} is in the {}", database.side));
            }
        }
        if monolith.rows != service.rows || monolith.register != service.register {
            return Err("the sides differ".to_owned());
        }
        self.shared_end(databases)?;
        match owner {
            Some(side) if accepts(&databases[usize::from(side == Side::Service)]) => Ok(()),
            _ => Err(format!("the owner, {owner:?}, does not accept writes")),
        }
    }
}

impl Auditor {
    /// Appended rows are on both sides, amended alike. Of a split table, a row
    /// from before the split is on both sides unless it was written in the
    /// hand-over itself; a later one is only where it was written.
    fn shared_end(&self, [monolith, service]: &[Database; 2]) -> Result<(), String> {
        if monolith.appended != service.appended {
            return Err("the table that both append to differs".to_owned());
        }
        if let Some(id) = self
            .appended
            .iter()
            .find(|id| !monolith.appended.contains_key(id))
        {
            return Err(format!("appended row {id} is lost"));
        }
        if !is_split(&service.row) && monolith.split != service.split {
            return Err("the split table differs though nothing was switched".to_owned());
        }
        for (id, (by, split)) in &self.split {
            for database in [monolith, service] {
                let own = database.side == *by;
                let there = database.split.get(id).copied().unwrap_or_default();
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

fn accepts(database: &Database) -> bool {
    database.row.owner == database.side.into()
}
