//! The keys that the service gives out itself in a table that both sides insert
//! into: a range of their own, far from the monolith's.
//!
//! The monolith's sequence stays as it is. The service's is moved to the middle
//! of what is left of the type, once, when the copy ends and before the service
//! may insert. No hand-over moves either of them any more.

use crate::{
    catalog::{self, MovedTable},
    database::{session::Session, sql},
    error::MoverError,
};
use protocol::Side;
use tokio_postgres::GenericClient;

/// Fewer keys than these left for one side are too few: at a hundred rows a
/// second they are given out in a day.
const FEWEST_KEYS: i64 = 10_000_000;

/// Larger numbers are not exact in JavaScript, nor in the JSON of many others.
const EXACT_IN_JSON: i64 = (1 << 53) - 1;

/// A sequence of one side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeySequence {
    /// The last value given out, or the one before the first.
    pub(crate) last: i64,
    pub(crate) increment: i64,
    pub(crate) min: i64,
    pub(crate) max: i64,
    pub(crate) cycles: bool,
}

impl KeySequence {
    /// Reads one, by its name as `regclass` writes it.
    pub(crate) async fn read(
        client: &impl GenericClient,
        side: Side,
        sequence: &str,
    ) -> Result<Self, MoverError> {
        let query = format!(
            "select case when is_called then last_value else last_value - seqincrement end, \
                seqincrement, seqmin, seqmax, seqcycle \
             from {sequence}, pg_sequence where seqrelid = $1::text::regclass"
        );
        let row = client
            .query_one(&query, &[&sequence])
            .await
            .map_err(MoverError::sql(side, "reading a sequence"))?;
        Ok(Self {
            last: row.get(0),
            increment: row.get(1),
            min: row.get(2),
            max: row.get(3),
            cycles: row.get(4),
        })
    }
}

/// Where the service's own keys begin, or why there is no room for two.
/// `types` are the column's on both sides.
pub(crate) fn begin(
    monolith: &KeySequence,
    service: &KeySequence,
    types: [&str; 2],
) -> Result<i64, String> {
    for (side, sequence) in [(Side::Monolith, monolith), (Side::Service, service)] {
        if sequence.increment <= 0 {
            return Err(format!("the {side}'s sequence counts downwards"));
        }
        if sequence.cycles {
            return Err(format!(
                "the {side}'s sequence begins again at its end, and would give out the other \
                 side's keys"
            ));
        }
    }
    let mut top = service.max;
    for name in types {
        top = top.min(largest(name).ok_or_else(|| format!("its type is {name}, no integer"))?);
    }
    if monolith.last < EXACT_IN_JSON / 2 {
        top = top.min(EXACT_IN_JSON);
    }
    let half = top.saturating_sub(monolith.last.max(0)) / 2;
    if half < FEWEST_KEYS {
        return Err(format!(
            "only {} keys are left, and each side needs {FEWEST_KEYS}",
            top.saturating_sub(monolith.last.max(0)).max(0)
        ));
    }
    // A number that is recognised when seen.
    let round = 10_i64.pow(half.ilog10().saturating_sub(1));
    let middle = monolith.last.max(0) + half;
    Ok((middle / round * round).max(service.min))
}

/// The largest value of an integer type.
fn largest(type_name: &str) -> Option<i64> {
    match type_name {
        "smallint" => Some(i64::from(i16::MAX)),
        "integer" => Some(i64::from(i32::MAX)),
        "bigint" => Some(i64::MAX),
        _ => None,
    }
}

