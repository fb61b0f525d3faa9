//! Looks only at the databases and at what clients were told.

use crate::database::{Database, WriteId};
use protocol::{Side, owner::Owner};
use std::collections::BTreeSet;

#[derive(Default)]
pub struct Auditor {
    acknowledged: BTreeSet<WriteId>,
    refused: BTreeSet<WriteId>,
}

impl Auditor {
    pub fn acknowledged(&mut self, id: WriteId) {
        self.acknowledged.insert(id);
    }

    pub fn refused(&mut self, id: WriteId) {
        self.refused.insert(id);
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
        match owner {
            Some(side) if accepts(&databases[usize::from(side == Side::Service)]) => Ok(()),
            _ => Err(format!("the owner, {owner:?}, does not accept writes")),
        }
    }
}

fn accepts(database: &Database) -> bool {
    database.row.owner == database.side.into()
}
