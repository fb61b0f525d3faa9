//! The trial: an archive is made, restored into a database of its own, and counted.

use super::tools::{ArchiveError, Tools};
use crate::{
    database::{session::Session, sql},
    error::MoverError,
    extraction::Mover,
};
use plan::{DatabaseUrl, TableName};
use protocol::Side;
use std::path::{Path, PathBuf};
use tokio_postgres::IsolationLevel;

/// A table that was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoredTable {
    /// Its name.
    pub table: TableName,
    /// Its rows, as many as there were.
    pub rows: i64,
}

impl Mover {
    /// Has a side's tables archived, restored into a database that is made beside
    /// `scratch` and dropped again, and their rows counted in both. `directory`: where
    /// the archives are meanwhile.
    pub async fn restore_for_trial(
        &self,
        side: Side,
        scratch: &DatabaseUrl,
        directory: &Path,
    ) -> Result<Vec<RestoredTable>, ArchiveError> {
        let mut source = Session::open(side, self.database(side)).await?;
        let tools = Tools::find(&source).await?;
        let files = TrialFiles::new(directory, &self.extraction.name.slug())?;
        let doing = "taking a snapshot for an archive";
        let wrap = || MoverError::sql(side, doing);
        let transaction = source
            .client_mut()
            .build_transaction()
            .isolation_level(IsolationLevel::RepeatableRead)
            .read_only(true)
            .start()
            .await
            .map_err(wrap())?;
        let row = transaction
            .query_one(
                "select pg_export_snapshot(), current_setting('server_encoding')",
                &[],
            )
            .await
            .map_err(wrap())?;
        let (snapshot, encoding): (String, String) = (row.get(0), row.get(1));
        let tables: Vec<_> = self.tables(side).cloned().collect();
        let mut expected = Vec::new();
        for table in tables {
            let count = format!("select count(*) from {}", sql::table(&table));
            let row = transaction.query_one(&count, &[]).await.map_err(wrap())?;
            expected.push(RestoredTable {
                table,
                rows: row.get(0),
            });
        }
        let names: Vec<_> = expected.iter().map(|one| one.table.clone()).collect();
        let database = self.database(side);
        tools
            .dump(database, &names, Some(&snapshot), &files.tables)
            .await?;
        tools.dump_types(database, &files.types).await?;
        transaction.commit().await.map_err(wrap())?;
        let slug = self.extraction.name.slug();
        let trial = TrialDatabase::make(side, scratch, &slug, &encoding).await?;
        let restored = trial.restored(side, &tools, &files, &expected).await;
        let dropped = trial.drop_it().await;
        restored?;
        dropped?;
        Ok(expected)
    }
}

/// The archives of a trial: gone when it ends. What a killed one has left is replaced.
struct TrialFiles {
    tables: PathBuf,
    types: PathBuf,
}

impl TrialFiles {
    fn new(directory: &Path, slug: &str) -> Result<Self, ArchiveError> {
        std::fs::create_dir_all(directory).map_err(|source| ArchiveError::Start {
            tool: "pg_dump",
            source,
        })?;
        let file = |kind: &str| directory.join(format!("trial-{slug}-{kind}.dump"));
        Ok(Self {
            tables: file("tables"),
            types: file("types"),
        })
    }
}

impl Drop for TrialFiles {
    fn drop(&mut self) {
        for file in [&self.tables, &self.types] {
            let _ = std::fs::remove_file(file);
        }
    }
}

/// The database that is made for the trial.
struct TrialDatabase {
    /// Beside it.
    session: Session,
    address: DatabaseUrl,
}

impl TrialDatabase {
    async fn make(
        side: Side,
        scratch: &DatabaseUrl,
        slug: &str,
        encoding: &str,
    ) -> Result<Self, ArchiveError> {
        let session = Session::open(side, scratch).await?;
        let mut address = scratch.clone();
        address.database = format!("banyan_trial_{slug}");
        let trial = Self { session, address };
        // One that a killed trial has left.
        trial.drop_it().await?;
        let make = format!(
            "create database {} template template0 encoding {} lc_collate 'C' lc_ctype 'C'",
            sql::identifier(&trial.address.database),
            sql::literal(encoding)
        );
        let wrap = MoverError::sql(
            side,
            "making a database for the trial (`checklists.scratch`)",
        );
        trial.session.batch_execute(&make).await.map_err(wrap)?;
        Ok(trial)
    }

    async fn restored(
        &self,
        side: Side,
        tools: &Tools,
        files: &TrialFiles,
        expected: &[RestoredTable],
    ) -> Result<(), ArchiveError> {
        tools.restore_types(&self.address, &files.types).await?;
        tools.restore(&self.address, &files.tables).await?;
        let session = Session::open(side, &self.address).await?;
        for one in expected {
            let count = format!("select count(*) from {}", sql::table(&one.table));
            let wrap = MoverError::sql(side, "counting what was restored");
            let rows: i64 = session.query_one(&count, &[]).await.map_err(wrap)?.get(0);
            if rows != one.rows {
                return Err(ArchiveError::Differs(format!(
                    "of {} rows of {} there were {rows} after the restore",
                    one.rows, one.table
                )));
            }
        }
        Ok(())
    }

    async fn drop_it(&self) -> Result<(), ArchiveError> {
        let drop = format!(
            "drop database if exists {}",
            sql::identifier(&self.address.database)
        );
        let wrap = MoverError::sql(self.session.side(), "dropping the database of a trial");
        Ok(self.session.batch_execute(&drop).await.map_err(wrap)?)
    }
}
