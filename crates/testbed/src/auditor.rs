//! The auditor: takes no part in the work, trusts no report, and reads both
//! databases with SQL of its own.
//!
//! Given the record of writes it answers: does every acknowledged write exist
//! exactly once, on both sides? Does any other exist that must not? Do both
//! sides hold the same rows? It shares no code with the mover.

mod findings;
mod rows;
mod writes;

pub use findings::{Audit, Side};

use crate::cluster::connect_url;
use crate::deadline;
use crate::monolith::{BackgroundOutcome, BackgroundWrite};
use crate::workload::{Outcome, Target, Write};
use anyhow::Result;
use rows::Table;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio_postgres::Client;

/// How long the streams may need to catch up once writes have ended.
const CATCH_UP_LIMIT: Duration = Duration::from_secs(30);

/// What is looked for in the databases.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The write's unique name.
    pub reference: String,
    /// Where it must be found.
    pub target: Target,
    /// What its sender was told.
    pub outcome: Outcome,
}

impl Claim {
    /// Those of the workload's writes, and of a background writer's.
    pub fn all(writes: &[Write], background: &[BackgroundWrite]) -> Vec<Self> {
        let background = background.iter().map(Self::from);
        writes.iter().map(Self::from).chain(background).collect()
    }
}

impl From<&Write> for Claim {
    fn from(write: &Write) -> Self {
        let Write {
            reference,
            target,
            outcome,
            ..
        } = write;
        Self {
            reference: reference.clone(),
            target: *target,
            outcome: *outcome,
        }
    }
}

impl From<&BackgroundWrite> for Claim {
    fn from(write: &BackgroundWrite) -> Self {
        let outcome = match write.outcome {
            BackgroundOutcome::Acknowledged => Outcome::Acknowledged,
            BackgroundOutcome::Unknown => Outcome::Unknown,
            BackgroundOutcome::Refused | BackgroundOutcome::Failed => Outcome::Refused,
        };
        Self {
            reference: write.reference.clone(),
            target: Target::Event,
            outcome,
        }
    }
}

/// A capability of the example that may have moved.
#[derive(Debug)]
struct Capability {
    /// What its writes leave.
    target: Target,
    tables: &'static [Table],
    /// The database of its service, where it has one.
    service: Option<String>,
    /// How many there were that are not of this run.
    before: i64,
}

/// Compares a record of writes with the databases.
#[derive(Debug)]
pub struct Auditor {
    monolith: String,
    run: String,
    capabilities: Vec<Capability>,
}

impl Auditor {
    /// Counts what is there before any write of this run: of contracts, whose service may
    /// have a database, and of documents, which stay. Without a service only the monolith
    /// is looked at.
    pub async fn begin(monolith: &str, service: Option<&str>, run: &str) -> Result<Self> {
        let mut auditor = Self {
            monolith: monolith.to_owned(),
            run: run.to_owned(),
            capabilities: Vec::new(),
        };
        auditor
            .add(Target::Event, &rows::CONTRACTS, service)
            .await?;
        auditor
            .add(Target::Document, &rows::DOCUMENTS, None)
            .await?;
        Ok(auditor)
    }

    /// Documents move, too, to a database of their service.
    #[must_use]
    pub fn documents_in(mut self, service: &str) -> Self {
        for one in &mut self.capabilities {
            if one.target == Target::Document {
                one.service = Some(service.to_owned());
            }
        }
        self
    }

    /// And so do users.
    pub async fn users_in(mut self, service: &str) -> Result<Self> {
        self.add(Target::User, &rows::USERS, Some(service)).await?;
        Ok(self)
    }

    async fn add(
        &mut self,
        target: Target,
        tables: &'static [Table],
        service: Option<&str>,
    ) -> Result<()> {
        let client = connect_url(&self.monolith).await?;
        let place = (target, Side::Monolith);
        self.capabilities.push(Capability {
            target,
            tables,
            service: service.map(str::to_owned),
            before: writes::count_of_others(&client, place, &self.run).await?,
        });
        Ok(())
    }

    /// Waits until both sides hold the same, which they do once the streams have caught
    /// up, and looks at all of it. If they never do, the audit says what differs.
    pub async fn audit(&self, claims: &[Claim]) -> Result<Audit> {
        let monolith = connect_url(&self.monolith).await?;
        let mut audit = Audit::default();
        for claim in claims {
            match claim.outcome {
                Outcome::Acknowledged => audit.acknowledged += 1,
                Outcome::Unknown => audit.unknown += 1,
                Outcome::Refused => audit.refused += 1,
            }
        }
        for capability in &self.capabilities {
            let service = match &capability.service {
                Some(url) => Some(connect_url(url).await?),
                None => None,
            };
            if let Some(service) = &service {
                compare(capability.tables, &monolith, service, &mut audit).await?;
            }
            let sides = [
                (Some(&monolith), Side::Monolith),
                (service.as_ref(), Side::Service),
            ];
            for (client, side) in sides {
                if let Some(client) = client {
                    self.audit_side(capability, (client, side), claims, &mut audit)
                        .await?;
                }
            }
        }
        Ok(audit)
    }

