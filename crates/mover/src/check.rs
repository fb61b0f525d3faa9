//! Inspects both databases and reports what cannot be moved safely, before
//! anything is changed.
//!
//! Facts are gathered first, in a read-only transaction of each side; rules
//! over them make the findings. Rules are pure, so that each can be tested as
//! a table. One run reports everything: a side that cannot be reached is a
//! finding as well, and the other side is still looked at.
//!
//! A connection pooler is proven before a session of ours is opened: the
//! settings of such a session would stay behind in a pooled connection, and
//! meet the application there ([`pooler`]).

mod boundary;
mod cautions;
mod columns;
mod constraints;
mod definitions;
mod error_finding;
mod facts;
#[cfg(test)]
mod fixtures;
mod functions;
mod large_objects;
mod pooler;
mod publication;
mod relations;
mod retention;
mod rights;
mod row_rules;
mod schema;
mod sequences;
mod server;
mod settings;
mod shared_facts;
mod shared_tables;
pub mod sharing;
mod staying;
mod staying_facts;
mod tables;

use crate::{database::session::Session, error::MoverError, extraction::Mover};
use facts::SideFacts;
use pooler::Directness;
use protocol::{
    Side,
    finding::{Finding, FindingId as Id},
};

impl Mover {
    /// Everything that speaks against moving this extraction; refusals first.
    /// Changes nothing. An error while reading is a finding, not an error.
    pub async fn check(&self) -> Result<Vec<Finding>, MoverError> {
        let (monolith, service) = tokio::join!(
            Box::pin(self.look(Side::Monolith)),
            Box::pin(self.look(Side::Service))
        );
        let mut findings = Vec::new();
        for (side, facts) in [(Side::Monolith, &monolith), (Side::Service, &service)] {
            match facts {
                Ok(facts) => {
                    findings.extend(server::of_side(side, facts));
                    findings.extend(retention::of_side(side, facts));
                    findings.extend(tables::of_side(side, facts, &self.extraction));
                    findings.extend(functions::of_side(side, &facts.functions));
                    findings.extend(boundary::of_side(side, facts, &self.extraction));
                    findings.extend(publication::of_side(side, facts, self));
                }
                Err(finding) => findings.push(finding.clone()),
            }
        }
        if let (Ok(monolith), Ok(service)) = (&monolith, &service) {
            findings.extend(server::of_both(monolith, service));
            findings.extend(columns::of_both(monolith, service, &self.extraction));
            findings.extend(constraints::of_both(monolith, service, &self.extraction));
            findings.extend(sequences::of_both(monolith, service, &self.extraction));
            findings.extend(shared_tables::of_both(monolith, service, &self.extraction));
        }
        if let Ok(monolith) = &monolith {
            findings.extend(shared_tables::proposals(monolith));
            findings.extend(staying::of_monolith(&monolith.staying));
        }
        cautions::of_names(&mut findings, &self.extraction.data.tables);
        if service.as_ref().is_ok_and(SideFacts::in_use) {
            cautions::of_use(&mut findings);
        }
        cautions::of_the_whole(&mut findings);
        findings.sort_by_key(|finding| finding.severity);
        Ok(findings)
    }

    async fn look(&self, side: Side) -> Result<SideFacts, Finding> {
        let database = self.database(side);
        if let Directness::Pooled(evidence) = pooler::probe(database).await {
            return Err(Finding::refuse(
                Id::Pooler,
                format!("the {side}'s database {database}"),
                format!("a connection pooler answers there: {evidence}"),
                "Put the database server's own address into the plan; a fence needs sessions that \
                 keep their connection",
            ));
        }
        let found = async {
            let session = Session::open(side, database).await?;
            if let Some(finding) = server::too_old(&session).await? {
                return Ok(Err(finding));
            }
            if let Some(finding) = schema::of_another(&session).await? {
                return Ok(Err(finding));
            }
            facts::gather(&session, self).await.map(Ok)
        };
        found
            .await
            .unwrap_or_else(|error| Err(error_finding::of_error(side, database, &error)))
    }
}
