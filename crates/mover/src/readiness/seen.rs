//! What was seen while following, as the databases keep it, and what of it
//! stands in the way of a hand-over.

use super::blocker::{Blocker, blocker};
use crate::{
    database::session::Session,
    error::MoverError,
    extraction::Mover,
    objects::{
        freeze,
        notes::{self, DiscardedRows, Looking, Writer},
        owner::{self, Claims, RowLock},
        refusals::{self, Refusals},
    },
};
use plan::{ExtractionName, WriterPattern};
use protocol::{
    Side,
    finding::{Finding, FindingId},
};
use serde::Serialize;
use std::{collections::BTreeSet, time::Duration};

/// What was seen of one extraction and not forgotten.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Observations {
    /// For how long it was looked who writes.
    pub looking: Looking,
    /// Who was seen to write the monolith's tables.
    pub writers: Vec<Writer>,
    /// Rows that were written past a fence.
    pub discarded: Vec<DiscardedRows>,
    /// Statements that a fence has refused, of each side that counts them.
    pub refused: Vec<Refusals>,
    /// Until when the shape of a side's tables is frozen, in UTC, where it is.
    pub frozen: Vec<(Side, String)>,
}

impl Mover {
    /// All that was seen and not forgotten.
    pub async fn seen(&self) -> Result<Observations, MoverError> {
        let (monolith, service) = self.sessions().await?;
        read(self, &monolith, &mut Some(service)).await
    }

    /// The same without the service's part where that does not answer: nothing
    /// to decide by.
    pub async fn seen_by_the_monolith(&self) -> Result<Observations, MoverError> {
        let monolith = Session::open(Side::Monolith, self.database(Side::Monolith)).await?;
        read(self, &monolith, &mut None).await
    }

    /// Forgets the writers of this `application_name`; says how many there were.
    /// One that writes again is seen again.
    pub async fn forget_writer(&self, application: &str) -> Result<u64, MoverError> {
        let side = Side::Monolith;
        let session = Session::open(side, self.database(side)).await?;
        notes::forget_writer(&*session, &self.extraction.name, application).await
    }

    /// Both sides agree, and did after these rows had been noticed: forgets
    /// them. Those that have come since stay.
    pub async fn clear_discarded(
        &self,
        claims: &Claims,
        noticed: &[DiscardedRows],
    ) -> Result<(), MoverError> {
        for one in noticed {
            let target = one.side.other();
            let name = &self.extraction.name;
            let mut session = Session::open(target, self.database(target)).await?;
            let wrap = || MoverError::sql(target, "clearing the rows past the fence");
            let transaction = session.client_mut().transaction().await.map_err(wrap())?;
            let claim = claims.of(target);
            owner::locked(&transaction, target, name, claim, RowLock::Share).await?;
            notes::clear_discarded(&transaction, target, name, one.rows).await?;
            transaction.commit().await.map_err(wrap())?;
        }
        Ok(())
    }
}

/// Reads it; without a session at the service one is opened, and where it does
/// not answer its part is left out.
pub(super) async fn read(
    mover: &Mover,
    monolith: &Session,
    service: &mut Option<Session>,
) -> Result<Observations, MoverError> {
    let name = &mover.extraction.name;
    let (mut discarded, mut refused) = (Vec::new(), Vec::new());
    let layout = mover.layout();
    refused.extend(refusals::read(&**monolith, Side::Monolith, &layout).await);
    let mut frozen = Vec::new();
    let until = freeze::until(&**monolith, Side::Monolith, name).await?;
    frozen.extend(until.map(|until| (Side::Monolith, until)));
    discarded.extend(notes::discarded(&**monolith, Side::Monolith, name).await?);
    if service.as_ref().is_none_or(|session| session.is_closed()) {
        let side = Side::Service;
        *service = Session::open(side, mover.database(side)).await.ok();
    }
    if let Some(session) = service {
        refused.extend(refusals::read(&**session, Side::Service, &layout).await);
        let until = freeze::until(&**session, Side::Service, name).await?;
        frozen.extend(until.map(|until| (Side::Service, until)));
        discarded.extend(notes::discarded(&**session, Side::Service, name).await?);
    }
    let mut writers = notes::writers(&**monolith, name).await?;
    let tables: BTreeSet<String> = mover
        .tables(Side::Monolith)
        .map(ToString::to_string)
        .collect();
    for writer in &mut writers {
        // One that stayed when that was seen may have joined.
        writer.together_with.retain(|table| !tables.contains(table));
    }
    Ok(Observations {
        looking: notes::looking(&**monolith, name).await?,
        writers,
        discarded,
        refused,
        frozen,
    })
}

/// How a writer is called: one without a name is none.
fn named(writer: &Writer) -> String {
    let Writer {
        application,
        role,
        address,
        ..
    } = writer;
    let from = match address.as_str() {
        "" => String::new(),
        address => format!(", from {address}"),
    };
    match application.as_str() {
        "" => format!("a writer without an application_name (role {role}{from})"),
        name => format!("the writer `{name}` (role {role}{from})"),
    }
}

fn listed(tables: &BTreeSet<String>) -> String {
    let tables: Vec<&str> = tables.iter().map(String::as_str).collect();
    tables.join(", ")
}

