//! Indexes of the service's tables that are put off until the rows are there:
//! building one from rows costs a fraction of keeping it up row by row.
//!
//! | killed after | `put_off` | index | a repeat |
//! |---|---|---|---|
//! | *put off*: dropped with the copy's begin | has it | none | loads, builds |
//! | *build*: made, one transaction each | has it | there, no constraint yet | drops it with the copy's begin, and knows its constraint |
//! | *give back*: its constraint made | nothing | as it was | the same |
//!
//! The definitions are in the service's database, so that whoever ends the
//! extraction can give the indexes back, whatever became of the plan. What
//! cannot be made again word for word stays where it is: an index that something
//! else depends on (a foreign key, a view), of an exclusion constraint, of a
//! partition, in a tablespace, with a comment or statistics, of a table that
//! is not our role's; and whatever fails when it is tried, on the empty table.

use crate::{
    catalog::MovedTable,
    database::{
        lock_retry::{self, LockRetry},
        session::Session,
        sql,
    },
    error::MoverError,
    extraction::Mover,
    layout::{COPY_WORKERS, SCHEMA},
    objects::{owner::RowLock, schema, sessions},
};
use futures_util::future::try_join_all;
use protocol::{Side, owner::Claim};
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
};
use tokio_postgres::{GenericClient, Transaction, error::SqlState};

/// With less than this at the monolith a table's indexes are kept up.
pub(super) const PUT_OFF_FROM_BYTES: u64 = 16 << 20;

/// So that the definitions are true with any search path.
const EMPTY_SEARCH_PATH: &str = "set local search_path = ''";

/// Those of a table that can be made again as they are.
const PUT_OFF: &str = "
select format('%I.%I', n.nspname, c.relname), pg_get_indexdef(c.oid),
    case when k.oid is not null then format('alter table %I.%I add constraint %I %s using index %I%s',
        n.nspname, t.relname, k.conname,
        case k.contype when 'p' then 'primary key' else 'unique' end, k.conname,
        case when k.condeferred then ' deferrable initially deferred'
             when k.condeferrable then ' deferrable' else '' end) end,
    case when k.oid is null then format('drop index %I.%I', n.nspname, c.relname)
         else format('alter table %I.%I drop constraint %I', n.nspname, t.relname, k.conname) end
from pg_catalog.pg_index i
    join pg_catalog.pg_class c on c.oid = i.indexrelid
    join pg_catalog.pg_class t on t.oid = i.indrelid
    join pg_catalog.pg_namespace n on n.oid = t.relnamespace
    left join pg_catalog.pg_constraint k on k.conindid = c.oid and k.conrelid = t.oid
where t.oid = $1::text::regclass and t.relkind = 'r' and not t.relispartition
    and c.relkind = 'i' and not c.relispartition and c.reltablespace = 0
    and i.indisvalid and i.indisready and not i.indisexclusion
    and not i.indisreplident and not i.indisclustered
    and (k.oid is null or (k.contype in ('p', 'u') and k.conname = c.relname))
    and pg_has_role(t.relowner, 'usage') and has_schema_privilege(n.oid, 'create')
    and not exists (select from pg_catalog.pg_description d
        where (d.classoid, d.objoid) in (('pg_class'::regclass, c.oid), ('pg_constraint'::regclass, k.oid)))
    and not exists (select from pg_catalog.pg_attribute a
        where a.attrelid = c.oid and a.attstattarget >= 0)
    and not exists (select from pg_catalog.pg_depend d
        where (d.refclassid, d.refobjid) in (('pg_class'::regclass, c.oid), ('pg_constraint'::regclass, k.oid))
            and (d.classid, d.objid) <> ('pg_class'::regclass, c.oid)
            -- What checks a deferrable one at the end.
            and (d.classid, d.deptype) <> ('pg_trigger'::regclass, 'i'))
    and not exists (select from pg_catalog.pg_depend d
        where (d.classid, d.objid) = ('pg_class'::regclass, c.oid) and d.deptype in ('e', 'x'))
