//! Looks at both databases and says what cannot be moved safely, before
//! anything is touched.
//!
//! Facts are gathered first, in a read-only transaction of each side; rules
//! over them make the findings. Rules are pure, so that each can be tested as
//! a table. One look reports everything: a side that cannot be reached is a
//! finding as well, and the other side is still looked at.
//!
//! A connection pooler is proven before a session of ours is opened: the
//! settings of such a session would stay behind in a pooled connection, and
//! meet the application there ([`direct`]).

mod border;
mod columns;
mod direct;
mod facts;
mod relations;
mod server;
pub mod sharing;
mod tables;

use crate::{Mover, MoverError, connect::Session};
use direct::Directness;
use facts::SideFacts;
use protocol::{Side, finding::Finding};
use std::fmt;

/// An error that came up while looking is itself a finding.
fn unreadable(side: Side, database: &impl fmt::Display, error: &MoverError) -> Finding {
    let object = format!("the {side}'s database {database}");
    match error {
        MoverError::Connect { reason, remedy, .. } => {
            Finding::refuse(object, format!("it cannot be used: {reason}"), *remedy)
        }
        MoverError::Data {
            object,
            problem,
            remedy,
        } => Finding::refuse(object.as_str(), problem.as_str(), remedy.as_str()),
        error => Finding::refuse(
            object,
            error.to_string(),
            "Give the role of the plan the rights that this needs, then check again",
        ),
    }
}

impl Mover {
    /// Everything that speaks against moving this extraction; refusals first.
    /// Touches nothing. What goes wrong while looking is a finding, not an
    /// error.
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
                    findings.extend(tables::of_side(side, facts, &self.extraction));
                    findings.extend(border::of_side(side, facts, &self.extraction));
                }
                Err(finding) => findings.push(finding.clone()),
            }
        }
        if let (Ok(monolith), Ok(service)) = (&monolith, &service) {
            findings.extend(server::of_both(monolith, service));
            findings.extend(columns::of_both(monolith, service, &self.extraction));
        }
        findings.sort_by_key(|finding| finding.severity);
        Ok(findings)
    }

    async fn look(&self, side: Side) -> Result<SideFacts, Finding> {
        let database = self.database(side);
        if let Directness::Pooled(evidence) = direct::probe(database).await {
            return Err(Finding::refuse(
                format!("the {side}'s database {database}"),
                format!("a connection pooler answers there: {evidence}"),
                "Put the database server's own address into the plan; a fence needs sessions that \
                 keep their connection",
            ));
        }
        let found = async {
            let session = Session::open(side, database).await?;
            facts::gather(&session, self).await
        };
        found
            .await
            .map_err(|error| unreadable(side, database, &error))
    }
}
