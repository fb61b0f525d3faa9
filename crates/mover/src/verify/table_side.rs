//! The queries of one table on one side. All SQL of the verification is here.

use super::{
    key_columns::{Bound, Key, KeyColumns, KeyOrder},
    row_hash::{column_hashes, row_hash},
};
use crate::{
    catalog::{MovedTable, operators::KeyOperators},
    database::{session::Session, sql},
    error::MoverError,
};
use plan::TableWrites;
use postgres_types::ToSql;
use std::fmt::Write as _;
use tokio_postgres::Row;

/// Rows of one chunk: some 10 ms of work, so that little moves meanwhile.
pub(super) const CHUNK_ROWS: u64 = 10_000;

/// Without an index in the compared order each chunk reads the whole table:
/// then there are at most about this many.
const MOST_SCANS: u64 = 32;

/// How a text column sorts: `null` for other types, else provider and locale.
/// The JSON forms bridge versions, which name these columns differently.
const LOCALES: &str = "select case \
        when a.attcollation = 0 then null \
        when c.collprovider = 'd' then coalesce(d.j->>'datlocprovider', 'c') || '/' || \
            coalesce(d.j->>'datlocale', d.j->>'daticulocale', d.j->>'datcollate', '') \
        else c.collprovider::text || '/' || coalesce(to_jsonb(c)->>'colllocale', \
            to_jsonb(c)->>'colliculocale', c.collcollate::text, '') end \
    from unnest($2::text[]) with ordinality k(name, position) \
    join pg_attribute a on a.attname = k.name and a.attrelid = $1::text::regclass \
    left join pg_collation c on c.oid = a.attcollation \
    cross join (select to_jsonb(p) from pg_database p where datname = current_database()) d(j) \
    order by k.position";

const ESTIMATE: &str =
    "select greatest(reltuples, 0)::float8 from pg_class where oid = $1::text::regclass";

/// Keys after `after`, up to and with `to`; open where there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) after: Option<Key>,
    pub(super) to: Option<Key>,
}

/// A range's rows on one side, in sum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Digest {
    pub(super) rows: u64,
    /// The sum of the rows' hashes.
    pub(super) hashes: String,
}

/// A row as one read found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ObservedRow {
    pub(super) hash: i64,
    /// Changes with every update, also with one to the same values.
    pub(super) version: String,
}

/// The hashes of a row's columns, in the table's order.
pub(super) type ColumnHashes = Vec<Option<i64>>;

/// A table on both sides, seen from the owner.
pub(super) struct TableSides<'a> {
    pub(super) owner: TableSide<'a>,
    pub(super) other: TableSide<'a>,
    pub(super) chunk_rows: u64,
    pub(super) rows_estimated: u64,
    /// Whether the other side has rows of its own, which flow to the owner.
    pub(super) both_append: bool,
}

impl<'a> TableSides<'a> {
    pub(super) async fn new(
        table: &MovedTable,
        owner: &'a Session,
        other: &'a Session,
    ) -> Result<Self, MoverError> {
        let (ours, theirs) = tokio::try_join!(locales(table, owner), locales(table, other))?;
        let order = if ours == theirs {
            KeyOrder::Native
        } else {
            KeyOrder::Bytes
        };
        let (here, there) = tokio::try_join!(
            KeyOperators::of(owner, table.name(owner.side())),
            KeyOperators::of(other, table.name(other.side())),
        )?;
        let rows_estimated = estimate(table, owner).await?;
        let chunk_rows = match order {
            KeyOrder::Native => CHUNK_ROWS,
            KeyOrder::Bytes => CHUNK_ROWS.max(rows_estimated / MOST_SCANS),
        };
        let text: Vec<bool> = ours.iter().map(Option::is_some).collect();
        let side = |session: &'a Session, operators| TableSide {
            session,
            name: sql::table(table.name(session.side())),
            hash: row_hash(table, session.side()),
            column_hashes: column_hashes(table, session.side()),
            key: KeyColumns::new(table, session.side(), order, &text, operators),
        };
        Ok(Self {
            owner: side(owner, &here),
            other: side(other, &there),
            chunk_rows,
            rows_estimated,
            both_append: table.mapping.writes == TableWrites::Append,
        })
    }
}

/// A table on one side.
pub(super) struct TableSide<'a> {
    session: &'a Session,
    name: String,
    /// The hash of a row, as SQL.
    hash: String,
    /// Those of its columns.
    column_hashes: String,
    key: KeyColumns,
}

