//! What services do, and what is said of it.

use crate::traffic::{Doing, block, errors, fails, go_on, is_open, judge, p95, passes};
use judge::{
    Block, Condition, Confidence, ErrorBaseline, Judge, Moment, Reading, Side, TestName, Verdict,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::time::Duration;

/// The block after which it fails, where it does.
fn failed_after(
    gate: &mut Judge,
    blocks: std::ops::Range<u64>,
    service: &Doing,
    monolith: &Doing,
) -> Option<u64> {
    let first = blocks.start;
    let mut blocks = blocks;
    let found = blocks.find(|at| fails(&go_on(gate, *at..at + 1, service, monolith)));
    found.map(|at| at - first + 1)
}

#[test]
fn a_service_that_answers_nothing_fails_in_minutes() {
    let monolith = [Doing::new(50, 0), Doing::new(950, 1)];
    for (service, monolith) in [50, 50].into_iter().zip(monolith) {
        let gone = Doing::new(service, service);
        let after = failed_after(&mut errors(), 0..100, &gone, &monolith);
        assert!(after.is_some_and(|after| after <= 40), "{after:?}");
    }
}

/// However many requests there are in a block: the evidence by parts has to fit all.
#[test]
fn so_does_one_under_a_limit_at_any_rate() {
    let limit = Condition::ErrorsAtMost { max: 0.01 };
    for per_cell in [1_u32, 100, 100_000] {
        for failed in [per_cell, per_cell.div_ceil(3)] {
            let (began, length) = (Moment::from_millis(0), Duration::from_secs(2));
            let mut gate = Judge::new(&limit, began, length, Confidence::default()).unwrap();
            let fails = (0..60_u64).any(|at| {
                let mut service = Side::default();
                for cell in 0..64 {
                    let cell = service.cell(cell);
                    (cell.requests, cell.errors) = (per_cell, failed);
                }
                gate.observe(&Reading::Value(Block {
                    began: Moment::from_millis(at * 2_000),
                    ended: Moment::from_millis((at + 1) * 2_000),
                    service,
                    monolith: Side::default(),
                }));
                matches!(gate.verdict(), Verdict::Fail { .. })
            });
            assert!(fails, "{failed} of {per_cell} in each cell");
        }
    }
}

#[test]
fn it_fails_in_minutes_after_twenty_good_hours_too() {
    let (fine, gone) = (Doing::new(20, 0), Doing::new(20, 20));
    let mut gate = errors();
    let good = go_on(&mut gate, 0..7200, &fine, &fine);
    assert!(passes(&good), "{good:?}");
    let after = failed_after(&mut gate, 7200..7400, &gone, &fine);
    assert!(after.is_some_and(|after| after <= 60), "{after:?}");
    let Verdict::Fail { grounds } = gate.verdict() else {
        unreachable!("it has failed");
    };
    // What was counted is what showed it, not the good hours.
    assert!(grounds.service.requests < 4000, "{grounds:?}");
    assert!(grounds.evidence >= grounds.needed);
    assert_eq!(grounds.test, TestName::TwoProportions);
}

#[test]
fn a_service_that_gets_slow_fails_after_twenty_good_hours_too() {
    let fine = Doing::new(20, 0);
    let mut gate = p95();
    assert!(passes(&go_on(&mut gate, 0..7200, &fine, &fine)));
    let slow = fine.clone().slower(8);
    let after = failed_after(&mut gate, 7200..7500, &slow, &fine);
    assert!(after.is_some_and(|after| after <= 90), "{after:?}");
}

#[test]
fn a_hiccup_of_half_a_minute_is_not_a_failure() {
    let fine = Doing::new(50, 0);
    let mut gate = errors();
    go_on(&mut gate, 0..500, &fine, &fine);
    let bad = Doing::new(50, 40);
    let verdict = go_on(&mut gate, 500..503, &bad, &fine);
    assert!(!fails(&verdict), "{verdict:?}");
    let verdict = go_on(&mut gate, 503..900, &fine, &fine);
    assert!(!fails(&verdict), "{verdict:?}");
}

/// All of a few clients, whose requests all fail.
fn of_few_clients(gate: &mut Judge, clients: u64) -> Verdict {
    for at in 0..600 {
        let nobody = Doing::new(0, 0);
        let judge::Reading::Value(mut block) = block(at, &nobody, &nobody) else {
            unreachable!("a block is one");
        };
        for client in 0..clients {
            let cell = block.service.cell(client);
            (cell.requests, cell.errors) = (5, 5);
            block.monolith.cell(client).requests = 5;
        }
        gate.observe(&judge::Reading::Value(block));
    }
    gate.verdict()
}

#[test]
fn a_limit_fails_for_one_client_and_a_comparison_for_ten() {
    let limit = || judge(&Condition::ErrorsAtMost { max: 0.01 });
    let verdict = of_few_clients(&mut limit(), 1);
    assert!(fails(&verdict), "{verdict:?}");
    let verdict = of_few_clients(&mut errors(), 10);
    assert!(fails(&verdict), "{verdict:?}");
    // Of one client on each side, which one fails is a toss of a coin.
    let verdict = of_few_clients(&mut errors(), 1);
    assert!(is_open(&verdict), "{verdict:?}");
}

#[test]
fn one_client_whose_requests_all_fail_is_not_a_failure() {
    let fine = Doing::new(64, 0);
    let mut gate = errors();
    for at in 0..2000 {
        let judge::Reading::Value(mut block) = block(at, &fine, &fine) else {
            unreachable!("a block is one");
        };
        let cell = block.service.cell(17);
        cell.requests += 3;
        cell.errors += 3;
        gate.observe(&judge::Reading::Value(block));
    }
    let verdict = gate.verdict();
    assert!(is_open(&verdict), "{verdict:?}");
}

#[test]
fn a_fat_tail_fails_although_ranks_hardly_move() {
    let monolith = Doing::new(200, 0);
    let mut service = monolith.clone();
    // One request of ten takes 16 times as long.
    service.bins = service.bins.repeat(2);
    service.bins[5] += 32;
    service.bins[15] += 32;
    let mut gate = judge(&Condition::LatencyVersusMonolith {
        quantile: 0.95,
        allowed: 0.25,
    });
    let after = failed_after(&mut gate, 0..300, &service, &monolith);
    assert!(after.is_some(), "{:?}", gate.verdict());
    let Verdict::Fail { grounds } = gate.verdict() else {
        unreachable!("it has failed");
    };
    assert_eq!(grounds.test, TestName::TwoProportions);
}

#[test]
fn no_difference_passes_only_after_enough_requests() {
    let same = Doing::new(100, 0);
    for (mut gate, least) in [(errors(), 30_000), (p95(), 300)] {
        let mut needs = Vec::new();
        let passed = (0..2000_u64).find(|at| {
            let verdict = go_on(&mut gate, *at..at + 1, &same, &same);
            if let Verdict::NeedMore { have, need, .. } = verdict {
                assert_eq!(have, (at + 1) * 100);
                assert!(need > have);
                needs.push(need);
            }
            passes(&verdict)
        });
        let requests = passed.expect("it passes") * 100;
        assert!(requests >= least, "{requests}");
        // What was said to be needed half-way there is about right.
        let foretold = needs[needs.len() / 2];
        assert!(
            foretold < 3 * requests && requests < 3 * foretold,
            "{foretold} {requests}"
        );
    }
}

#[test]
fn errors_at_the_monoliths_rate_pass_and_twice_as_many_fail() {
    let monolith = Doing::new(1000, 2);
    let verdict = go_on(&mut errors(), 0..400, &Doing::new(1000, 2), &monolith);
    assert!(passes(&verdict), "{verdict:?}");
    let verdict = go_on(&mut errors(), 0..400, &Doing::new(1000, 4), &monolith);
    assert!(fails(&verdict), "{verdict:?}");
    // More than is allowed but not shown to be is neither.
    let verdict = go_on(&mut errors(), 0..20, &Doing::new(1000, 3), &monolith);
    assert!(is_open(&verdict), "{verdict:?}");
}

#[test]
fn a_limit_holds_without_a_monolith() {
    let nobody = Doing::new(0, 0);
    let limit = || judge(&Condition::ErrorsAtMost { max: 0.001 });
    let after =
        |errors: u32, blocks| go_on(&mut limit(), 0..blocks, &Doing::new(2000, errors), &nobody);
    assert!(passes(&after(0, 40)));
    assert!(passes(&after(1, 200)));
    assert!(fails(&after(5, 400)));
    assert!(is_open(&after(0, 1)));
    let mut versus = errors();
    let verdict = go_on(&mut versus, 0..10, &Doing::new(100, 0), &nobody);
    assert!(matches!(verdict, Verdict::Unknown { .. }), "{verdict:?}");
}

#[test]
fn what_both_sides_feel_is_not_the_services_failure() {
    let (fine, ill) = (Doing::new(200, 0), Doing::new(200, 4));
    let mut gate = judge(&Condition::ErrorsAtMost { max: 0.002 });
    go_on(&mut gate, 0..1000, &fine, &fine);
    let verdict = go_on(&mut gate, 1000..1090, &ill, &ill);
    assert!(!fails(&verdict), "{verdict:?}");
    // Much worse than a monolith that is ill is the service's.
    let worse = Doing::new(200, 20);
    let verdict = go_on(&mut gate, 1090..1180, &worse, &ill);
    assert!(fails(&verdict), "{verdict:?}");
    // Without a monolith it is, too.
    let mut gate = judge(&Condition::ErrorsAtMost { max: 0.002 });
    let nobody = Doing::new(0, 0);
    let verdict = go_on(&mut gate, 0..90, &ill, &nobody);
    assert!(fails(&verdict), "{verdict:?}");
}

#[test]
fn a_limit_of_a_quantile_holds() {
    let p95_at_most = |millis| {
        judge(&Condition::LatencyAtMost {
            quantile: 0.95,
            max: Duration::from_millis(millis),
        })
    };
    // The slowest tenth takes from 273 to 297 ms.
    let (service, nobody) = (Doing::new(100, 0), Doing::new(0, 0));
    let verdict = go_on(&mut p95_at_most(400), 0..400, &service, &nobody);
    assert!(passes(&verdict), "{verdict:?}");
    let verdict = go_on(&mut p95_at_most(200), 0..400, &service, &nobody);
    assert!(fails(&verdict), "{verdict:?}");
}

#[test]
fn each_quantile_passes_without_a_difference_and_fails_with_one() {
    let same = Doing::new(100, 0);
    let slower = same.clone().slower(4);
    for quantile in [0.5, 0.95, 0.99] {
        let versus = || {
            judge(&Condition::LatencyVersusMonolith {
                quantile,
                allowed: 0.1,
            })
        };
        let verdict = go_on(&mut versus(), 0..200, &same, &same);
        assert!(passes(&verdict), "{quantile}: {verdict:?}");
        let verdict = go_on(&mut versus(), 0..200, &slower, &same);
        assert!(fails(&verdict), "{quantile}: {verdict:?}");
    }
}

#[test]
fn a_stored_baseline_takes_the_monoliths_place() {
    let baseline = ErrorBaseline {
        requests: 1_000_000,
        errors: 1000,
    };
    let allowed = 0.1;
    let versus = || judge(&Condition::ErrorsVersusBaseline { allowed, baseline });
    let nobody = Doing::new(0, 0);
    let verdict = go_on(&mut versus(), 0..400, &Doing::new(1000, 1), &nobody);
    assert!(passes(&verdict), "{verdict:?}");
    let verdict = go_on(&mut versus(), 0..400, &Doing::new(1000, 2), &nobody);
    assert!(fails(&verdict), "{verdict:?}");

    let mut baseline = judge::Histogram::default();
    (-32..-12).for_each(|bin| baseline.add(judge::Bin::new(bin), 1000));
    let versus = || {
        judge(&Condition::LatencyVersusBaseline {
            quantile: 0.95,
            allowed,
            baseline: baseline.clone(),
        })
    };
    let mut service = Doing::new(100, 0);
    service.bins = (-32..-12).collect();
    let verdict = go_on(&mut versus(), 0..400, &service, &nobody);
    assert!(passes(&verdict), "{verdict:?}");
    let slower = service.slower(3);
    let verdict = go_on(&mut versus(), 0..400, &slower, &nobody);
    assert!(fails(&verdict), "{verdict:?}");
}

#[test]
fn a_stored_state_goes_on_as_if_it_had_never_stopped() {
    let (service, monolith) = (Doing::new(40, 1), Doing::new(160, 2));
    for mut gate in [errors(), p95()] {
        let mut stored = gate.clone();
        for at in 0..300 {
            let block = block(at, &service, &monolith);
            gate.observe(&block);
            stored.observe(&block);
            let text = serde_json::to_string(&stored).unwrap();
            assert!(text.len() < 60_000, "{}", text.len());
            stored = serde_json::from_str(&text).unwrap();
        }
        // But for the last digit of numbers on their way through text.
        let (went_on, restored) = (gate.verdict(), stored.verdict());
        assert_eq!(rounded(&went_on), rounded(&restored));
    }
}

fn rounded(verdict: &Verdict) -> String {
    let mut value = serde_json::to_value(verdict).expect("it is JSON");
    round(&mut value);
    value.to_string()
}

fn round(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Array(all) => all.iter_mut().for_each(round),
        serde_json::Value::Object(fields) => fields.values_mut().for_each(round),
        other => {
            if let Some(number) = other.as_f64() {
                *other = format!("{number:.6}").into();
            }
        }
    }
}

