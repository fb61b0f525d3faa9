//! Where the new owner's sequences must go: pure.

use super::sequence::{Position, Range, Sequence};
use plan::TableMapping;
use protocol::{
    Side,
    finding::{Remedy, Statement},
};
use std::collections::BTreeMap;

/// A sequence of the target's and the last value that it is to have given out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Advance {
    /// As `regclass` writes it.
    pub(crate) sequence: String,
    /// What `setval` gets.
    pub(crate) last: i64,
    /// How many numbers are left after it; `None` for one that cycles.
    pub(crate) left: Option<u64>,
}

/// Why a sequence cannot be moved on, or will not be soon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Obstacle {
    pub(crate) kind: ObstacleKind,
    /// The sequence, its side and its column.
    pub(crate) object: String,
    pub(crate) problem: String,
    pub(crate) remedy: Remedy,
}

/// What is the matter with a sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ObstacleKind {
    /// Our role may not read or set it.
    Rights,
    /// It goes up on one side and down on the other.
    Direction,
    /// It has too few numbers left.
    Bound,
}

/// What our role may not do with the sequences of a side.
pub(crate) fn rights(side: Side, sequences: &[Sequence]) -> Vec<Obstacle> {
    let lacking = sequences
        .iter()
        .filter(|one| one.position.is_none() || !one.may_set);
    let mut by_name: BTreeMap<&str, &Sequence> = BTreeMap::new();
    for sequence in lacking {
        by_name.entry(&sequence.name).or_insert(sequence);
    }
    by_name
        .into_values()
        .map(|one| Obstacle {
            kind: ObstacleKind::Rights,
            object: object(side, one),
            problem: format!(
                "it belongs to {}, and role {} may not read and set it, as each hand-over does",
                one.owner, one.role
            ),
            remedy: Remedy::run(
                format!("Run as {}", one.owner),
                [Statement::new(
                    side,
                    format!(
                        "grant select, update on sequence {} to {}",
                        one.name, one.role
                    ),
                )
                .by(one.owner.as_str())],
            ),
        })
        .collect()
}

/// How far each of the target's sequences must go to be past the source's by a
/// block. All that is in the way is found at once.
pub(crate) fn advances(
    mappings: &[&TableMapping],
    from: Side,
    source: &[Sequence],
    target: &[Sequence],
    block: u32,
) -> Result<Vec<Advance>, Vec<Obstacle>> {
    // Several columns may draw from one: the furthest counts.
    let mut furthest: BTreeMap<&str, (i64, &Sequence)> = BTreeMap::new();
    let mut obstacles = Vec::new();
    for (own, twin) in pairs(mappings, from, source, target) {
        let (Some(position), Some(given)) = (own.position, twin.position) else {
            continue;
        };
        if own.range.increment.signum() != twin.range.increment.signum() {
            obstacles.push(direction(from.other(), own, twin));
            continue;
        }
        // Whoever draws from one that goes on in steps may take all numbers of a
        // step for its own.
        let distance = u64::from(block).max(twin.range.increment.unsigned_abs());
        let Some(last) = goal(own.range, position, given, distance) else {
            continue;
        };
        // What the source gives out once only is not to be given out anew.
        let range = Range {
            cycles: own.range.cycles && twin.range.cycles,
            ..own.range
        };
        if let Some(last) = range.reach(last) {
            let entry = furthest.entry(&own.name).or_insert((last, own));
            if own.range.is_past(last, entry.0) {
                entry.0 = last;
            }
        } else {
            obstacles.push(bound(from.other(), own, distance));
        }
    }
    if !obstacles.is_empty() {
        return Err(obstacles);
    }
    let advance = |(name, (last, own)): (&str, (i64, &Sequence))| Advance {
        sequence: name.to_owned(),
        last,
        left: own.range.left(last),
    };
    Ok(furthest.into_iter().map(advance).collect())
}

/// How a sequence of the service's differs from the monolith's of the same column,
/// beside where they stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Difference {
    /// The service's sequence and its column.
    pub(crate) object: String,
    pub(crate) problem: String,
    /// SQL that mends it at the service.
    pub(crate) mend: String,
}

/// The numbers that the service is to give out, but for direction and bounds.
pub(crate) fn differences(
    mappings: &[&TableMapping],
    monolith: &[Sequence],
    service: &[Sequence],
) -> Vec<Difference> {
    let mut found: BTreeMap<&str, Difference> = BTreeMap::new();
    for (own, twin) in pairs(mappings, Side::Monolith, monolith, service) {
        if own.range.increment.signum() == twin.range.increment.signum()
            && let Some(difference) = difference(own, twin)
        {
            found.entry(&own.name).or_insert(difference);
        }
    }
    found.into_values().collect()
}

