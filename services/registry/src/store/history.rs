//! Histories of external services: the newest entries are kept.

use kit::database::DatabaseError;
use sqlx::PgConnection;
use uuid::Uuid;

/// How many entries are kept per external service.
pub const KEPT: i64 = 100;

/// What grows by an entry now and then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum History {
    Checks,
    Transitions,
    Syncs,
}

macro_rules! cut {
    ($table:literal) => {
        concat!(
            "delete from ",
            $table,
            " where service = $1 and number < (select min(number) from (select number from ",
            $table,
            " where service = $1 order by number desc limit $2) kept)"
        )
    };
}

impl History {
    /// Removes what is older than the entries that are kept.
    pub async fn cut(
        self,
        connection: &mut PgConnection,
        service: Uuid,
    ) -> Result<(), DatabaseError> {
        let statement = match self {
            Self::Checks => cut!("checks"),
            Self::Transitions => cut!("transitions"),
            Self::Syncs => cut!("syncs"),
        };
        let statement = sqlx::query(statement).bind(service).bind(KEPT);
        statement.execute(connection).await?;
        Ok(())
    }
}