    async fn audit_side(
        &self,
        capability: &Capability,
        (client, side): (&Client, Side),
        claims: &[Claim],
        audit: &mut Audit,
    ) -> Result<()> {
        let target = capability.target;
        let found = writes::references(client, (target, side), &self.run).await?;
        judge(claims, target, &found, side.name(), audit);
        let others = writes::count_of_others(client, (target, side), &self.run).await?;
        self.judge_others(capability, others, side, audit);
        if target == Target::Event {
            let versions = rows::wrong_versions(client, side).await?;
            let sequences = rows::sequences_behind(client, side).await?;
            audit
                .contradictions
                .extend(versions.into_iter().chain(sequences));
        }
        Ok(())
    }

    fn judge_others(&self, capability: &Capability, now: i64, side: Side, audit: &mut Audit) {
        let Capability { target, before, .. } = capability;
        let (run, side) = (&self.run, side.name());
        let text = format!("{side}: {now} of {target:?} that are not of {run}, {before} before it");
        match now.cmp(before) {
            std::cmp::Ordering::Less => _ = audit.lost.insert(text.clone(), text),
            std::cmp::Ordering::Greater => _ = audit.doubled.insert(text.clone(), text),
            std::cmp::Ordering::Equal => {}
        }
    }
}

/// Compares both sides' rows, once they have caught up.
async fn compare(
    tables: &[Table],
    monolith: &Client,
    service: &Client,
    audit: &mut Audit,
) -> Result<()> {
    let what = "both sides to hold the same sums";
    let waited = deadline::until(what, CATCH_UP_LIMIT, async || {
        let here = rows::sums(tables, monolith, Side::Monolith).await?;
        let there = rows::sums(tables, service, Side::Service).await?;
        Ok((here == there).then_some(()))
    });
    if let Err(error) = waited.await {
        audit.differences.push(format!("{error:#}"));
    }
    rows::compare(tables, monolith, service, audit).await
}

/// Compares claims with how often each reference was found.
fn judge(
    claims: &[Claim],
    target: Target,
    found: &BTreeMap<String, i64>,
    side: &str,
    audit: &mut Audit,
) {
    let mut unclaimed = found.clone();
    for claim in claims.iter().filter(|claim| claim.target == target) {
        let Claim {
            reference, outcome, ..
        } = claim;
        let count = unclaimed.remove(reference).unwrap_or(0);
        let text = format!("{side}: {outcome:?} {target:?} {reference} is there {count} times");
        match (outcome, count) {
            (Outcome::Acknowledged, 0) => _ = audit.lost.insert(reference.clone(), text),
            (Outcome::Acknowledged | Outcome::Unknown, 2..) | (Outcome::Refused, 1..) => {
                audit.doubled.insert(reference.clone(), text);
            }
            _ => {}
        }
    }
    for (reference, count) in unclaimed {
        let text = format!("{side}: {target:?} {reference} is there {count} times, nobody sent it");
        audit.doubled.insert(reference, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(reference: &str, outcome: Outcome) -> Claim {
        Claim {
            reference: reference.to_owned(),
            target: Target::Event,
            outcome,
        }
    }

    fn judged(claims: &[Claim], found: &[(&str, i64)]) -> (usize, usize) {
        let found = found
            .iter()
            .map(|(name, count)| ((*name).to_owned(), *count))
            .collect();
        let mut audit = Audit::default();
        judge(claims, Target::Event, &found, "here", &mut audit);
        (audit.lost.len(), audit.doubled.len())
    }

    #[test]
    fn every_kind_of_wrong_write_is_found() {
        let acknowledged = [claim("a", Outcome::Acknowledged)];
        let unknown = [claim("a", Outcome::Unknown)];
        let refused = [claim("a", Outcome::Refused)];
        assert_eq!(judged(&acknowledged, &[("a", 1)]), (0, 0));
        assert_eq!(judged(&acknowledged, &[]), (1, 0));
        assert_eq!(judged(&acknowledged, &[("a", 2)]), (0, 1));
        assert_eq!(judged(&unknown, &[]), (0, 0));
        assert_eq!(judged(&unknown, &[("a", 1)]), (0, 0));
        assert_eq!(judged(&unknown, &[("a", 2)]), (0, 1));
        assert_eq!(judged(&refused, &[("a", 1)]), (0, 1));
        assert_eq!(judged(&refused, &[]), (0, 0));
        assert_eq!(judged(&[], &[("a", 1)]), (0, 1));
    }
}
