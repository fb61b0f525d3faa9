//! What is kept, in the schema `notification_service`. Only this module and its
//! parts know the tables.

pub mod allowances;
pub mod deliveries;
pub mod notifications;
pub mod preferences;
pub mod push;
pub mod webhooks;

use kit::database::Schema;

/// The service's own.
pub const SCHEMA: Schema = Schema::of("notification_service");

/// At most so many on a page.
pub const MAX_PAGE: i64 = 100;

/// How long notifications and what became of them are kept.
const RETENTION: &str = "90 days";

/// Deletes what is too old, at most `limit` rows of each kind.
pub async fn sweep(database: &kit::database::Database, limit: i64) -> Result<(), sqlx::Error> {
    // What is still on its way stays. A dead letter as old as this goes.
    sqlx::query(
        "delete from notifications where id = any(array(select id from notifications n \
         where created_at < clock_timestamp() - $1::interval and not exists ( \
         select from deliveries d where d.notification = n.id and d.state in ('queued', 'retrying')) \
         order by created_at limit $2))",
    )
    .bind(RETENTION)
    .bind(limit)
    .execute(database.pool())
    .await?;
    // A whole allowance is what everybody has who is not there. One that
    // somebody is taking from is passed over: they may be about to take from
    // another one that is locked here, and would wait for us as we for them.
    sqlx::query(
        "delete from allowances where ctid = any(array(select ctid from allowances \
         where whole_at < clock_timestamp() limit $1 for update skip locked))",
    )
    .bind(limit)
    .execute(database.pool())
    .await?;
    push::sweep(database, limit).await
}
