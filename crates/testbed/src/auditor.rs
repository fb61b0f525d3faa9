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

/// Compares a record of writes with the databases.
#[derive(Debug)]
pub struct Auditor {
    monolith: String,
    service: Option<String>,
    run: String,
    events_before: i64,
    documents_before: i64,
}

impl Auditor {
    /// Counts what is there before any write of this run. Without a service
    /// only the monolith is looked at.
    pub async fn begin(monolith: &str, service: Option<&str>, run: &str) -> Result<Self> {
        let client = connect_url(monolith).await?;
        Ok(Self {
            events_before: writes::count_of_others(&client, Side::Monolith, run).await?,
            documents_before: writes::documents_of_others(&client, run).await?,
            monolith: monolith.to_owned(),
            service: service.map(str::to_owned),
            run: run.to_owned(),
        })
    }

    /// Waits until both sides hold the same number of everything, which they
    /// do once the streams have caught up, and then looks at all of it. If
    /// they never do, the audit says what differs.
    pub async fn audit(&self, claims: &[Claim]) -> Result<Audit> {
        let monolith = connect_url(&self.monolith).await?;
        let service = match &self.service {
            Some(url) => Some(connect_url(url).await?),
            None => None,
        };
        let mut audit = Audit::default();
        for claim in claims {
            match claim.outcome {
                Outcome::Acknowledged => audit.acknowledged += 1,
                Outcome::Unknown => audit.unknown += 1,
                Outcome::Refused => audit.refused += 1,
            }
        }
        if let Some(service) = &service {
            let what = "both sides to hold the same sums";
            let waited = deadline::until(what, CATCH_UP_LIMIT, async || {
                let here = rows::sums(&monolith, Side::Monolith).await?;
                let there = rows::sums(service, Side::Service).await?;
                Ok((here == there).then_some(()))
            });
            if let Err(error) = waited.await {
                audit.differences.push(format!("{error:#}"));
            }
        }
        self.audit_side(&monolith, Side::Monolith, claims, &mut audit)
            .await?;
        self.audit_documents(&monolith, claims, &mut audit).await?;
        if let Some(service) = &service {
            self.audit_side(service, Side::Service, claims, &mut audit)
                .await?;
            rows::compare(&monolith, service, &mut audit).await?;
        }
        Ok(audit)
    }

    async fn audit_side(
        &self,
        client: &Client,
        side: Side,
        claims: &[Claim],
        audit: &mut Audit,
    ) -> Result<()> {
        let found = writes::events(client, side, &self.run).await?;
        judge(claims, Target::Event, &found, side.name(), audit);
        let others = writes::count_of_others(client, side, &self.run).await?;
        self.judge_others("events", others, self.events_before, side, audit);
        audit
            .contradictions
            .extend(rows::wrong_versions(client, side).await?);
        audit
            .contradictions
            .extend(rows::sequences_behind(client, side).await?);
        Ok(())
    }

    async fn audit_documents(
        &self,
        client: &Client,
        claims: &[Claim],
        audit: &mut Audit,
    ) -> Result<()> {
        let found = writes::documents(client, &self.run).await?;
        judge(claims, Target::Document, &found, "monolith", audit);
        let others = writes::documents_of_others(client, &self.run).await?;
        self.judge_others(
            "documents",
            others,
            self.documents_before,
            Side::Monolith,
            audit,
        );
        Ok(())
    }

    fn judge_others(&self, what: &str, now: i64, before: i64, side: Side, audit: &mut Audit) {
        let (run, side) = (&self.run, side.name());
        let text = format!("{side}: {now} {what} that are not of {run}, {before} before it");
        match now.cmp(&before) {
            std::cmp::Ordering::Less => _ = audit.lost.insert(text.clone(), text),
            std::cmp::Ordering::Greater => _ = audit.doubled.insert(text.clone(), text),
            std::cmp::Ordering::Equal => {}
        }
    }
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