impl Observations {
    /// Rows past a fence that no clean verify has cleared: the sides differ, or
    /// nobody knows that they do not.
    pub fn strangers_rows(&self, extraction: &ExtractionName) -> Vec<Blocker> {
        let blocked = |one: &DiscardedRows| {
            let (side, other) = (one.side, one.side.other());
            blocker(
                format!("the {side}'s tables"),
                format!(
                    "{} changes of rows were written there past the fence (the first at {}, the \
                     last at {}), and the {other} does not have them",
                    one.rows, one.first_seen, one.last_seen
                ),
                &format!(
                    "Run `banyan verify {extraction}`: it lists the rows that differ. Save what is \
                     to be kept; `banyan recopy {extraction}` makes the {side}'s as the {other}'s (not \
                     where both sides insert into a table). Then verify again: once it finds none, this is cleared"
                ),
            )
        };
        self.discarded.iter().map(blocked).collect()
    }

    /// Writers that the plan does not declare, and transactions that no switch
    /// can keep whole: all of them.
    pub fn writers_in_the_way(
        &self,
        extraction: &ExtractionName,
        declared: &[WriterPattern],
    ) -> Vec<Blocker> {
        let mut found = Vec::new();
        for writer in &self.writers {
            let forget = format!(
                "if it does not come back: `banyan writers {extraction} --forget '{}'`",
                writer.application
            );
            if !WriterPattern::any(declared, &writer.application) {
                let remedy = if writer.application.is_empty() {
                    format!(
                        "Give it a name by PGAPPNAME or its driver's setting (Django: OPTIONS' \
                         `application_name`), then send it through the gateway or declare the \
                         name under `data.writers`; {forget}"
                    )
                } else {
                    format!(
                        "Send it through the gateway, or accept that its writes are refused once \
                         the service owns: add it under `data.writers` (`*` is any text, such as a \
                         process's number) and `banyan reload`; {forget}"
                    )
                };
                let problem = format!(
                    "it writes tables that move ({}; last at {}), and the plan does not declare it",
                    listed(&writer.tables),
                    writer.last_seen
                );
                found.push(blocker(named(writer), problem, &remedy));
            }
            if !writer.together_with.is_empty() {
                let problem = format!(
                    "its transactions write tables that stay ({}) together with tables that move \
                     ({}); the last at {}",
                    listed(&writer.together_with),
                    listed(&writer.tables),
                    writer.last_seen
                );
                let remedy = format!(
                    "Move those tables as well, list one that both sides write with `writes: \
                     append` or `split`, or split the transaction; {forget}"
                );
                found.push(blocker(named(writer), problem, &remedy));
            }
        }
        found
    }

    /// It was not looked for long enough who writes.
    pub fn too_short(&self, observe: Duration) -> Option<Blocker> {
        let left = self.still_to_look(observe);
        if left.is_zero() {
            return None;
        }
        Some(blocker(
            "the monolith's writers",
            format!(
                "they have been looked for during {:.0} s, and the plan wants {} s",
                self.looking.seconds,
                observe.as_secs()
            ),
            &format!(
                "Wait {} s more, or lower `switch.observe`",
                left.as_secs().max(1)
            ),
        ))
    }

    /// For how much longer it has to be looked before a switch.
    pub fn still_to_look(&self, observe: Duration) -> Duration {
        let looked = Duration::try_from_secs_f64(self.looking.seconds).unwrap_or_default();
        observe.saturating_sub(looked)
    }

    /// The same as findings of `check`: they stand in the way of a switch, not
    /// of a start.
    pub fn findings(
        &self,
        extraction: &ExtractionName,
        declared: &[WriterPattern],
    ) -> Vec<Finding> {
        let mut found = self.strangers_rows(extraction);
        found.extend(self.writers_in_the_way(extraction, declared));
        let warn = |one: Blocker| {
            Finding::warn(FindingId::SeenWriting, one.object, one.problem, one.remedy)
        };
        found.into_iter().map(warn).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writer(application: &str, together_with: &[&str]) -> Writer {
        let set = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Writer {
            application: application.to_owned(),
            role: "app".to_owned(),
            address: "10.0.0.7".to_owned(),
            tables: set(&["orders"]),
            together_with: set(together_with),
            sightings: 3,
            first_seen: "2026-01-01T00:00:00Z".to_owned(),
            last_seen: "2026-01-02T00:00:00Z".to_owned(),
        }
    }

    #[test]
    fn all_tables_of_a_mixed_transaction_are_named_and_no_writer_is_called_nothing() {
        let extraction = ExtractionName::new("shop").unwrap();
        let web = WriterPattern::new("w*b".to_owned()).unwrap();
        let seen = Observations {
            writers: vec![writer("", &[]), writer("web", &["audit", "points"])],
            ..Observations::default()
        };
        let found = seen.writers_in_the_way(&extraction, &[web]);
        let text: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert_eq!(text.len(), 2, "{text:?}");
        assert!(text[0].contains("without an application_name (role app, from 10.0.0.7)"));
        assert!(text[0].contains("PGAPPNAME"), "{}", text[0]);
        assert!(text[1].contains("(audit, points)"), "{}", text[1]);
        assert!(text[1].contains("banyan writers shop --forget 'web'"));
        assert!(seen.findings(&extraction, &[]).len() == 3);
    }

    #[test]
    fn looking_takes_its_time() {
        let mut seen = Observations::default();
        let observe = Duration::from_mins(1);
        assert!(
            seen.too_short(observe)
                .unwrap()
                .problem
                .contains("wants 60 s")
        );
        seen.looking.seconds = 59.5;
        assert_eq!(seen.still_to_look(observe), Duration::from_millis(500));
        seen.looking.seconds = 60.0;
        assert_eq!(seen.too_short(observe), None);
        assert_eq!(seen.too_short(Duration::ZERO), None);
    }
}
