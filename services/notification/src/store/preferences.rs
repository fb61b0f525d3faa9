//! What users want.

use kit::database::{Database, DatabaseError};
use sqlx::PgConnection;

use crate::message::{Channel, Preferences};

type Row = (Option<String>, Vec<String>, Vec<String>);

/// What a user wants: everything, unless they have said otherwise.
pub async fn of(connection: &mut PgConnection, user: &str) -> Result<Preferences, DatabaseError> {
    let row: Option<Row> =
        sqlx::query_as("select email, off, muted from preferences where user_id = $1")
            .bind(user)
            .fetch_optional(connection)
            .await?;
    Ok(
        row.map_or_else(Preferences::default, |(email, off, muted)| Preferences {
            email,
            off: Channel::ALL
                .into_iter()
                .filter(|channel| off.iter().any(|name| name == channel.name()))
                .collect(),
            muted,
        }),
    )
}

/// Replaces what a user wants.
pub async fn set(
    database: &Database,
    user: &str,
    preferences: &Preferences,
) -> Result<(), DatabaseError> {
    let off: Vec<&str> = preferences
        .off
        .iter()
        .map(|channel| channel.name())
        .collect();
    sqlx::query(
        "insert into preferences (user_id, email, off, muted) values ($1, $2, $3, $4) \
         on conflict (user_id) do update set email = excluded.email, off = excluded.off, \
         muted = excluded.muted, updated_at = clock_timestamp()",
    )
    .bind(user)
    .bind(&preferences.email)
    .bind(&off)
    .bind(&preferences.muted)
    .execute(database.pool())
    .await?;
    Ok(())
}
