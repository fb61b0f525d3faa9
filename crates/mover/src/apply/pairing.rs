//! Which columns of a source's table flow into which of the target's, now.
//!
//! What both sides have flows. A column that only the source has stops the
//! stream, with the statement that adds it to the target; one that only the
//! target has must be able to do without a value. What was kept of the tables
//! ([`crate::objects::shape`]) tells a column that was dropped or renamed from
//! one that the other side never had, and one that was dropped and made again
//! from the one that it was.

use crate::{
    catalog::{
        Column, MovedColumn, MovedTable, Table,
        labels::{self, MissingLabels},
    },
    database::sql,
    error::MoverError,
    objects::shape::{ColumnIdentity, Kept, Shape},
};
use plan::TableMapping;
use protocol::{Side, stream::Direction};
use std::collections::HashSet;

/// A table of one side: as the catalogue describes it, and as it was.
pub(super) struct Described {
    pub(super) table: Table,
    pub(super) shape: Shape,
    pub(super) kept: Option<Kept>,
}

/// How a table flows.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) moved: MovedTable,
    /// Columns of the target that get no value from the source.
    pub(super) own: Vec<String>,
    /// Columns of the source that never flowed.
    pub(super) ignored: HashSet<String>,
}

/// Why a table does not flow. Names are of columns, `there` is the target's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unpaired {
    /// The target lacks it.
    Missing { column: String, there: String },
    /// The target computes it.
    Computed { column: String, there: String },
    /// The types do not fit.
    Types { column: String, there: String },
    /// The target's enum lacks labels of the source's.
    Labels {
        column: String,
        missing: Vec<MissingLabels>,
    },
    /// The source calls it otherwise now, the target does not.
    Renamed {
        before: String,
        column: String,
        there: String,
        then: String,
    },
    /// The source has it no more.
    Dropped { column: String, there: String },
    /// One side made it anew, the other did not.
    Again {
        side: Side,
        column: String,
        there: String,
    },
    /// Only the target has it, and it takes no null and has no default.
    NeedsValue { there: String },
    /// There is no key to find rows by.
    NoKey,
}

/// Pairs the columns of both sides.
pub(super) fn pair(
    direction: Direction,
    mapping: &TableMapping,
    source: &Described,
    target: &Described,
) -> Result<Pair, Unpaired> {
    let pairing = Pairing {
        direction,
        mapping,
        source,
        target,
    };
    let mut columns = Vec::new();
    let mut ignored = HashSet::new();
    for column in stored(&source.table) {
        match pairing.twin(column)? {
            Some(twin) => columns.push(pairing.moved(column, twin)),
            None => {
                ignored.insert(column.name.clone());
            }
        }
    }
    let mut own = Vec::new();
    for column in stored(&target.table) {
        let side = direction.target();
        if !columns.iter().any(|moved| moved.name(side) == column.name) {
            pairing.only_there(column)?;
            own.push(column.name.clone());
        }
    }
    let key = pairing.key(&columns)?;
    let moved = MovedTable {
        mapping: mapping.clone(),
        columns,
        key,
    };
    Ok(Pair {
        moved,
        own,
        ignored,
    })
}

fn stored(table: &Table) -> impl Iterator<Item = &Column> {
    table.columns.iter().filter(|column| !column.generated)
}

struct Pairing<'a> {
    direction: Direction,
    mapping: &'a TableMapping,
    source: &'a Described,
    target: &'a Described,
}