/// Whatever a gateway counts, evidence stays a number.
#[test]
fn any_counts_give_numbers() {
    let quantile = 0.99;
    let conditions = [
        Condition::ErrorsAtMost { max: 1e-9 },
        Condition::ErrorsVersusMonolith { allowed: 1000.0 },
        Condition::LatencyAtMost {
            quantile,
            max: Duration::from_nanos(1),
        },
        Condition::LatencyVersusMonolith {
            quantile,
            allowed: 0.0,
        },
    ];
    let mut random = ChaCha8Rng::seed_from_u64(1);
    for mut gate in conditions.iter().map(judge) {
        for at in 0..200 {
            let nobody = Doing::new(0, 0);
            let judge::Reading::Value(mut block) = block(at, &nobody, &nobody) else {
                unreachable!("a block is one");
            };
            for side in [&mut block.service, &mut block.monolith] {
                for _ in 0..random.random_range(0..4) {
                    let cell = side.cell(random.random());
                    cell.requests = [0, 1, 100, u32::MAX][random.random_range(0..4)];
                    cell.errors = cell.requests / random.random_range(1..3);
                    let bin = judge::Bin::new(random.random());
                    cell.times.add(bin, cell.requests);
                }
            }
            gate.observe(&judge::Reading::Value(block));
            let (Verdict::Pass { grounds } | Verdict::NeedMore { grounds, .. }) = gate.verdict()
            else {
                continue;
            };
            for one in grounds {
                assert!(
                    one.evidence.is_finite() && one.dispersion.is_finite(),
                    "{one:?}"
                );
                assert!(one.estimate.is_none_or(f64::is_finite), "{one:?}");
            }
        }
    }
}

#[test]
fn evidence_can_be_read() {
    let (service, monolith) = (Doing::new(1000, 1), Doing::new(1000, 1));
    let verdict = go_on(&mut errors(), 0..20, &service, &monolith);
    let value = serde_json::to_value(&verdict).unwrap();
    assert_eq!(value["verdict"], "need-more");
    let grounds = &value["grounds"][0];
    assert_eq!(grounds["test"], "two-proportions");
    assert_eq!(grounds["service"]["requests"], 20_000);
    assert_eq!(grounds["service"]["events"], 20.0);
    assert_eq!(grounds["threshold"], 1.1);
    assert_eq!(serde_json::from_value::<Verdict>(value).unwrap(), verdict);
    let _: Moment = serde_json::from_str("5").unwrap();
}
