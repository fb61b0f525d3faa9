//! Every change to contracts that a request can make: one short transaction
//! each, with the event that tells of it.

use std::collections::BTreeMap;

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::reads::{ContractRow, columns, with_tags};
use kit::database::{DatabaseError, commit};

use super::Store;
use crate::contract::{Contract, NewContract, Status, StatusChange};

const FIRST_REVISION: i32 = 1;

const INSERT_CONTRACT: &str = concat!(
    "insert into contract_service.contracts as c \
     (public_id, reference, title, status, seller, buyer, plot, price, currency, terms, \
      signed_on, revision, author, created_at, updated_at) \
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, now(), now()) \
     returning ",
    columns!()
);

/// Locks the row against other changes, but not against whoever only refers
/// to it: the key does not change.
const LOCK_CONTRACT: &str =
    "select id from contract_service.contracts where id = $1 for no key update";

/// By the clock, not by the start of the transaction, which may have waited
/// for the lock: times must grow with revisions.
const UPDATE_CONTRACT: &str = concat!(
    "update contract_service.contracts c \
     set status = $2, revision = revision + 1, updated_at = clock_timestamp() where id = $1 \
     returning ",
    with_tags!()
);

const INSERT_EVENT: &str = "insert into contract_service.events \
     (id, contract, kind, reference, at) values ($1, $2, $3, $4, $5)";

impl Store {
    /// Stores a contract, its tags and the event `created`.
    pub async fn create(
        &self,
        new: NewContract,
        author: Option<i32>,
    ) -> Result<Contract, DatabaseError> {
        let mut transaction = self.database.begin().await?;
        let tag_ids = ids_of_tags(&mut transaction, &new.tags).await?;
        let row: ContractRow = sqlx::query_as(INSERT_CONTRACT)
            .bind(Uuid::new_v4())
            .bind(&new.reference)
            .bind(&new.title)
            .bind(Status::Draft.as_str())
            .bind(new.seller)
            .bind(new.buyer)
            .bind(new.land_plot)
            .bind(new.price)
            .bind(&new.currency)
            .bind(&*new.terms)
            .bind(new.signed_on)
            .bind(FIRST_REVISION)
            .bind(author)
            .fetch_one(&mut *transaction)
            .await?;
        let mut contract = Contract::from(row);
        if !tag_ids.is_empty() {
            sqlx::query(
                "insert into contract_service.contract_tags (contract, tag) \
                 select $1, unnest($2::bigint[])",
            )
            .bind(contract.id)
            .bind(&tag_ids)
            .execute(&mut *transaction)
            .await?;
        }
        contract.tags = new.tags;
        // As they were given: jsonb writes 1e22 without its exponent.
        contract.terms = new.terms;
        insert_event(
            &mut transaction,
            &contract,
            "created",
            &new.reference,
            contract.created_at,
        )
        .await?;
        commit(transaction).await?;
        Ok(contract)
    }

    /// Sets the status, counts the revision up and stores the event
    /// `status:<status>`. Nothing if there is no such contract.
    pub async fn change_status(
        &self,
        id: i64,
        change: &StatusChange,
    ) -> Result<Option<Contract>, DatabaseError> {
        let mut transaction = self.database.begin().await?;
        let locked: Option<i64> = sqlx::query_scalar(LOCK_CONTRACT)
            .bind(id)
            .fetch_optional(&mut *transaction)
            .await?;
        if locked.is_none() {
            return Ok(None);
        }
        let row: ContractRow = sqlx::query_as(UPDATE_CONTRACT)
            .bind(id)
            .bind(change.status.as_str())
            .fetch_one(&mut *transaction)
            .await?;
        let contract = Contract::from(row);
        let kind = format!("status:{}", change.status.as_str());
        insert_event(
            &mut transaction,
            &contract,
            &kind,
            &change.reference,
            contract.updated_at,
        )
        .await?;
        commit(transaction).await?;
        Ok(Some(contract))
    }
}

async fn insert_event(
    connection: &mut PgConnection,
    contract: &Contract,
    kind: &str,
    reference: &str,
    at: OffsetDateTime,
) -> Result<(), DatabaseError> {
    sqlx::query(INSERT_EVENT)
        .bind(Uuid::new_v4())
        .bind(contract.id)
        .bind(kind)
        .bind(reference)
        .bind(at)
        .execute(connection)
        .await?;
    Ok(())
}

/// The ids of the tags with these labels; unknown ones are made.
///
/// Safe against another transaction that makes the same tag: the insert waits
/// for it and then does nothing, and the second look sees its row. The labels
/// are sorted, so two transactions wait for each other in one direction only.
async fn ids_of_tags(
    connection: &mut PgConnection,
    labels: &[String],
) -> Result<Vec<i64>, DatabaseError> {
    if labels.is_empty() {
        return Ok(Vec::new());
    }
    let mut ids = known_tags(connection, labels).await?;
    let missing: Vec<&String> = labels
        .iter()
        .filter(|label| !ids.contains_key(*label))
        .collect();
    if !missing.is_empty() {
        sqlx::query(
            "insert into contract_service.tags (label) select unnest($1::varchar[]) \
             on conflict (label) do nothing",
        )
        .bind(&missing)
        .execute(&mut *connection)
        .await?;
        ids = known_tags(connection, labels).await?;
    }
    Ok(ids.into_values().collect())
}

async fn known_tags(
    connection: &mut PgConnection,
    labels: &[String],
) -> Result<BTreeMap<String, i64>, DatabaseError> {
    let query = "select label, id from contract_service.tags where label = any($1::varchar[])";
    let rows: Vec<(String, i64)> = sqlx::query_as(query)
        .bind(labels)
        .fetch_all(connection)
        .await?;
    Ok(rows.into_iter().collect())
}
