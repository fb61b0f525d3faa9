//! Counts at the ends of what can be counted: what a judge keeps of them is numbers, and
//! what was stored goes on as it was.

use crate::traffic::{BEGAN, BLOCK};
use judge::{
    Bin, Block, Condition, Confidence, ErrorBaseline, Histogram, Judge, Moment, Reading, Side,
};
use std::time::Duration;

fn conditions() -> Vec<Condition> {
    let mut times = Histogram::default();
    times.add(Bin::new(-30), 100_000);
    times.add(Bin::new(0), 10_000);
    let (most, errors) = (f64::MAX, 100_000);
    let baseline = ErrorBaseline {
        requests: u64::from(u32::MAX) * 1_000_000,
        errors,
    };
    let (quantile, max) = (0.99, Duration::from_nanos(1));
    let mut all = vec![
        Condition::ErrorsAtMost { max: 1e-300 },
        Condition::ErrorsAtMost { max: 0.9999 },
        Condition::LatencyAtMost { quantile, max },
        Condition::LatencyAtMost {
            quantile,
            max: Duration::from_hours(1_000_000),
        },
    ];
    for allowed in [0.0, 0.1, 999.99, 10_000.0, most] {
        all.extend([
            Condition::ErrorsVersusMonolith { allowed },
            Condition::ErrorsVersusBaseline { allowed, baseline },
            Condition::LatencyVersusMonolith { quantile, allowed },
            Condition::LatencyVersusBaseline {
                quantile,
                allowed,
                baseline: times.clone(),
            },
        ]);
    }
    all
}

fn side(requests: u32, errors: u32, bin: i16, cells: u64) -> Side {
    let mut side = Side::default();
    for client in 0..cells {
        let cell = side.cell(client);
        (cell.requests, cell.errors) = (requests, errors);
        cell.times.add(Bin::new(bin), requests);
    }
    side
}

#[test]
fn no_count_makes_a_state_that_cannot_be_stored() {
    let most = u32::MAX;
    let sides = [
        side(0, 0, 0, 64),
        side(1, 1, i16::MAX, 1),
        side(most, most, i16::MAX, 64),
        side(most, 0, i16::MIN, 64),
        side(most, 1, 0, 1),
    ];
    for condition in conditions() {
        let began = Moment::from_millis(BEGAN);
        let Ok(mut judge) = Judge::new(&condition, began, BLOCK, Confidence::default()) else {
            continue;
        };
        let mut at = BEGAN;
        for round in 0..40 {
            for service in &sides {
                let monolith = &sides[round % sides.len()];
                judge.observe(&Reading::Value(Block {
                    began: Moment::from_millis(at),
                    ended: Moment::from_millis(at + 10_000),
                    service: service.clone(),
                    monolith: monolith.clone(),
                }));
                at += 10_000;
            }
            let kept = serde_json::to_string(&judge).unwrap();
            let again: Result<Judge, _> = serde_json::from_str(&kept);
            assert!(again.is_ok(), "{condition:?}: {again:?}");
            let said = serde_json::to_string(&judge.verdict()).unwrap();
            assert!(!said.contains("\"evidence\":null"), "{condition:?}: {said}");
        }
    }
}