order by c.oid";

/// An index that is to be made again.
#[derive(Debug, Clone)]
struct PutOff {
    /// Qualified and quoted.
    name: String,
    definition: String,
    /// What makes it the index of its constraint; `None`: it has none.
    constraint: Option<String>,
}

/// Drops what can be built later, in the transaction that begins the copy.
pub(super) async fn put_off(
    transaction: &Transaction<'_>,
    extraction: &str,
    tables: &[&MovedTable],
) -> Result<(), MoverError> {
    let wrap = || MoverError::sql(Side::Service, "putting indexes off");
    transaction
        .batch_execute(EMPTY_SEARCH_PATH)
        .await
        .map_err(wrap())?;
    // Killed after *build*, the index of a constraint is there without it.
    let insert = format!(
        "insert into {SCHEMA}.put_off as known (extraction, name, definition, recreates) \
         values ($1, $2, $3, $4) on conflict (extraction, name) do update \
         set definition = excluded.definition, recreates = coalesce(excluded.recreates, \
             case when known.definition = excluded.definition then known.recreates end)"
    );
    for table in tables {
        let name = sql::table(table.name(Side::Service));
        for row in transaction.query(PUT_OFF, &[&name]).await.map_err(wrap())? {
            let (index, definition): (String, String) = (row.get(0), row.get(1));
            let (constraint, drop): (Option<String>, String) = (row.get(2), row.get(3));
            if !can_be_made_again(transaction, &drop, &definition, constraint.as_deref()).await? {
                tracing::info!(index, "is kept up: our role could not make it again");
                continue;
            }
            transaction
                .execute(&insert, &[&extraction, &index, &definition, &constraint])
                .await
                .map_err(wrap())?;
            transaction.batch_execute(&drop).await.map_err(wrap())?;
        }
    }
    Ok(())
}

/// Tries it, on a table that is empty now: a right to a function's schema may be missing,
/// or an event trigger refuse it.
async fn can_be_made_again(
    transaction: &Transaction<'_>,
    drop: &str,
    definition: &str,
    constraint: Option<&str>,
) -> Result<bool, MoverError> {
    let wrap = || MoverError::sql(Side::Service, "trying whether an index can be put off");
    let constraint = constraint.unwrap_or_default();
    let tried = format!("savepoint put_off; {drop}; {definition}; {constraint}");
    let made = transaction.batch_execute(&tried).await;
    let back =
        transaction.batch_execute("rollback to savepoint put_off; release savepoint put_off");
    match made {
        Err(source) if lock_retry::met_a_lock(&source) || source.as_db_error().is_none() => {
            Err(wrap()(source))
        }
        made => {
            back.await.map_err(wrap())?;
            Ok(made.is_ok())
        }
    }
}

async fn all(client: &impl GenericClient, extraction: &str) -> Result<Vec<PutOff>, MoverError> {
    let select = format!(
        "select name, definition, recreates from {SCHEMA}.put_off where extraction = $1 order by name"
    );
    let rows = client
        .query(&select, &[&extraction])
        .await
        .map_err(MoverError::sql(
            Side::Service,
            "reading which indexes are put off",
        ))?;
    let put_off = |row: &tokio_postgres::Row| PutOff {
        name: row.get(0),
        definition: row.get(1),
        constraint: row.get(2),
    };
    Ok(rows.iter().map(put_off).collect())
}

/// Who may change the service's side while the indexes are made again.
pub(crate) trait InCharge {
    /// Locks the row, and refuses where it is no longer ours to change.
    async fn check(&self, transaction: &Transaction<'_>) -> Result<(), MoverError>;
}

const RESTORING: &str = "giving an index back (its table is locked)";

/// What becomes of an index that the database refuses to make again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It is an error: the copy is not done without it.
    Fails,
    /// It is told, and given up: nothing else may wait for it.
    GivenUp,
}