impl<'a> Pairing<'a> {
    /// What the target calls a column of the source's.
    fn there(&self, column: &'a str) -> &'a str {
        match self.direction {
            Direction::Forward => self.mapping.service_column(column),
            Direction::Reverse => self.mapping.monolith_column(column),
        }
    }

    /// What the source calls a column of the target's.
    fn here(&self, there: &'a str) -> &'a str {
        match self.direction {
            Direction::Forward => self.mapping.monolith_column(there),
            Direction::Reverse => self.mapping.service_column(there),
        }
    }

    /// The target's column for one of the source's; `None` for one that never
    /// flowed.
    fn twin(&self, column: &'a Column) -> Result<Option<&'a Column>, Unpaired> {
        let name = self.there(&column.name);
        let names = || (column.name.clone(), name.to_owned());
        let twin = self
            .target
            .table
            .columns
            .iter()
            .find(|twin| twin.name == name);
        let Some(twin) = twin else {
            if self.never_flowed(column) {
                return Ok(None);
            }
            if let Some(renamed) = self.renamed(column) {
                return Err(renamed);
            }
            let (column, there) = names();
            return Err(Unpaired::Missing { column, there });
        };
        let (here, there) = names();
        if twin.generated {
            return Err(Unpaired::Computed {
                column: here,
                there,
            });
        }
        if !column.fits(twin) {
            match labels::missing(&column.definition, &twin.definition) {
                // The target knows all that can come.
                Some(missing) if missing.is_empty() => {}
                Some(missing) => {
                    return Err(Unpaired::Labels {
                        column: here,
                        missing,
                    });
                }
                None => {
                    return Err(Unpaired::Types {
                        column: here,
                        there,
                    });
                }
            }
        }
        let anew = |described: &Described, name: &str| {
            let kept = described
                .kept
                .as_ref()
                .and_then(|kept| kept.columns.get(name));
            let now = described.shape.columns.get(name);
            match (kept, now) {
                (Some(kept), Some(now)) if kept.moves => kept.identity.number != now.number,
                _ => false,
            }
        };
        let side = match (anew(self.source, &here), anew(self.target, &there)) {
            (true, false) => self.direction.source(),
            (false, true) => self.direction.target(),
            _ => return Ok(Some(twin)),
        };
        Err(Unpaired::Again {
            side,
            column: here,
            there,
        })
    }

    /// A column of the service's that was not the monolith's when following
    /// began.
    fn never_flowed(&self, column: &Column) -> bool {
        let kept = self.source.kept.as_ref();
        self.direction.source() == Side::Service
            && kept.is_none_or(|kept| {
                kept.columns
                    .get(&column.name)
                    .is_some_and(|kept| !kept.moves)
            })
    }

    /// Whether the column is one that the target still calls as before.
    fn renamed(&self, column: &Column) -> Option<Unpaired> {
        let ColumnIdentity { number, .. } = self.source.shape.columns.get(&column.name)?;
        let kept = self.source.kept.as_ref()?;
        let (before, _) = kept.columns.iter().find(|(name, kept)| {
            kept.moves
                && kept.identity.number == *number
                && !self.source.shape.columns.contains_key(*name)
        })?;
        let there = match self.direction {
            Direction::Forward => self.mapping.service_column(before),
            Direction::Reverse => self.mapping.monolith_column(before),
        };
        let still = self.target.shape.columns.contains_key(there);
        still.then(|| Unpaired::Renamed {
            before: before.clone(),
            column: column.name.clone(),
            there: there.to_owned(),
            then: self.there(&column.name).to_owned(),
        })
    }

    /// Looks at a column that only the target has.
    fn only_there(&self, column: &'a Column) -> Result<(), Unpaired> {
        let there = column.name.clone();
        let kept = self.target.kept.as_ref();
        if kept
            .and_then(|kept| kept.columns.get(&there))
            .is_some_and(|kept| kept.moves)
        {
            let column = self.here(&column.name).to_owned();
            return Err(Unpaired::Dropped { column, there });
        }
        if column.not_null && !column.has_default {
            return Err(Unpaired::NeedsValue { there });
        }
        Ok(())
    }

    fn moved(&self, column: &Column, twin: &Column) -> MovedColumn {
        let (monolith, service) = match self.direction {
            Direction::Forward => (column, twin),
            Direction::Reverse => (twin, column),
        };
        MovedColumn {
            monolith: monolith.name.clone(),
            service: service.name.clone(),
            monolith_type: monolith.type_name.clone(),
            service_type: service.type_name.clone(),
        }
    }

    /// The monolith's primary key.
    fn key(&self, columns: &[MovedColumn]) -> Result<Vec<usize>, Unpaired> {
        let monolith = match self.direction {
            Direction::Forward => &self.source.table,
            Direction::Reverse => &self.target.table,
        };
        let at = |name: &String| columns.iter().position(|column| column.monolith == *name);
        let key: Vec<usize> = monolith.key.iter().filter_map(at).collect();
        if key.is_empty() || key.len() != monolith.key.len() {
            return Err(Unpaired::NoKey);
        }
        Ok(key)
    }
}

impl Unpaired {
    /// The source's column that the target lacks.
    pub(super) fn missing(&self) -> Option<&str> {
        match self {
            Self::Missing { column, .. } => Some(column),
            _ => None,
        }
    }

    /// The error, with the statement that mends it. `definition` is what stands
    /// after the column's name in the source's table.
    #[expect(
        clippy::too_many_lines,
        reason = "a table of words, nothing is decided"
    )]
    pub(super) fn into_error(
        self,
        direction: Direction,
        source: &Table,
        target: &Table,
        definition: &str,
    ) -> MoverError {
        let (from, to) = (direction.source(), direction.target());
        let alter_target = format!("alter table {}", sql::table(&target.name));
        let alter_source = format!("alter table {}", sql::table(&source.name));
        let quoted = |name: &str| sql::identifier(name);
        let type_of = |table: &Table, name: &str| {
            let column = table.columns.iter().find(|column| column.name == name);
            column.map_or_else(String::new, |column| column.type_name.clone())
        };
        let (column, problem, remedy) = match self {
            Self::Missing { column, there } => (
                column.clone(),
                format!("the {from}'s table has this column, the {to}'s has not"),
                format!(
                    "In the {to}'s database run `{alter_target} add column {} {definition}`, or \
                     drop it from the {from}'s table if it is not meant to flow",
                    quoted(&there)
                ),
            ),
            Self::Computed { column, there } => (
                column,
                format!("the {to} computes {there}, but the {from} stores it"),
                format!(
                    "In the {to}'s database run `{alter_target} alter column {} drop expression`",
                    quoted(&there)
                ),
            ),
            Self::Types { column, there } => {
                let (ours, theirs) = (type_of(source, &column), type_of(target, &there));
                let problem = format!(
                    "it is {ours} in the {from}'s table, but {there} is {theirs} in the {to}'s"
                );
                let remedy = format!(
                    "In the {to}'s database run `{alter_target} alter column {0} type {ours} using \
                     {0}::{ours}`, or undo the change",
                    quoted(&there)
                );
                (column, problem, remedy)
            }
            Self::Labels { column, missing } => {
                let statements: Vec<String> =
                    missing.iter().flat_map(MissingLabels::statements).collect();
                let problem =
                    format!("its type has labels in the {from} that it lacks in the {to}");
                let statements = statements.join("; ");
                (
                    column,
                    problem,
                    format!("In the {to}'s database run `{statements}`"),
                )
            }
            Self::Renamed {
                before,
                column,
                there,
                then,
            } => (
                column.clone(),
                format!("the {from}'s table calls {before} so now, the {to}'s does not"),
                format!(
                    "In the {to}'s database run `{alter_target} rename column {} to {}`, or in the \
                     {from}'s `{alter_source} rename column {} to {}`",
                    quoted(&there),
                    quoted(&then),
                    quoted(&column),
                    quoted(&before)
                ),
            ),
            Self::Dropped { column, there } => (
                column.clone(),
                format!("the {from}'s table has this column no more, the {to}'s has {there}"),
                format!(
                    "In the {to}'s database run `{alter_target} drop column {}`, or in the {from}'s \
                     `{alter_source} add column {} {}`",
                    quoted(&there),
                    quoted(&column),
                    type_of(target, &there)
                ),
            ),
            Self::Again {
                side,
                column,
                there,
            } => {
                let other = if side == from {
                    (alter_target, &there, type_of(target, &there))
                } else {
                    (alter_source, &column, type_of(source, &column))
                };
                let (alter, name, kind) = other;
                let problem = format!(
                    "it was dropped and made again in the {side}'s table, so the other side has \
                     values that this one has not"
                );
                let remedy = format!(
                    "In the {}'s database run `{alter} drop column {1}, add column {1} {kind}`",
                    side.other(),
                    quoted(name)
                );
                (column, problem, remedy)
            }
            Self::NeedsValue { there } => {
                let object = format!("{}.{there}", target.name);
                return MoverError::Data {
                    object,
                    problem: format!(
                        "only the {to}'s table has this column, and it takes no row without a value"
                    ),
                    remedy: format!(
                        "In the {to}'s database run `{alter_target} alter column {} drop not null`, \
                         or give it a default",
                        quoted(&there)
                    ),
                };
            }
            Self::NoKey => {
                return MoverError::Data {
                    object: source.name.to_string(),
                    problem: "it has no primary key, or not the one of the monolith".to_owned(),
                    remedy: "Put the primary key back".to_owned(),
                };
            }
        };
        MoverError::Data {
            object: format!("{}.{column}", source.name),
            problem,
            remedy,
        }
    }
}

#[cfg(test)]
mod tests;
