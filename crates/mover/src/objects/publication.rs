//! The publication of a side's tables: ours alone, and compared whole.
//!
//! One of our name that publishes less than all (`publish = 'insert'`, a row
//! filter, a column list) loses changes without an error; one that publishes
//! more, or is another's, is not ours to use.

use crate::{catalog::MovedTable, database::sql, error::MoverError, layout::Layout};
use plan::TableName;
use protocol::Side;
use std::collections::BTreeSet;
use tokio_postgres::{GenericClient, Transaction};

/// Filters, column lists and schemas came with version 15, published generated
/// columns with 18: read by name, so that older servers have nothing there.
const PUBLICATION: &str = "select pg_get_userbyid(p.pubowner) = current_user, \
        quote_ident(pg_get_userbyid(p.pubowner)), p.puballtables, p.pubinsert, p.pubupdate, \
        p.pubdelete, p.pubtruncate, p.pubviaroot, \
        coalesce(to_jsonb(p) ->> 'pubgencols', 'n') in ('n', 'false'), \
        to_regclass('pg_catalog.pg_publication_namespace') is not null, \
        array(select n.nspname::text from pg_publication_rel r join pg_class c on c.oid = r.prrelid \
            join pg_namespace n on n.oid = c.relnamespace where r.prpubid = p.oid order by r.oid), \
        array(select c.relname::text from pg_publication_rel r join pg_class c on c.oid = r.prrelid \
            where r.prpubid = p.oid order by r.oid), \
        array(select to_jsonb(r) ->> 'prqual' is not null from pg_publication_rel r \
            where r.prpubid = p.oid order by r.oid), \
        array(select to_jsonb(r) ->> 'prattrs' is not null from pg_publication_rel r \
            where r.prpubid = p.oid order by r.oid) \
    from pg_publication p where p.pubname = $1";

const SCHEMAS: &str = "select n.nspname::text from pg_publication_namespace s \
    join pg_publication p on p.oid = s.pnpubid join pg_namespace n on n.oid = s.pnnspid \
    where p.pubname = $1 order by 1";

/// A publication of our name as the catalogue has it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(crate) struct Publication {
    /// Whether our role owns it.
    pub(crate) ours: bool,
    /// Whose it is, quoted.
    pub(crate) owner: String,
    all_tables: bool,
    via_root: bool,
    plain_columns: bool,
    /// What is published of inserts, updates, deletes, truncations.
    operations: [bool; 4],
    schemas: Vec<String>,
    tables: Vec<PublishedTable>,
}

/// A table of a publication.
#[derive(Debug, Clone, PartialEq, Eq)]
struct PublishedTable {
    name: TableName,
    filtered: bool,
    some_columns: bool,
}

impl Publication {
    /// By what it differs from the publication of exactly these tables; the
    /// first thing that does.
    pub(crate) fn difference(&self, tables: &BTreeSet<&TableName>) -> Option<String> {
        if self.all_tables {
            return Some("it is FOR ALL TABLES".to_owned());
        }
        let names = ["insert", "update", "delete", "truncate"];
        let missing: Vec<&str> = names
            .iter()
            .zip(self.operations)
            .filter(|(_, published)| !published)
            .map(|(name, _)| *name)
            .collect();
        if !missing.is_empty() {
            return Some(format!("it does not publish: {}", missing.join(", ")));
        }
        if self.via_root {
            return Some("it publishes partitions as their root".to_owned());
        }
        if !self.plain_columns {
            return Some("it publishes generated columns".to_owned());
        }
        if let Some(schema) = self.schemas.first() {
            return Some(format!("it publishes the whole schema {schema}"));
        }
        for table in &self.tables {
            let name = &table.name;
            if table.filtered {
                return Some(format!("it has a row filter on {name}"));
            }
            if table.some_columns {
                return Some(format!("it has a column list for {name}"));
            }
            if !tables.contains(name) {
                return Some(format!("it has {name}, which does not move"));
            }
        }
        let lacking = tables
            .iter()
            .find(|name| !self.tables.iter().any(|table| table.name == ***name));
        lacking.map(|name| format!("it lacks {name}"))
    }

    /// The tables that it has.
    pub(crate) fn names(&self) -> BTreeSet<&TableName> {
        self.tables.iter().map(|table| &table.name).collect()
    }

    /// Whether it has this table at all.
    pub(crate) fn has(&self, table: &TableName) -> bool {
        self.tables.iter().any(|one| one.name == *table)
    }
}

/// Reads the publication of this name, if there is one.
pub(crate) async fn read(
    client: &impl GenericClient,
    side: Side,
    name: &str,
) -> Result<Option<Publication>, MoverError> {
    let wrap = || MoverError::sql(side, "reading the publication");
    let Some(row) = client
        .query_opt(PUBLICATION, &[&name])
        .await
        .map_err(wrap())?
    else {
        return Ok(None);
    };
    let schemas = if row.get(9) {
        let rows = client.query(SCHEMAS, &[&name]).await.map_err(wrap())?;
        rows.iter().map(|row| row.get(0)).collect()
    } else {
        Vec::new()
    };
    let (schema, relation): (Vec<String>, Vec<String>) = (row.get(10), row.get(11));
    let (filtered, lists): (Vec<bool>, Vec<bool>) = (row.get(12), row.get(13));
    let tables = schema
        .into_iter()
        .zip(relation)
        .zip(filtered.into_iter().zip(lists))
        .map(
            |((schema, table), (filtered, some_columns))| PublishedTable {
                name: TableName { schema, table },
                filtered,
                some_columns,
            },
        );
    Ok(Some(Publication {
        ours: row.get(0),
        owner: row.get(1),
        all_tables: row.get(2),
        operations: [row.get(3), row.get(4), row.get(5), row.get(6)],
        via_root: row.get(7),
        plain_columns: row.get(8),
        schemas,
        tables: tables.collect(),
    }))
}

