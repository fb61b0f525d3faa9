//! Freezes the shape of an extraction's tables on both sides for a while, such as
//! around a hand-over: migrations of them are refused with a reason, instead of
//! stopping a stream.
//!
//! A hand-over itself needs none: it locks the tables, and compares them anew.
//! Killed between the two sides, one is frozen, until its time is over or the
//! command is run again.

use crate::{
    database::{
        lock_retry::{self, LockRetry},
        session::Session,
        sql,
    },
    error::MoverError,
    extraction::Mover,
    objects::{freeze, owner, schema},
};
use protocol::{Epoch, Side};
use std::time::Duration;

impl Mover {
    /// Freezes the tables of both sides for so long from now; says until when, in
    /// UTC. A change that is under way when this is called has ended when it
    /// returns.
    pub async fn freeze(&self, lasts: Duration) -> Result<String, MoverError> {
        let (mut monolith, mut service) = self.begun_sessions().await?;
        let mut unready = Vec::new();
        for session in [&mut monolith, &mut service] {
            schema::bring_up_to_date(session).await?;
            let side = session.side();
            if !freeze::is_possible(&**session, side).await? {
                unready.push(format!("the {side}'s"));
            }
        }
        if !unready.is_empty() {
            let name = &self.extraction.name;
            return Err(MoverError::Data {
                object: format!("extraction `{name}`"),
                problem:
                    "its tables can only be frozen by event triggers, which a superuser makes \
                          once a database"
                        .to_owned(),
                remedy: format!(
                    "Have one run in {} database what `banyan freeze {name} --sql` prints (`... | \
                     psql DATABASE`)",
                    unready.join(" and ")
                ),
            });
        }
        let mut until = String::new();
        for session in [&mut monolith, &mut service] {
            until = self.freeze_side(session, lasts).await?;
        }
        Ok(until)
    }

    /// Ends the freeze on both sides; whether there was one.
    pub async fn unfreeze(&self) -> Result<bool, MoverError> {
        let (mut monolith, mut service) = self.begun_sessions().await?;
        let mut frozen = false;
        for session in [&mut monolith, &mut service] {
            schema::bring_up_to_date(session).await?;
            frozen |= freeze::end(&**session, session.side(), &self.extraction.name).await?;
        }
        Ok(frozen)
    }

    async fn begun_sessions(&self) -> Result<(Session, Session), MoverError> {
        let sessions = self.sessions().await?;
        let name = &self.extraction.name;
        for session in [&sessions.0, &sessions.1] {
            if owner::read(&**session, session.side(), name)
                .await?
                .is_none()
            {
                return Err(MoverError::Row {
                    extraction: name.clone(),
                    side: session.side(),
                    epoch: Epoch::default(),
                    problem: format!("it has not begun: `banyan start {name}`"),
                });
            }
        }
        Ok(sessions)
    }

    async fn freeze_side(
        &self,
        session: &mut Session,
        lasts: Duration,
    ) -> Result<String, MoverError> {
        let side = session.side();
        let tables: Vec<String> = self.tables(side).map(sql::table).collect();
        let name = &self.extraction.name;
        let until = freeze::begin(&**session, side, name, &tables, lasts).await?;
        let doing = "waiting for a change of a table that is under way";
        let mut retry = LockRetry::new(doing);
        loop {
            match still(session, side, &tables, doing).await {
                Ok(()) => return Ok(until),
                Err(error) => retry.wait_after(session, error).await?,
            }
        }
    }
}

/// Ends when no transaction changes these tables any more that began to before.
async fn still(
    session: &mut Session,
    side: Side,
    tables: &[String],
    doing: &'static str,
) -> Result<(), MoverError> {
    let wrap = || MoverError::sql(side, doing);
    let names = tables.join(", ");
    let transaction = lock_retry::begin(session).await?;
    lock_retry::displace_autovacuum(&transaction, &names)
        .await
        .map_err(wrap())?;
    // What changes a table conflicts with it, and writers do not.
    let lock = format!("lock table {names} in share update exclusive mode");
    transaction.batch_execute(&lock).await.map_err(wrap())?;
    transaction.commit().await.map_err(wrap())
}
