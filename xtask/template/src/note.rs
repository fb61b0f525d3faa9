//! Notes, and their table. Only this module knows it.

use kit::database::{Database, DatabaseError};
use serde::Serialize;
use sqlx::FromRow;
use utoipa::ToSchema;

/// A note that is kept.
#[derive(Debug, Serialize, FromRow, ToSchema)]
pub struct Note {
    pub id: i64,
    pub text: String,
}

pub async fn keep(database: &Database, text: &str) -> Result<Note, DatabaseError> {
    let insert = "insert into notes (text) values ($1) returning id, text";
    let note = sqlx::query_as(insert).bind(text);
    Ok(note.fetch_one(database.pool()).await?)
}

pub async fn find(database: &Database, id: i64) -> Result<Option<Note>, DatabaseError> {
    let note = sqlx::query_as("select id, text from notes where id = $1").bind(id);
    Ok(note.fetch_optional(database.pool()).await?)
}