/// Makes the publication of this side's tables, or makes it again where it is
/// ours and not what it should be. Another's is refused.
pub(crate) async fn publish(
    transaction: &Transaction<'_>,
    side: Side,
    layout: &Layout,
    tables: &[MovedTable],
) -> Result<(), MoverError> {
    let wrap = || MoverError::sql(side, "making the publication");
    let publication = layout.publication();
    let names: BTreeSet<&TableName> = tables.iter().map(|table| table.name(side)).collect();
    if let Some(found) = read(transaction, side, &publication).await? {
        let Some(difference) = found.difference(&names) else {
            return Ok(());
        };
        if !found.ours {
            return Err(MoverError::Data {
                object: format!("publication {publication} in the {side}'s database"),
                problem: format!(
                    "it has the name of ours, belongs to {}, and {difference}",
                    found.owner
                ),
                remedy: format!("Run as {}: {}", found.owner, drop_statement(&publication)),
            });
        }
        // Changes that it left out before now are in no stream.
        tracing::error!(
            %side, publication, difference,
            "the publication was changed by somebody; it is made again: a stream that was begun says what to do"
        );
        let drop = drop_statement(&publication);
        transaction.batch_execute(&drop).await.map_err(wrap())?;
    }
    let create = format!(
        "create publication {} for table {} \
         with (publish = 'insert, update, delete, truncate')",
        sql::identifier(&publication),
        sql::tables(names)
    );
    transaction.batch_execute(&create).await.map_err(wrap())
}

/// Adds tables to the publication, but for those that it has.
pub(crate) async fn add(
    transaction: &Transaction<'_>,
    side: Side,
    layout: &Layout,
    tables: &[TableName],
) -> Result<(), MoverError> {
    let name = layout.publication();
    let there = published(transaction, side, &name).await?;
    let lacking: Vec<&TableName> = tables.iter().filter(|it| !there.contains(it)).collect();
    if lacking.is_empty() {
        return Ok(());
    }
    let add = format!(
        "alter publication {} add table {}",
        sql::identifier(&name),
        sql::tables(lacking)
    );
    let wrap = MoverError::sql(side, "adding tables to the publication");
    transaction.batch_execute(&add).await.map_err(wrap)
}

/// The tables of a publication.
pub(crate) async fn published(
    client: &impl GenericClient,
    side: Side,
    publication: &str,
) -> Result<Vec<TableName>, MoverError> {
    let found = read(client, side, publication).await?;
    let tables = found.into_iter().flat_map(|publication| publication.tables);
    Ok(tables.map(|table| table.name).collect())
}

/// The statement that takes a publication away.
pub(crate) fn drop_statement(publication: &str) -> String {
    format!("drop publication {}", sql::identifier(publication))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(table: &str) -> TableName {
        TableName {
            schema: "public".into(),
            table: table.into(),
        }
    }

    fn fine() -> Publication {
        let table = |table: &str| PublishedTable {
            name: name(table),
            filtered: false,
            some_columns: false,
        };
        Publication {
            ours: true,
            owner: "banyan".into(),
            all_tables: false,
            via_root: false,
            plain_columns: true,
            operations: [true; 4],
            schemas: Vec::new(),
            tables: vec![table("a"), table("b")],
        }
    }

    #[test]
    fn whatever_is_not_as_we_make_it_is_a_difference() {
        type Spoil = fn(&mut Publication);
        let cases: &[(Spoil, &str)] = &[
            (|p| p.all_tables = true, "FOR ALL TABLES"),
            (
                |p| p.operations = [true, false, false, true],
                "not publish: update, delete",
            ),
            (|p| p.via_root = true, "root"),
            (|p| p.plain_columns = false, "generated"),
            (|p| p.schemas = vec!["s".into()], "schema s"),
            (|p| p.tables[1].filtered = true, "row filter on public.b"),
            (
                |p| p.tables[1].some_columns = true,
                "column list for public.b",
            ),
            (
                |p| p.tables[1].name = name("c"),
                "public.c, which does not move",
            ),
            (|p| drop(p.tables.pop()), "lacks public.b"),
        ];
        let (a, b) = (name("a"), name("b"));
        let tables = BTreeSet::from([&a, &b]);
        assert_eq!(fine().difference(&tables), None);
        for (spoil, words) in cases {
            let mut publication = fine();
            spoil(&mut publication);
            let difference = publication.difference(&tables).expect(words);
            assert!(difference.contains(words), "{difference}");
        }
    }
}
