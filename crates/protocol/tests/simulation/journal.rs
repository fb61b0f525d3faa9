//! What a conductor has written down, and what it leads to when it is read again.

use protocol::{
    ConductorId,
    lifecycle::{self, Lifecycle},
    rollout::{self, Rollout},
};

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Written {
    Life(lifecycle::Event),
    Step(rollout::Event),
    /// A run that is about to claim.
    Claimant(ConductorId),
}

/// Append-only. `base` is what the entries that were folded already lead to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Journal {
    pub base: (Lifecycle, Rollout),
    pub claimants: Vec<ConductorId>,
    pub entries: Vec<Written>,
}

impl Journal {
    pub fn write(&mut self, entry: Written) {
        self.entries.push(entry);
    }

    /// What a conductor that starts knows.
    pub fn replayed(&self) -> (Lifecycle, Rollout) {
        let (lifecycle, rollout) = self.base.clone();
        self.entries.iter().fold(
            (lifecycle, rollout),
            |(lifecycle, rollout), entry| match entry {
                Written::Life(event) => (lifecycle.evolve(event), rollout),
                Written::Step(event) => (lifecycle, rollout.evolve(event)),
                Written::Claimant(_) => (lifecycle, rollout),
            },
        )
    }

    /// All conductors that were about to claim, ever.
    pub fn claimants(&self) -> Vec<ConductorId> {
        let written = self.entries.iter().filter_map(|entry| match entry {
            Written::Claimant(id) => Some(*id),
            _ => None,
        });
        self.claimants.iter().copied().chain(written).collect()
    }

    /// A copy of it as it was `back` entries ago.
    pub fn copy(&self, back: usize) -> Self {
        let mut copy = self.clone();
        copy.entries
            .truncate(self.entries.len().saturating_sub(back));
        copy
    }

    /// The same after a way through what is stored.
    pub fn reread(&self) -> Result<Self, String> {
        let mut copy = self.clone();
        for entry in &mut copy.entries {
            let reread = match entry {
                Written::Life(event) => again(event).map(Written::Life),
                Written::Step(event) => again(event).map(Written::Step),
                Written::Claimant(id) => Ok(Written::Claimant(*id)),
            };
            *entry = reread.map_err(|error| error.to_string())?;
        }
        Ok(copy)
    }
}

fn again<T: serde::Serialize + serde::de::DeserializeOwned>(
    event: &T,
) -> Result<T, serde_json::Error> {
    serde_json::from_str(&serde_json::to_string(event)?)
}