/// Moves the service's sequences of one table into their own range. Those that
/// are there already stay. No one else inserts meanwhile; repeating it is
/// harmless.
pub(crate) async fn move_service(
    table: &MovedTable,
    monolith: &Session,
    service: &impl GenericClient,
) -> Result<(), MoverError> {
    let wrap = || MoverError::sql(Side::Service, "moving a sequence into its own range");
    let name = table.name(Side::Service);
    let old = sequences(&**monolith, Side::Monolith, table).await?;
    let new = sequences(service, Side::Service, table).await?;
    for (at, column) in table.columns.iter().enumerate() {
        let (Some(old), Some(new)) = (&old[at], &new[at]) else {
            continue;
        };
        let theirs = KeySequence::read(&**monolith, Side::Monolith, old).await?;
        let ours = KeySequence::read(service, Side::Service, new).await?;
        let types = Side::BOTH.map(|side| column.type_name(side));
        let begin = begin(&theirs, &ours, types).map_err(|problem| MoverError::Data {
            object: format!("{name}.{}", column.service),
            problem: format!("it can have no keys of its own: {problem}"),
            remedy: "Give it the type bigint on both sides, or take `writes: append` off its table"
                .to_owned(),
        })?;
        // Rows of the service's from an earlier life of the extraction have
        // come back with the copy.
        let largest = format!(
            "select coalesce(max({}), 0)::bigint from {}",
            sql::identifier(&column.service),
            sql::table(name)
        );
        let largest: i64 = service
            .query_one(&largest, &[])
            .await
            .map_err(wrap())?
            .get(0);
        let next = begin.max(largest.saturating_add(1));
        if ours.last < next {
            service
                .execute(
                    "select setval($1::text::regclass, $2, false)",
                    &[new, &next],
                )
                .await
                .map_err(wrap())?;
        }
    }
    Ok(())
}

/// The sequence behind each column that moves.
async fn sequences(
    client: &impl GenericClient,
    side: Side,
    table: &MovedTable,
) -> Result<Vec<Option<String>>, MoverError> {
    let described = catalog::table_of(client, side, table.name(side)).await?;
    let columns = described.map(|table| table.columns).unwrap_or_default();
    let of = |name: &str| {
        let column = columns.iter().find(|column| column.name == name);
        column.and_then(|column| column.sequence.clone())
    };
    Ok(table.column_names(side).into_iter().map(of).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence(last: i64) -> KeySequence {
        KeySequence {
            last,
            increment: 1,
            min: 1,
            max: i64::MAX,
            cycles: false,
        }
    }

    #[test]
    fn the_service_begins_in_the_middle_of_what_is_left() {
        let begin = |last, types| begin(&sequence(last), &sequence(0), types);
        assert_eq!(begin(0, ["bigint"; 2]), Ok(4_500_000_000_000_000));
        assert_eq!(begin(0, ["integer"; 2]), Ok(1_000_000_000));
        assert_eq!(begin(0, ["bigint", "integer"]), Ok(1_000_000_000));
        assert_eq!(begin(1_000_000_000, ["integer"; 2]), Ok(1_570_000_000));
        // Numbers that are past what JSON carries exactly go on from there.
        let large = begin(1 << 60, ["bigint"; 2]).unwrap();
        assert!(large > 1 << 61, "{large}");
    }

    #[test]
    fn each_lack_of_room_has_its_reason() {
        let refused =
            |monolith: KeySequence, types| begin(&monolith, &sequence(0), types).unwrap_err();
        let plain = sequence(10);
        assert!(refused(plain.clone(), ["smallint"; 2]).contains("only 32757 keys"));
        let full = sequence(2_140_000_000);
        assert!(refused(full, ["integer"; 2]).contains("keys are left"));
        assert!(refused(plain.clone(), ["numeric", "bigint"]).contains("no integer"));
        let down = KeySequence {
            increment: -1,
            ..plain.clone()
        };
        assert!(refused(down, ["bigint"; 2]).contains("downwards"));
        let cycling = KeySequence {
            cycles: true,
            ..plain
        };
        assert!(refused(cycling, ["bigint"; 2]).contains("begins again"));
        let small = KeySequence {
            max: 1000,
            ..sequence(0)
        };
        let error = begin(&sequence(0), &small, ["bigint"; 2]).unwrap_err();
        assert!(error.contains("only 1000 keys"), "{error}");
    }
}