/// Builds what is put off, several at once, then gives the constraints back; the
/// statements of those that were given up, with why. May be repeated.
pub(crate) async fn give_back(
    mover: &Mover,
    charge: &impl InCharge,
    refused: Refused,
) -> Result<Vec<String>, MoverError> {
    let mut session = open(mover).await?;
    // There is none where an earlier version has begun.
    if !schema::has(&*session, Side::Service, "put_off").await? {
        return Ok(Vec::new());
    }
    let extraction = mover.extraction.name.as_str();
    let put_off = all(&*session, extraction).await?;
    let next = AtomicUsize::new(0);
    let builders = (0..COPY_WORKERS.min(put_off.len())).map(|_| async {
        let mut session = open(mover).await?;
        let mut given_up = BTreeMap::new();
        while let Some(index) = put_off.get(next.fetch_add(1, Ordering::Relaxed)) {
            let built = build(&mut session, charge, index).await;
            given_up.extend(refused.judge(index, built)?);
        }
        Ok::<_, MoverError>(given_up)
    });
    let given_up = try_join_all(builders).await?.into_iter().flatten();
    let mut given_up: BTreeMap<&str, String> = given_up.collect();
    // A constraint's lock would wait for another index of its table.
    for index in &put_off {
        if given_up.contains_key(&*index.name) {
            forget(&mut session, charge, extraction, index).await?;
            continue;
        }
        let mut retry = LockRetry::new(RESTORING);
        while let Err(error) = restore(&mut session, charge, extraction, index).await {
            if is_refusal(&error) {
                given_up.extend(refused.judge(index, Err(error))?);
                forget(&mut session, charge, extraction, index).await?;
                break;
            }
            match retry.wait_after(&session, error).await {
                // All rows are there: nothing is made better by beginning again.
                Err(error @ MoverError::Blocked { .. }) => {
                    tracing::warn!(%error, index = index.name, "waiting to give an index back");
                    retry = LockRetry::new(RESTORING);
                }
                waited => waited?,
            }
        }
    }
    Ok(given_up.into_values().collect())
}

impl Refused {
    /// What is told of an index that is given up.
    fn judge(
        self,
        index: &PutOff,
        made: Result<(), MoverError>,
    ) -> Result<Option<(&str, String)>, MoverError> {
        match made {
            Err(error) if self == Self::GivenUp && is_refusal(&error) => {
                let constraint = index.constraint.iter().map(|one| format!("; {one}"));
                let statements = format!("{}{}", index.definition, constraint.collect::<String>());
                tracing::warn!(%error, statements, "an index is given up");
                Ok(Some((&index.name, format!("{statements}: {error}"))))
            }
            made => made.map(|()| None),
        }
    }
}

/// Whether trying again does not help: the database has said why, and it is no lock.
fn is_refusal(error: &MoverError) -> bool {
    match error {
        MoverError::Sql { source, .. } => {
            source.as_db_error().is_some() && !lock_retry::met_a_lock(source)
        }
        MoverError::Data { .. } => true,
        _ => false,
    }
}

async fn open(mover: &Mover) -> Result<Session, MoverError> {
    let session = Session::open(Side::Service, mover.database(Side::Service)).await?;
    sessions::mark_at_work(&session, &mover.layout()).await?;
    Ok(session)
}

/// What stands under an index's name: whether it is defined so, and whether it is whole.
/// One that was made `concurrently` and given up is not.
const THERE: &str = "select coalesce(pg_get_indexdef(c.oid) = $2, false), \
    coalesce(i.indisvalid and i.indisready, false) \
    from pg_class c left join pg_index i on i.indexrelid = c.oid where c.oid = to_regclass($1)";

