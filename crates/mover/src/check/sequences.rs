//! Rules about the sequences behind moved columns: what a hand-over would meet
//! after the fence is said here.

use super::{cautions::IF_NOT_MEANT, facts::SideFacts};
use crate::{
    catalog::sequences::{self, Advance, Obstacle, ObstacleKind, Position, Sequence},
    extraction::ReplicatedExtraction,
};
use plan::TableName;
use protocol::{
    Side,
    finding::{Finding, FindingId as Id, Remedy, Severity, Statement},
};

/// With room for fewer hand-overs than this, a sequence is near its end.
const FEWEST_HANDOVERS: u64 = 100;

/// Rules about both sides' sequences, for a switch and for a rollback.
pub(super) fn of_both(
    monolith: &SideFacts,
    service: &SideFacts,
    extraction: &ReplicatedExtraction,
) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    for (side, facts) in [(Side::Monolith, monolith), (Side::Service, service)] {
        // Whoever may do as the table's owner may do so with its own sequences.
        let owned = |table: &TableName| {
            let mut tables = facts.tables.iter().flatten();
            tables.any(|facts| facts.owned && facts.table.name == *table)
        };
        let known: Vec<_> = facts
            .sequences
            .iter()
            .filter(|sequence| owned(&sequence.table))
            .cloned()
            .collect();
        findings.extend(sequences::rights(side, &known).iter().map(refusal));
    }
    let data = &extraction.data;
    let block = data.switch.block;
    let (old, new) = (&monolith.sequences, &service.sequences);
    let carried = sequences::carried(&data.tables, Side::Service, service.split);
    for one in sequences::differences(&carried, old, new) {
        findings.push(Finding::warn(
            Id::SequencesDiffer,
            one.object,
            one.problem,
            Remedy::run(
                "If that is not meant, run at the service",
                [Statement::new(Side::Service, one.mend).caution(IF_NOT_MEANT)],
            ),
        ));
    }
    match sequences::advances(&carried, Side::Monolith, old, new, block) {
        Err(obstacles) => findings.extend(obstacles.iter().map(refusal)),
        Ok(advances) => {
            let near = |left: u64| left / u64::from(block.max(1)) < FEWEST_HANDOVERS;
            for one in advances.iter().filter(|one| one.left.is_some_and(near)) {
                findings.push(Finding::warn(
                    Id::SequenceNearBound,
                    format!("sequence {} in the service's database", one.sequence),
                    format!(
                        "after a switch it has {} numbers left, and each hand-over skips {block}",
                        one.left.unwrap_or_default()
                    ),
                    "Widen the column and its sequence on both sides in time",
                ));
            }
            let back = sequences::carried(&data.tables, Side::Monolith, service.split);
            let new = after(new, &advances);
            let obstacles = sequences::advances(&back, Side::Service, &new, old, block)
                .err()
                .unwrap_or_default();
            findings.extend(obstacles.iter().map(way_back));
        }
    }
    findings
}

/// The service's sequences as a switch leaves them.
fn after(service: &[Sequence], advances: &[Advance]) -> Vec<Sequence> {
    let moved = |one: &Sequence| {
        let mut one = one.clone();
        if let Some(advance) = advances.iter().find(|other| other.sequence == one.name) {
            one.position = Some(Position {
                last: advance.last,
                is_called: true,
            });
        }
        one
    };
    service.iter().map(moved).collect()
}

/// A rollback right after the switch would meet it.
fn way_back(obstacle: &Obstacle) -> Finding {
    Finding {
        severity: Severity::Warn,
        problem: format!(
            "the way back is closed after a switch: {}",
            obstacle.problem
        ),
        ..refusal(obstacle)
    }
}

fn refusal(obstacle: &Obstacle) -> Finding {
    let id = match obstacle.kind {
        ObstacleKind::Rights => Id::SequenceRights,
        ObstacleKind::Direction => Id::SequenceDirection,
        ObstacleKind::Bound => Id::SequenceBound,
    };
    let Obstacle {
        object,
        problem,
        remedy,
        ..
    } = obstacle;
    Finding::refuse(id, object.as_str(), problem.as_str(), remedy.clone())
}
