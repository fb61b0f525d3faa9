//! A seeded simulation of the switch and of the steps that lead to it: three gateways,
//! two databases, followers, clients, a background writer, one conductor or two, and
//! people; calls that are lost, repeated, late, or done with their reply lost; whatever
//! can die does.
//!
//! Safety is checked after every move by an auditor that only looks at the databases, at
//! what clients were told and at what is shown; liveness in a second phase without faults,
//! in which everything must come to rest. `planted_bugs_are_found` shows that the
//! simulation can fail. What it leaves out is in `docs/decisions`.
//!
//! `./x simulate` goes through many more, and makes a schedule that fails smaller.

mod auditor;
mod bug;
mod call;
mod calls;
mod conductor;
mod database;
mod dice;
mod gateway;
mod journal;
mod model;
mod moves;
mod people;
mod quiet;
mod schedule;
mod steps;
mod streams;
mod traffic;
mod world;

use bug::Bug;
use schedule::{search, smallest};

/// What is gone through in each run of the tests.
const SCHEDULES: u64 = 20_000;

/// A planted bug is found within so many.
const FOUND_WITHIN: u64 = 10_000;

#[test]
fn nothing_is_lost_doubled_or_stuck() {
    let total = match search(0..SCHEDULES, 1, None, |_| {}) {
        Ok(total) => total,
        Err(failure) => {
            let (moves, finding) = smallest(failure.seed, None).unwrap();
            println!("{} moves", moves.len());
            for one in moves {
                println!("  {one:?}");
            }
            panic!(
                "seed {}: {}\nsmallest: {finding}",
                failure.seed, failure.finding
            )
        }
    };
    println!("{total:?}");
    // A simulation in which nothing happens proves nothing.
    assert_eq!(total.schedules, SCHEDULES);
    assert!(total.committed > SCHEDULES / 2, "{total:?}");
    assert!(total.aborted > SCHEDULES / 2, "{total:?}");
    assert!(total.rehearsed > SCHEDULES / 20, "{total:?}");
    assert!(total.acknowledged > 20 * SCHEDULES, "{total:?}");
    assert!(total.charges > 2 * SCHEDULES, "{total:?}");
    assert!(total.lives > SCHEDULES / 20, "{total:?}");
    assert!(total.appended > 3 * SCHEDULES, "{total:?}");
    assert!(total.kept > SCHEDULES / 2, "{total:?}");
    assert!(total.rollouts > SCHEDULES / 4, "{total:?}");
}

#[test]
fn planted_bugs_are_found() {
    let missed: Vec<Bug> = Bug::ALL
        .into_iter()
        .filter(|bug| match search(0..FOUND_WITHIN, 1, Some(*bug), |_| {}) {
            Err(failure) => {
                println!("{bug:?}: seed {}: {}", failure.seed, failure.finding);
                false
            }
            Ok(_) => true,
        })
        .collect();
    assert!(
        missed.is_empty(),
        "planted and not found in {FOUND_WITHIN} schedules: {missed:?}"
    );
}

#[test]
fn bugs_are_planted_by_name() {
    assert_eq!(Bug::named("SnapshotRead"), Some(Bug::SnapshotRead));
    assert_eq!(Bug::named("Nothing"), None);
}

/// A schedule that fails is made small enough to be read.
#[test]
fn a_failing_schedule_is_made_smaller() {
    let bug = Some(Bug::FenceWithoutLock);
    let Err(failure) = search(0..FOUND_WITHIN, 1, bug, |_| {}) else {
        panic!("{bug:?} was planted and not found");
    };
    let (moves, finding) = smallest(failure.seed, bug).unwrap();
    assert!(!finding.is_empty() && moves.len() < 40, "{moves:#?}");
}