/// One index, unless it is there.
async fn build(
    session: &mut Session,
    charge: &impl InCharge,
    index: &PutOff,
) -> Result<(), MoverError> {
    let wrap = || MoverError::sql(Side::Service, "building an index after the copy");
    let transaction = session.client_mut().transaction().await.map_err(wrap())?;
    charge.check(&transaction).await?;
    // Whoever vacuums the table may take as long as that lasts: only writers wait behind
    // this, and its fence lets none in.
    transaction
        .batch_execute(&format!("{EMPTY_SEARCH_PATH}; set local lock_timeout = 0"))
        .await
        .map_err(wrap())?;
    let there = transaction
        .query_opt(THERE, &[&index.name, &index.definition])
        .await
        .map_err(wrap())?;
    match there.map(|row| (row.get(0), row.get(1))) {
        None => {}
        Some((true, true)) => return Ok(()),
        Some((true, false)) => {
            let drop = format!("drop index {}", index.name);
            transaction.batch_execute(&drop).await.map_err(wrap())?;
        }
        Some((false, _)) => {
            return Err(MoverError::Data {
                object: index.name.clone(),
                problem: "an index of this name was put off while the tables were copied, and \
                          something else has its name now"
                    .to_owned(),
                remedy: format!(
                    "Rename that, or drop it. The index is: {}",
                    index.definition
                ),
            });
        }
    }
    transaction
        .batch_execute(&index.definition)
        .await
        .map_err(|source| match source.as_db_error() {
            Some(error) if *error.code() == SqlState::UNIQUE_VIOLATION => MoverError::Data {
                object: index.name.clone(),
                problem: format!(
                    "the monolith's rows do not fit this index of the service: {}",
                    error.detail().unwrap_or(error.message())
                ),
                remedy: "Mend those rows, or drop the index, then start the copy again".to_owned(),
            },
            _ => wrap()(source),
        })?;
    transaction.commit().await.map_err(wrap())
}

/// Its constraint; nothing is left to be done for it then.
async fn restore(
    session: &mut Session,
    charge: &impl InCharge,
    extraction: &str,
    index: &PutOff,
) -> Result<(), MoverError> {
    let wrap = || MoverError::sql(Side::Service, "giving an index back after the copy");
    let transaction = lock_retry::begin(session).await?;
    charge.check(&transaction).await?;
    // A migration of the service may have made it meanwhile.
    let is_there = "select exists (select from pg_constraint \
                    where conindid = to_regclass($1) and contype in ('p', 'u'))";
    let is_there: bool = transaction
        .query_one(is_there, &[&index.name])
        .await
        .map_err(wrap())?
        .get(0);
    if delete(&transaction, extraction, index).await?
        && !is_there
        && let Some(constraint) = &index.constraint
    {
        transaction
            .batch_execute(constraint)
            .await
            .map_err(wrap())?;
    }
    transaction.commit().await.map_err(wrap())
}

/// It is given up.
async fn forget(
    session: &mut Session,
    charge: &impl InCharge,
    extraction: &str,
    index: &PutOff,
) -> Result<(), MoverError> {
    let transaction = lock_retry::begin(session).await?;
    charge.check(&transaction).await?;
    delete(&transaction, extraction, index).await?;
    let wrap = MoverError::sql(Side::Service, "giving an index up");
    transaction.commit().await.map_err(wrap)
}

async fn delete(
    transaction: &Transaction<'_>,
    extraction: &str,
    index: &PutOff,
) -> Result<bool, MoverError> {
    let delete = format!("delete from {SCHEMA}.put_off where extraction = $1 and name = $2");
    let wrap = MoverError::sql(Side::Service, "giving an index back");
    let deleted = transaction
        .execute(&delete, &[&extraction, &index.name])
        .await
        .map_err(wrap)?;
    Ok(deleted == 1)
}

/// The copy, which is made while the monolith owns.
pub(super) struct Copying<'a> {
    pub(super) mover: &'a Mover,
    pub(super) claim: Claim,
}

impl InCharge for Copying<'_> {
    async fn check(&self, transaction: &Transaction<'_>) -> Result<(), MoverError> {
        self.mover
            .locked_for_copy(
                transaction,
                Side::Service,
                Side::Monolith,
                self.claim,
                RowLock::Share,
            )
            .await
    }
}