fn difference(own: &Sequence, twin: &Sequence) -> Option<Difference> {
    let (step, steps) = (own.range.increment, twin.range.increment);
    let (mut problems, mut changes) = (Vec::new(), Vec::new());
    if step != steps {
        problems.push(format!(
            "it goes on by {step}, the monolith's by {steps}: who has it mean more than one number \
             by each, or keeps the numbers between for somebody else, meets taken ones"
        ));
        changes.push(format!("increment by {steps}"));
    } else if let (Some(at), Some(given)) = (own.position, twin.position)
        && (i128::from(at.last) - i128::from(given.last)) % i128::from(step) != 0
    {
        let furthest = if own.range.is_past(at.last, given.last) {
            at.last
        } else {
            given.last
        };
        let (from, step) = (i128::from(given.last), i128::from(step));
        let next = from + ((i128::from(furthest) - from) / step + 1) * step;
        problems.push(format!(
            "both go on by {step}, from different numbers: it gives out those that the monolith's \
             leaves out, which may be another's"
        ));
        changes.push(format!("restart with {next}"));
    }
    match (own.range.cycles, twin.range.cycles) {
        (true, false) => {
            problems.push("it begins anew at its end, the monolith's does not".to_owned());
            changes.push("no cycle".to_owned());
        }
        (false, true) => {
            problems.push("it ends at its end, the monolith's begins anew".to_owned());
            changes.push("cycle".to_owned());
        }
        _ => {}
    }
    (!problems.is_empty()).then(|| Difference {
        object: object(Side::Service, own),
        problem: problems.join("; "),
        mend: format!("alter sequence {} {}", own.name, changes.join(" ")),
    })
}

/// The target's sequences with those of the same column at the source.
fn pairs<'a>(
    mappings: &[&TableMapping],
    from: Side,
    source: &'a [Sequence],
    target: &'a [Sequence],
) -> Vec<(&'a Sequence, &'a Sequence)> {
    let mut found = Vec::new();
    for mapping in mappings {
        let (here, there) = match from {
            Side::Monolith => (&mapping.monolith, &mapping.service),
            Side::Service => (&mapping.service, &mapping.monolith),
        };
        for twin in source.iter().filter(|one| one.table == *here) {
            let name = match from {
                Side::Monolith => mapping.service_column(&twin.column),
                Side::Service => mapping.monolith_column(&twin.column),
            };
            let own = target
                .iter()
                .find(|own| own.table == *there && own.column == name);
            found.extend(own.map(|own| (own, twin)));
        }
    }
    found
}

/// The last value that the target's is to have given out, in its own steps;
/// `None` where nothing was given out on either side and the target's begins
/// no earlier.
fn goal(range: Range, own: Position, source: Position, distance: u64) -> Option<i128> {
    let sign = i128::from(range.increment.signum());
    let ahead = sign * (i128::from(source.last) - i128::from(own.last));
    if !own.is_called && !source.is_called && ahead <= 0 {
        return None;
    }
    let step = i128::from(range.increment).abs().max(1);
    let distance = ahead.max(0) + i128::from(distance);
    let steps = (distance + step - 1) / step;
    Some(i128::from(own.last) + steps * i128::from(range.increment))
}

fn object(side: Side, one: &Sequence) -> String {
    format!(
        "sequence {} of {}.{} in the {side}'s database",
        one.name, one.table, one.column
    )
}

fn direction(side: Side, own: &Sequence, twin: &Sequence) -> Obstacle {
    let word = |one: &Sequence| {
        if one.range.increment < 0 {
            "down"
        } else {
            "up"
        }
    };
    Obstacle {
        kind: ObstacleKind::Direction,
        object: object(side, own),
        problem: format!(
            "it goes {}, the {}'s {} goes {}: the next owner would give out numbers that are taken",
            word(own),
            side.other(),
            twin.name,
            word(twin)
        ),
        remedy: Remedy::run("Run", [turned(side, own, twin)]),
    }
}

/// What makes a sequence go the other one's way, from its beginning.
fn turned(side: Side, own: &Sequence, twin: &Sequence) -> Statement {
    let start = if twin.range.increment < 0 {
        twin.range.greatest
    } else {
        twin.range.least
    };
    let statement = Statement::new(
        side,
        format!(
            "alter sequence {} increment by {} minvalue {} maxvalue {} start {start} restart",
            own.name, twin.range.increment, twin.range.least, twin.range.greatest
        ),
    );
    match side {
        // Its table is empty before the copy.
        Side::Service => statement.for_empty_tables(),
        Side::Monolith => statement.caution("it begins again, with numbers that may be taken"),
    }
}

fn bound(side: Side, own: &Sequence, distance: u64) -> Obstacle {
    let (word, end) = if own.range.increment < 0 {
        ("minvalue", own.range.least)
    } else {
        ("maxvalue", own.range.greatest)
    };
    let anew = if own.range.cycles {
        ": it would begin anew, with numbers that are taken"
    } else {
        ""
    };
    Obstacle {
        kind: ObstacleKind::Bound,
        object: object(side, own),
        problem: format!(
            "a hand-over moves it past the {}'s by {distance} (`switch.block`, or a step of that one), \
             which is past its end, {end}{anew}",
            side.other()
        ),
        remedy: Remedy::run(
            "Lower `switch.block` in the plan, or widen the column and the sequence, on both sides",
            [
                format!(
                    "alter table {} alter column {} type bigint",
                    crate::database::sql::table(&own.table),
                    crate::database::sql::identifier(&own.column)
                ),
                format!("alter sequence {} as bigint no {word}", own.name),
            ]
            .map(|sql| {
                Statement::new(side, sql)
                    .caution("the table is rewritten, and the other side wants the same")
            }),
        ),
    }
}

#[cfg(test)]
mod tests;
