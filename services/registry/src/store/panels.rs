//! Reference panels by version, and what came of syncs.

use std::time::Duration;

use kit::database::{Database, DatabaseError, commit};
use serde::Serialize;
use sqlx::types::Json;
use sqlx::{FromRow, PgConnection};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::external;
use super::history::{History, KEPT};
use super::tasks::{self, Task};
use crate::difference::Difference;
use crate::panel::{Catalogue, Panel};

/// A version of a catalogue.
#[derive(Debug, Serialize, FromRow, ToSchema)]
pub struct CatalogueVersion {
    /// Its number, from 1.
    pub version: i32,
    /// When it was found.
    #[serde(with = "time::serde::rfc3339")]
    pub taken_at: OffsetDateTime,
    /// The panels, by id.
    #[sqlx(json)]
    pub panels: Vec<Panel>,
    /// What has changed since the version before.
    #[sqlx(json)]
    pub difference: Difference,
}

/// A version of a catalogue, in numbers.
#[derive(Debug, Serialize, FromRow, ToSchema)]
pub struct VersionCounts {
    /// Its number, from 1.
    pub version: i32,
    /// When it was found.
    #[serde(with = "time::serde::rfc3339")]
    pub taken_at: OffsetDateTime,
    /// How many panels there are.
    pub panels: i32,
    /// How many came since the version before.
    pub added: i32,
    /// How many went.
    pub removed: i32,
    /// How many are not what they were.
    pub changed: i32,
}

/// A sync, as it is told.
#[derive(Debug, Serialize, FromRow, ToSchema)]
pub struct Sync {
    /// When it ended.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// `changed`, `unchanged` or `failed`.
    pub outcome: String,
    /// How long the answer took.
    pub milliseconds: i32,
    /// The version that it led to.
    pub version: Option<i32>,
    /// Why it failed.
    pub reason: Option<String>,
}

/// What a sync was stored as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// A new version.
    Changed,
    /// Nothing is new.
    Unchanged,
    /// It failed.
    Failed,
    /// Not at all: the lease was lost.
    Lost,
}

impl Stored {
    /// As it is stored and counted.
    pub fn name(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
            Self::Failed => "failed",
            Self::Lost => "lost",
        }
    }
}

/// Stores what a service sent, or why that was no catalogue.
pub async fn store(
    database: &Database,
    task: &Task,
    found: &Result<Catalogue, String>,
    time: Duration,
    retry: Duration,
) -> Result<Stored, DatabaseError> {
    let mut transaction = database.begin().await?;
    let id = task.service.id;
    let Some(service) = external::locked(&mut transaction, id).await? else {
        return Ok(Stored::Lost);
    };
    let interval = service.sync_interval_seconds.unwrap_or(1);
    let interval = Duration::from_secs(u64::try_from(interval).unwrap_or(1));
    let again_after = if found.is_ok() {
        interval
    } else {
        interval.min(retry)
    };
    if !tasks::end(&mut transaction, task, again_after).await? {
        return Ok(Stored::Lost);
    }
    let last = service.panels_version;
    let (stored, version) = match found {
        Ok(catalogue) => match add(&mut transaction, id, last, catalogue).await? {
            Some(version) => (Stored::Changed, Some(version)),
            None => (Stored::Unchanged, Some(last)),
        },
        Err(_) => (Stored::Failed, None),
    };
    sqlx::query(
        "insert into syncs (service, outcome, milliseconds, version, reason) \
         values ($1, $2, $3, $4, $5)",
    )
    .bind(id)
    .bind(stored.name())
    .bind(i32::try_from(time.as_millis()).unwrap_or(i32::MAX))
    .bind(version)
    .bind(found.as_ref().err())
    .execute(&mut *transaction)
    .await?;
    History::Syncs.cut(&mut transaction, id).await?;
    commit(transaction).await?;
    Ok(stored)
}

/// The number of the new version, unless it is like the last one.
async fn add(
    connection: &mut PgConnection,
    service: Uuid,
    last: i32,
    catalogue: &Catalogue,
) -> Result<Option<i32>, DatabaseError> {
    let known = version(&mut *connection, service, last).await?;
    let known = known.map(CatalogueVersion::catalogue);
    let difference = Difference::between(known.as_ref().unwrap_or(&Catalogue::new()), catalogue);
    // The first one counts also where it is empty.
    if known.is_some() && difference.is_empty() {
        return Ok(None);
    }
    let next = last + 1;
    sqlx::query(
        "insert into catalogues (service, version, panels, difference) values ($1, $2, $3, $4)",
    )
    .bind(service)
    .bind(next)
    .bind(Json(catalogue.values().collect::<Vec<_>>()))
    .bind(Json(&difference))
    .execute(&mut *connection)
    .await?;
    sqlx::query("update external_services set panels_version = $2 where id = $1")
        .bind(service)
        .bind(next)
        .execute(&mut *connection)
        .await?;
    sqlx::query("delete from catalogues where service = $1 and version <= $2::bigint - $3")
        .bind(service)
        .bind(next)
        .bind(KEPT)
        .execute(connection)
        .await?;
    Ok(Some(next))
}

impl CatalogueVersion {
    /// Its panels by their ids.
    pub fn catalogue(self) -> Catalogue {
        let panels = self.panels.into_iter();
        panels.map(|panel| (panel.id.clone(), panel)).collect()
    }
}

/// A version that is kept.
pub async fn version(
    executor: impl sqlx::PgExecutor<'_>,
    service: Uuid,
    version: i32,
) -> Result<Option<CatalogueVersion>, DatabaseError> {
    let found = sqlx::query_as(
        "select version, taken_at, panels, difference from catalogues \
         where service = $1 and version = $2",
    )
    .bind(service)
    .bind(version)
    .fetch_optional(executor)
    .await?;
    Ok(found)
}

/// The last version.
pub async fn last_version(
    database: &Database,
    service: Uuid,
) -> Result<Option<CatalogueVersion>, DatabaseError> {
    let found = sqlx::query_as(
        "select version, taken_at, panels, difference from catalogues \
         where service = $1 order by version desc limit 1",
    )
    .bind(service)
    .fetch_optional(database.pool())
    .await?;
    Ok(found)
}

/// The versions that are kept, the newest first.
pub async fn versions(
    database: &Database,
    service: Uuid,
) -> Result<Vec<VersionCounts>, DatabaseError> {
    let versions = sqlx::query_as(
        "select version, taken_at, jsonb_array_length(panels) as panels, \
         jsonb_array_length(difference -> 'added') as added, \
         jsonb_array_length(difference -> 'removed') as removed, \
         jsonb_array_length(difference -> 'changed') as changed \
         from catalogues where service = $1 order by version desc",
    )
    .bind(service)
    .fetch_all(database.pool())
    .await?;
    Ok(versions)
}

/// The last syncs, the newest first.
pub async fn syncs(database: &Database, service: Uuid) -> Result<Vec<Sync>, DatabaseError> {
    let syncs = sqlx::query_as(
        "select at, outcome, milliseconds, version, reason from syncs where service = $1 \
         order by number desc limit $2",
    )
    .bind(service)
    .bind(KEPT)
    .fetch_all(database.pool())
    .await?;
    Ok(syncs)
}
