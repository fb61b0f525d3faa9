//! Replication slots of ours, and which cluster they are in.
//!
//! A slot belongs to one database of a cluster but its name to the whole
//! cluster: one of our name in another database is not ours, and is never
//! touched.

use crate::{
    database::{holders, session::Session},
    error::MoverError,
};
use protocol::Lsn;
use std::time::{Duration, Instant};
use tokio_postgres::error::SqlState;

/// How long a slot's reader may take to end once it was told to.
const DROP_LIMIT: Duration = Duration::from_secs(10);

/// How long the making of a slot may wait for transactions that run.
pub(crate) const CREATE_LIMIT: Duration = Duration::from_secs(30);

/// The making of a slot, in messages.
const MAKING: &str = "making a replication slot, which waits for all transactions that run,";

/// How often a slot that is still read from is looked at.
const INTERVAL: Duration = Duration::from_millis(50);

/// A slot of this database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slot {
    /// Everything before has been confirmed by its reader.
    pub(crate) confirmed: Lsn,
    /// Whether the server has thrown away log that the slot still needed.
    pub(crate) lost: bool,
}

/// A cluster, as its log's positions need it: they mean something only there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClusterIdentity {
    pub(crate) system_identifier: String,
    pub(crate) timeline: i32,
}

/// The cluster of a session, and the timeline that it writes. The control
/// file's timeline lags behind a promotion; the name of the current log file
/// does not.
pub(crate) async fn cluster(session: &Session) -> Result<ClusterIdentity, MoverError> {
    let side = session.side();
    let row = session
        .query_one(
            "select system_identifier::text, left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) \
             from pg_control_system()",
            &[],
        )
        .await
        .map_err(MoverError::sql(side, "asking for the system identifier"))?;
    let hex: String = row.get(1);
    let timeline = i32::from_str_radix(&hex, 16).map_err(|_| MoverError::Data {
        object: format!("the {side}'s log"),
        problem: "the name of its current file has no timeline".to_owned(),
        remedy: "Use a server of PostgreSQL's".to_owned(),
    })?;
    Ok(ClusterIdentity {
        system_identifier: row.get(0),
        timeline,
    })
}

/// Looks for a slot of this database.
pub(crate) async fn find(session: &Session, name: &str) -> Result<Option<Slot>, MoverError> {
    let side = session.side();
    let row = session
        .query_opt(
            "select database = current_database(), confirmed_flush_lsn::text, \
                coalesce(wal_status = 'lost', false) \
             from pg_replication_slots where slot_name = $1",
            &[&name],
        )
        .await
        .map_err(MoverError::sql(side, "looking for a replication slot"))?;
    let Some(row) = row else { return Ok(None) };
    if row.get::<_, Option<bool>>(0) != Some(true) {
        return Err(MoverError::Data {
            object: format!("replication slot {name}"),
            problem: format!("it exists in the {side}'s cluster, for another database"),
            remedy: "Give the extraction another name, or cancel the other one".to_owned(),
        });
    }
    let confirmed = row
        .get::<_, Option<String>>(1)
        .and_then(|text| text.parse().ok());
    Ok(Some(Slot {
        confirmed: confirmed.unwrap_or_default(),
        lost: row.get(2),
    }))
}

/// Makes a slot and returns the position it starts from. Waits for the
/// transactions that run, for [`CREATE_LIMIT`] at most.
pub(crate) async fn create(session: &Session, name: &str) -> Result<Lsn, MoverError> {
    let side = session.side();
    let doing = MAKING;
    let limits = format!(
        "set lock_timeout = 0; set statement_timeout = {}",
        CREATE_LIMIT.as_millis()
    );
    session
        .batch_execute(&limits)
        .await
        .map_err(MoverError::sql(side, doing))?;
    let made = session
        .query_one(
            "select lsn::text from pg_create_logical_replication_slot($1, 'pgoutput')",
            &[&name],
        )
        .await;
    let usual = "set lock_timeout = '10s'; set statement_timeout = 0";
    session
        .batch_execute(usual)
        .await
        .map_err(MoverError::sql(side, doing))?;
    let row = match made {
        Err(error) if error.code() == Some(&SqlState::QUERY_CANCELED) => {
            return Err(waited_too_long(session).await);
        }
        made => made.map_err(MoverError::sql(side, doing))?,
    };
    Ok(row.get::<_, String>(0).parse().unwrap_or_default())
}

/// A slot could not be made within [`CREATE_LIMIT`]; a session of the same
/// server says because of whom.
pub(crate) async fn waited_too_long(session: &Session) -> MoverError {
    let side = session.side();
    match holders::of_transactions(session).await {
        Ok(by) => MoverError::Blocked {
            side,
            doing: MAKING,
            limit: CREATE_LIMIT,
            by,
        },
        Err(source) => MoverError::sql(side, MAKING)(source),
    }
}

/// Drops a slot of this database, after terminating its reader. True if there
/// was one.
pub(crate) async fn drop_if_exists(session: &Session, name: &str) -> Result<bool, MoverError> {
    let side = session.side();
    let doing = "dropping a replication slot";
    let started = Instant::now();
    let mut found = false;
    loop {
        let terminated = session
            .query_opt(
                "select active_pid is not null and pg_terminate_backend(active_pid) \
                 from pg_replication_slots \
                 where slot_name = $1 and database = current_database()",
                &[&name],
            )
            .await
            .map_err(MoverError::sql(side, doing))?;
        let Some(terminated) = terminated else {
            return Ok(found);
        };
        found = true;
        if !terminated.get::<_, bool>(0) {
            match session
                .execute("select pg_drop_replication_slot($1)", &[&name])
                .await
            {
                Ok(_) => return Ok(true),
                Err(error) if error.code() == Some(&SqlState::OBJECT_IN_USE) => {}
                Err(error) if error.code() == Some(&SqlState::UNDEFINED_OBJECT) => return Ok(true),
                Err(source) => {
                    return Err(MoverError::Sql {
                        side,
                        doing,
                        source,
                    });
                }
            }
        }
        if started.elapsed() > DROP_LIMIT {
            return Err(MoverError::Deadline {
                side,
                doing,
                limit: DROP_LIMIT,
            });
        }
        tokio::time::sleep(INTERVAL).await;
    }
}