impl TableSide<'_> {
    /// Number and hashes of the rows in a range.
    pub(super) async fn digest(&self, range: &Range) -> Result<Digest, MoverError> {
        let (filter, values) = self.filter(range);
        let select = format!(
            "select count(*), coalesce(sum({}::numeric), 0)::text from {} t {filter}",
            self.hash, self.name
        );
        let rows = self.query(&select, &values).await?;
        let row = rows.first().ok_or_else(|| self.no_answer())?;
        Ok(Digest {
            rows: u64::try_from(row.get::<_, i64>(0)).unwrap_or(0),
            hashes: row.get(1),
        })
    }

    /// The key of the `rows`-th row of a range, if there are as many.
    pub(super) async fn boundary(
        &self,
        range: &Range,
        rows: u64,
    ) -> Result<Option<Key>, MoverError> {
        let (filter, values) = self.filter(range);
        let select = format!(
            "select {} from {} t {filter} order by {} offset {} limit 1",
            self.key.texts(),
            self.name,
            self.key.ordered(),
            rows.saturating_sub(1),
        );
        let found = self.query(&select, &values).await?;
        Ok(found
            .first()
            .map(|row| (0..self.key.len()).map(|at| row.get(at)).collect()))
    }

    /// Keys and hashes of the rows in a range.
    pub(super) async fn list(&self, range: &Range) -> Result<Vec<(Key, i64)>, MoverError> {
        let (filter, values) = self.filter(range);
        let select = format!(
            "select {}, {} from {} t {filter}",
            self.key.texts(),
            self.hash,
            self.name
        );
        let rows = self.query(&select, &values).await?;
        let width = self.key.len();
        let key = |row: &Row| (0..width).map(|at| row.get(at)).collect();
        Ok(rows.iter().map(|row| (key(row), row.get(width))).collect())
    }

    /// The rows of these keys, in their order; `None` where there is none.
    pub(super) async fn read_rows(
        &self,
        keys: &[Key],
    ) -> Result<Vec<Option<ObservedRow>>, MoverError> {
        let wanted = format!("{}, t.xmin::text || t.ctid::text", self.hash);
        let observed = |row: &Row| ObservedRow {
            hash: row.get(1),
            version: row.get(2),
        };
        self.read(keys, &wanted, observed).await
    }

    /// The hashes of these keys' columns; `None` where there is no such row, and in it
    /// of what is null.
    pub(super) async fn read_columns(
        &self,
        keys: &[Key],
    ) -> Result<Vec<Option<ColumnHashes>>, MoverError> {
        self.read(keys, &self.column_hashes, |row: &Row| row.get(1))
            .await
    }

    /// What is wanted of the rows of these keys, in their order.
    async fn read<T: Clone>(
        &self,
        keys: &[Key],
        wanted: &str,
        read: impl Fn(&Row) -> T,
    ) -> Result<Vec<Option<T>>, MoverError> {
        let columns: Vec<Vec<&str>> = (0..self.key.len())
            .map(|at| keys.iter().map(|key| key[at].as_str()).collect())
            .collect();
        let names = |with: &dyn Fn(usize) -> String| {
            (0..self.key.len()).map(with).collect::<Vec<_>>().join(", ")
        };
        let arrays = names(&|at| format!("${}::text[]", at + 1));
        let texts = names(&|at| format!("k{at}"));
        let select = format!(
            "select w.n, {wanted} \
             from unnest({arrays}) with ordinality w({texts}, n) join {} t on {}",
            self.name,
            self.key.matches(),
        );
        let parameters: Vec<&(dyn ToSql + Sync)> = columns
            .iter()
            .map(|column| column as &(dyn ToSql + Sync))
            .collect();
        let rows = self
            .session
            .query(&select, &parameters)
            .await
            .map_err(MoverError::sql(self.session.side(), "comparing rows"))?;
        let mut found = vec![None; keys.len()];
        for row in rows {
            let at = usize::try_from(row.get::<_, i64>(0) - 1).unwrap_or(usize::MAX);
            if let Some(place) = found.get_mut(at) {
                *place = Some(read(&row));
            }
        }
        Ok(found)
    }

    /// The `where` of a range, and its parameters.
    fn filter<'r>(&self, range: &'r Range) -> (String, Vec<&'r str>) {
        let mut values: Vec<&str> = Vec::new();
        let mut filter = String::new();
        for (bound, key) in [(Bound::After, &range.after), (Bound::UpTo, &range.to)] {
            let Some(key) = key else { continue };
            let condition = self.key.within(bound, values.len() + 1);
            values.extend(key.iter().map(String::as_str));
            let word = if filter.is_empty() { "where" } else { " and" };
            // Writing to a string cannot fail.
            let _ = write!(filter, "{word} {condition}");
        }
        (filter, values)
    }

    async fn query(&self, select: &str, values: &[&str]) -> Result<Vec<Row>, MoverError> {
        let parameters: Vec<&(dyn ToSql + Sync)> = values
            .iter()
            .map(|value| value as &(dyn ToSql + Sync))
            .collect();
        self.session
            .query(select, &parameters)
            .await
            .map_err(MoverError::sql(self.session.side(), "comparing rows"))
    }

    fn no_answer(&self) -> MoverError {
        MoverError::Data {
            object: self.name.clone(),
            problem: "an aggregate gave no row".to_owned(),
            remedy: "Use a server of PostgreSQL's".to_owned(),
        }
    }
}

async fn locales(table: &MovedTable, session: &Session) -> Result<Vec<Option<String>>, MoverError> {
    let side = session.side();
    let name = sql::table(table.name(side));
    let rows = session
        .query(LOCALES, &[&name, &table.key_names(side)])
        .await
        .map_err(MoverError::sql(side, "reading the key's collations"))?;
    Ok(rows
        .iter()
        .map(|row| row.get::<_, Option<String>>(0).map(|name| plain(&name)))
        .collect())
}

/// One spelling for a locale that systems spell differently.
fn plain(locale: &str) -> String {
    let name = locale.to_lowercase().replace('-', "");
    if name == "c/posix" {
        "c/c".to_owned()
    } else {
        name
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an estimate"
)]
async fn estimate(table: &MovedTable, session: &Session) -> Result<u64, MoverError> {
    let side = session.side();
    let row = session
        .query_one(ESTIMATE, &[&sql::table(table.name(side))])
        .await
        .map_err(MoverError::sql(side, "estimating a table"))?;
    Ok(row.get::<_, f64>(0) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_locale_are_one() {
        assert_eq!(plain("c/en_US.UTF-8"), plain("c/en_US.utf8"));
        assert_eq!(plain("c/POSIX"), plain("c/C"));
        assert_ne!(plain("c/C"), plain("c/en_US.utf8"));
        assert_ne!(plain("i/en-US"), plain("c/en-US"));
    }
}
