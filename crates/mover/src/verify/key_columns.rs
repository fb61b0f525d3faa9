//! A primary key in the queries of one side: its order, its texts, and the ends
//! of a range of it.

use crate::{
    catalog::{MovedColumn, MovedTable, operators::KeyOperators},
    database::sql,
};
use protocol::Side;

/// A primary key's values as text, in the key's order.
pub(super) type Key = Vec<String>;

/// In which order keys are compared, on both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyOrder {
    /// The columns' own: the key's index serves.
    Native,
    /// Text by its bytes, because the sides' collations differ.
    Bytes,
}

/// An end of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    /// Past the value.
    After,
    /// Up to the value, and with it.
    UpTo,
}

/// The key's columns of a table `t` on one side.
pub(super) struct KeyColumns {
    columns: Vec<KeyColumn>,
}

struct KeyColumn {
    /// As it is compared.
    ordered: String,
    /// Without a collation.
    plain: String,
    /// What its text is cast to.
    cast: String,
    operators: Operators,
}

/// How a column is compared with a value of its type, as SQL.
struct Operators {
    equal: String,
    less: String,
    less_or_equal: String,
    greater_or_equal: String,
    greater: String,
    built_in: bool,
}

impl KeyColumns {
    /// Of a table; `text` says which of the columns have a collation.
    pub(super) fn new(
        table: &MovedTable,
        side: Side,
        order: KeyOrder,
        text: &[bool],
        operators: &KeyOperators,
    ) -> Self {
        let columns = table.key.iter().zip(text).map(|(&at, &is_text)| {
            let column = &table.columns[at];
            let plain = format!("t.{}", sql::identifier(column.name(side)));
            let collate = if is_text && order == KeyOrder::Bytes {
                " collate \"C\""
            } else {
                ""
            };
            KeyColumn {
                ordered: format!("{plain}{collate}"),
                plain,
                cast: unbounded(column, side),
                operators: Operators::new(operators, column.name(side)),
            }
        });
        Self {
            columns: columns.collect(),
        }
    }

    /// How many columns it has.
    pub(super) fn len(&self) -> usize {
        self.columns.len()
    }

    /// What rows are ordered by.
    pub(super) fn ordered(&self) -> String {
        joined(&self.columns, |column| column.ordered.clone())
    }

    /// Its values as texts.
    pub(super) fn texts(&self) -> String {
        joined(&self.columns, |column| format!("{}::text", column.plain))
    }

    /// Whether a row's key is the texts `w.k0`, `w.k1` ...
    pub(super) fn matches(&self) -> String {
        let equal = |(at, column): (usize, &KeyColumn)| {
            let KeyColumn { plain, cast, .. } = column;
            format!("{plain} {} w.k{at}::{cast}", column.operators.equal)
        };
        let all: Vec<String> = self.columns.iter().enumerate().map(equal).collect();
        all.join(" and ")
    }

    /// The condition of one end of a range, whose values are the parameters from
    /// `first` on.
    pub(super) fn within(&self, bound: Bound, first: usize) -> String {
        let values: Vec<String> = self
            .columns
            .iter()
            .enumerate()
            .map(|(at, column)| format!("${}::text::{}", first + at, column.cast))
            .collect();
        if self.columns.iter().all(|column| column.operators.built_in) {
            let operator = match bound {
                Bound::After => ">",
                Bound::UpTo => "<=",
            };
            return format!("({}) {operator} ({})", self.ordered(), values.join(", "));
        }
        // Rows are compared by one operator's name: not by those of two schemas.
        // The first condition is for the index, which serves no `or`.
        let (Some(column), Some(value)) = (self.columns.first(), values.first()) else {
            return "true".to_owned();
        };
        let widest = match bound {
            Bound::After => &column.operators.greater_or_equal,
            Bound::UpTo => &column.operators.less_or_equal,
        };
        let all = lexicographic(&self.columns, &values, bound);
        format!("({}) {widest} {value} and {all}", column.ordered)
    }
}

impl Operators {
    fn new(all: &KeyOperators, column: &str) -> Self {
        Self {
            equal: all.between(column, "="),
            less: all.between(column, "<"),
            less_or_equal: all.between(column, "<="),
            greater_or_equal: all.between(column, ">="),
            greater: all.between(column, ">"),
            built_in: all.are_built_in(column),
        }
    }
}

fn joined(columns: &[KeyColumn], each: impl Fn(&KeyColumn) -> String) -> String {
    columns.iter().map(each).collect::<Vec<_>>().join(", ")
}

/// The comparison of rows, column by column.
fn lexicographic(key: &[KeyColumn], values: &[String], bound: Bound) -> String {
    let (Some((column, rest)), Some((value, values))) = (key.split_first(), values.split_first())
    else {
        return "true".to_owned();
    };
    let KeyColumn {
        ordered, operators, ..
    } = column;
    let (strict, last) = match bound {
        Bound::After => (&operators.greater, &operators.greater),
        Bound::UpTo => (&operators.less, &operators.less_or_equal),
    };
    if rest.is_empty() {
        return format!("({ordered}) {last} {value}");
    }
    let rest = lexicographic(rest, values, bound);
    let equal = &operators.equal;
    format!("(({ordered}) {strict} {value} or ({ordered}) {equal} {value} and {rest})")
}

/// The type without a length, by which a cast would cut a longer value off.
fn unbounded(column: &MovedColumn, side: Side) -> String {
    let name = column.type_name(side);
    let array = if name.ends_with("[]") { "[]" } else { "" };
    if name.starts_with("character varying(") {
        format!("character varying{array}")
    } else if name.starts_with("character(") {
        format!("bpchar{array}")
    } else {
        name.to_owned()
    }
}
