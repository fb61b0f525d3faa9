//! The hash of a row, as SQL.
//!
//! It is that of the row's text, which the sessions' settings make the same on
//! both sides for the same values. PostgreSQL builds that text in memory, of a
//! gibibyte at most, and that of a `bytea` is twice as long as its value: so a
//! long value is replaced by its own hash before.

use crate::{
    catalog::{self, MovedColumn, MovedTable},
    database::sql,
};
use protocol::Side;

/// A longer value is hashed by itself.
const LONGEST_TEXT_BYTES: usize = 1 << 20;

/// What is hashed by itself where it is long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Long {
    Text,
    Bytes,
    /// Nothing: a type that is not expected to be that long, or one that does
    /// not tell its length without being written out.
    Never,
}

/// The hash of a row `t` of a table on a side: a `bigint`.
pub(super) fn row_hash(table: &MovedTable, side: Side) -> String {
    let columns: Vec<String> = table
        .columns
        .iter()
        .map(|column| value(column, side))
        .collect();
    format!("hashtextextended(row({})::text, 0)", columns.join(", "))
}

/// The hashes of a row's columns, each by itself, in the table's order: a `bigint[]`.
pub(super) fn column_hashes(table: &MovedTable, side: Side) -> String {
    let hash = |column| format!("hashtextextended(({})::text, 0)", value(column, side));
    let columns: Vec<String> = table.columns.iter().map(hash).collect();
    format!("array[{}]::bigint[]", columns.join(", "))
}

fn value(column: &MovedColumn, side: Side) -> String {
    let name = format!("t.{}", sql::identifier(column.name(side)));
    let own = match long(column) {
        Long::Never => return name,
        // Whatever its collation takes for equal: by its bytes.
        Long::Text => format!("hashtextextended({name}::text collate \"C\", 0)::text"),
        Long::Bytes => format!("encode(sha256({name}), 'hex')"),
    };
    format!(
        "case when octet_length({name}) > {LONGEST_TEXT_BYTES} \
         then octet_length({name})::text || ' bytes: ' || {own} else {name}::text end"
    )
}

/// Decided by both sides' types alike.
fn long(column: &MovedColumn) -> Long {
    let types = [&column.monolith_type, &column.service_type];
    if types.iter().all(|name| catalog::is_text(name)) {
        Long::Text
    } else if types.iter().all(|name| *name == "bytea") {
        Long::Bytes
    } else {
        Long::Never
    }
}
