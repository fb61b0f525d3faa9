//! The schema `banyan` of a side's database, as this version has it.

use crate::{
    database::{
        lock_retry::{self, LockRetry},
        session::Session,
    },
    error::MoverError,
    layout::{ADVISORY_CLASS, Layout, SCHEMA},
};
use protocol::Side;
use tokio_postgres::{Error, GenericClient, Transaction};

/// Makes it, or makes it the one of this version. Others that do the same wait
/// until the transaction ends.
pub(crate) async fn ensure(transaction: &Transaction<'_>) -> Result<(), Error> {
    // Two extractions that make the schema at once would fail.
    transaction
        .execute("select pg_advisory_xact_lock($1, 0)", &[&ADVISORY_CLASS])
        .await?;
    if is_current(transaction).await? {
        return Ok(());
    }
    let comment = format!(
        "comment on schema {SCHEMA} is '{}'",
        Layout::schema_version()
    );
    let statements = format!("{}{comment}", Layout::schema());
    transaction.batch_execute(&statements).await
}

/// Brings a schema that an earlier version made up to this one.
pub(crate) async fn bring_up_to_date(session: &mut Session) -> Result<(), MoverError> {
    let side = session.side();
    let doing = "bringing the schema banyan up to date";
    let wrap = || MoverError::sql(side, doing);
    if is_current(&**session).await.map_err(wrap())? {
        return Ok(());
    }
    let mut retry = LockRetry::new(doing);
    loop {
        let updated = async {
            let transaction = lock_retry::begin(session).await?;
            ensure(&transaction).await.map_err(wrap())?;
            transaction.commit().await.map_err(wrap())
        };
        match updated.await {
            Ok(()) => return Ok(()),
            Err(error) => retry.wait_after(session, error).await?,
        }
    }
}

/// Whether a side's schema has a table: there may be none, or one that an earlier
/// version made.
pub(crate) async fn has(
    client: &impl GenericClient,
    side: Side,
    table: &str,
) -> Result<bool, MoverError> {
    let row = client
        .query_one(
            "select to_regclass($1) is not null",
            &[&format!("{SCHEMA}.{table}")],
        )
        .await
        .map_err(MoverError::sql(side, "looking for a table of ours"))?;
    Ok(row.get(0))
}

async fn is_current(client: &impl GenericClient) -> Result<bool, Error> {
    let found = client
        .query_opt(
            "select 1 from pg_namespace n where n.nspname = $1 \
             and obj_description(n.oid, 'pg_namespace') = $2",
            &[&SCHEMA, &Layout::schema_version()],
        )
        .await?;
    Ok(found.is_some())
}
