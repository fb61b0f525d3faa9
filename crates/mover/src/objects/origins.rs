//! Replication origins: by them the other direction's follower distinguishes
//! our writes from the users'.

use crate::{
    database::{lock_retry::LockRetry, session::Session},
    error::MoverError,
    layout::{COPY_WORKERS, Layout},
};
use protocol::Side;
use tokio_postgres::Transaction;

/// Makes an origin, unless it exists.
pub(crate) async fn create(
    transaction: &Transaction<'_>,
    name: &str,
) -> Result<(), tokio_postgres::Error> {
    transaction
        .execute(
            "select pg_replication_origin_create($1) \
             where pg_replication_origin_oid($1) is null",
            &[&name],
        )
        .await
        .map(drop)
}

/// Has a session write under an origin. Only one can at a time: an earlier one may
/// be just ending.
pub(crate) async fn take(
    session: &Session,
    name: &str,
    doing: &'static str,
) -> Result<(), MoverError> {
    let mut retry = LockRetry::new(doing);
    loop {
        let taken = session
            .execute("select pg_replication_origin_session_setup($1)", &[&name])
            .await
            .map_err(MoverError::sql(session.side(), doing));
        match taken {
            Ok(_) => return Ok(()),
            Err(error) => retry.wait_after(session, error).await?,
        }
    }
}

/// Lets go of it now: a closed session does so later, for which the next to take it
/// or drop it would have to wait.
pub(crate) async fn leave(session: &Session) -> Result<(), MoverError> {
    session
        .batch_execute("select pg_replication_origin_session_reset()")
        .await
        .map_err(MoverError::sql(
            session.side(),
            "leaving the replication origin",
        ))
}

/// Drops a side's origin, if it exists.
pub(crate) async fn drop_if_exists(
    transaction: &Transaction<'_>,
    name: &str,
) -> Result<(), tokio_postgres::Error> {
    transaction
        .execute(
            "select pg_replication_origin_drop(roname) from pg_replication_origin \
             where roname = $1",
            &[&name],
        )
        .await
        .map(drop)
}

/// Drops the origins of the copy's workers.
pub(crate) async fn drop_copy_origins(
    transaction: &Transaction<'_>,
    layout: &Layout,
) -> Result<(), MoverError> {
    let names: Vec<String> = (0..COPY_WORKERS)
        .map(|worker| layout.copy_origin(worker))
        .collect();
    transaction
        .execute(
            "select pg_replication_origin_drop(roname) from pg_replication_origin \
             where roname = any($1)",
            &[&names],
        )
        .await
        .map_err(MoverError::sql(
            Side::Service,
            "dropping the copy's origins",
        ))?;
    Ok(())
}
