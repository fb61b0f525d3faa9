//! What a database's catalogue says: used to prove that something left no
//! trace, or changed nothing.

use anyhow::{Result, bail};
use std::collections::BTreeSet;
use tokio_postgres::Client;

/// Each query gives one line per object. Slots, origins, roles and databases
/// belong to the whole cluster, the rest to the database.
const QUERIES: [(&str, &str); 13] = [
    ("slot", "SELECT slot_name::text FROM pg_replication_slots"),
    ("origin", "SELECT roname::text FROM pg_replication_origin"),
    ("role", "SELECT rolname::text FROM pg_roles"),
    ("database", "SELECT datname::text FROM pg_database"),
    ("publication", "SELECT pubname::text FROM pg_publication"),
    ("subscription", "SELECT subname::text FROM pg_subscription"),
    ("schema", "SELECT nspname::text FROM pg_namespace WHERE nspname !~ '^pg_(toast_)?temp_'"),
    ("event trigger", "SELECT evtname::text FROM pg_event_trigger"),
    ("extension", "SELECT extname::text FROM pg_extension"),
    (
        "trigger",
        "SELECT format('%s on %s %s', tgname, tgrelid::regclass, tgenabled)
         FROM pg_trigger WHERE NOT tgisinternal",
    ),
    (
        "relation",
        "SELECT format('%s.%s kind %s identity %s access %s persistence %s',
                       n.nspname, c.relname, c.relkind, c.relreplident, c.relacl, c.relpersistence)
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname !~ '^pg_(toast|temp)'",
    ),
    (
        "constraint",
        "SELECT format('%s on %s: %s', conname, conrelid::regclass, pg_get_constraintdef(oid))
         FROM pg_constraint",
    ),
    (
        "function",
        "SELECT oid::regprocedure::text FROM pg_proc
         WHERE pronamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)",
    ),
];

/// Objects of a database and its cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catalogue {
    objects: BTreeSet<String>,
}

impl Catalogue {
    /// Reads it; needs a superuser's connection.
    pub async fn read(client: &Client) -> Result<Self> {
        let mut objects = BTreeSet::new();
        for (kind, sql) in QUERIES {
            for row in client.query(sql, &[]).await? {
                let text: String = row.get(0);
                objects.insert(format!("{kind} {text}"));
            }
        }
        Ok(Self { objects })
    }

    /// What was added (`+`) and removed (`-`) since.
    pub fn changes(&self, later: &Self) -> Vec<String> {
        let added = later
            .objects
            .difference(&self.objects)
            .map(|object| format!("+ {object}"));
        let removed = self
            .objects
            .difference(&later.objects)
            .map(|object| format!("- {object}"));
        added.chain(removed).collect()
    }

    /// An error that names every change.
    pub fn ensure_unchanged(&self, later: &Self, whose: &str) -> Result<()> {
        let changes = self.changes(later);
        if changes.is_empty() {
            return Ok(());
        }
        bail!("the {whose}'s catalogue changed:\n{}", changes.join("\n"))
    }
}

/// How many rows each table of a schema has, as `table count`.
pub async fn row_counts(client: &Client, schema: &str) -> Result<Vec<String>> {
    let sql = "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
               WHERE schemaname = $1 ORDER BY 1";
    let mut counts = Vec::new();
    for row in client.query(sql, &[&schema]).await? {
        let table: String = row.get(0);
        let count: i64 = client
            .query_one(&format!("SELECT count(*) FROM {table}"), &[])
            .await?
            .get(0);
        counts.push(format!("{table} {count}"));
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{Cluster, Options};
    use crate::directory::PrivateDirectory;

    #[tokio::test]
    async fn every_kind_of_trace_is_seen() {
        let directory = PrivateDirectory::new().unwrap();
        let cluster = Cluster::create(&directory, "a", &Options::fast())
            .await
            .unwrap();
        let client = cluster.superuser("postgres").await.unwrap();
        client
            .batch_execute("CREATE TABLE t (id int PRIMARY KEY)")
            .await
            .unwrap();
        let before = Catalogue::read(&client).await.unwrap();
        for (make, undo, seen) in [
            ("CREATE SCHEMA banyan", "DROP SCHEMA banyan", "schema"),
            (
                "CREATE PUBLICATION p FOR TABLE t",
                "DROP PUBLICATION p",
                "publication",
            ),
            (
                "SELECT pg_replication_origin_create('o')",
                "SELECT pg_replication_origin_drop('o')",
                "origin",
            ),
            (
                "SELECT pg_create_logical_replication_slot('s', 'pgoutput')",
                "SELECT pg_drop_replication_slot('s')",
                "slot",
            ),
            (
                "CREATE TRIGGER g BEFORE UPDATE ON t FOR EACH ROW
                 EXECUTE FUNCTION suppress_redundant_updates_trigger()",
                "DROP TRIGGER g ON t",
                "trigger",
            ),
            (
                "ALTER TABLE t REPLICA IDENTITY FULL",
                "ALTER TABLE t REPLICA IDENTITY DEFAULT",
                "relation",
            ),
        ] {
            client.batch_execute(make).await.unwrap();
            let after = Catalogue::read(&client).await.unwrap();
            let changes = before.changes(&after);
            assert!(
                changes.iter().any(|change| change.contains(seen)),
                "{make}: {changes:?}"
            );
            client.batch_execute(undo).await.unwrap();
        }
        before
            .ensure_unchanged(&Catalogue::read(&client).await.unwrap(), "server")
            .unwrap();
    }
}
