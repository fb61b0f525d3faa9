//! Replication origins: by them the other direction's follower distinguishes
//! our writes from the users'.

use crate::{
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
