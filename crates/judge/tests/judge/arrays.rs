//! Arrays on which published tools judge wrongly: none of them is a pass.

use crate::traffic::{Doing, block, errors, fails, go_on, is_open, judge, p95, passes};
use judge::{
    Condition, ConditionError, Confidence, ErrorBaseline, Histogram, Judge, Limit, Missing, Moment,
    Reading, SeriesJudge, Verdict, Why,
    reading::{Freshness, Sample, increase, latest, number, relative_increase},
};
use std::time::Duration;

/// More than 10 % above the monolith three times in a row fails.
fn at_most_a_tenth_above() -> SeriesJudge {
    SeriesJudge::new(Limit::AtMost(0.1), 2, 3)
}

fn second(second: usize) -> Moment {
    Moment::from_millis(u64::try_from(second).expect("some minutes") * 1000)
}

fn after(judge: &mut SeriesJudge, readings: &[Reading<f64>]) -> Verdict {
    for (at, reading) in readings.iter().enumerate() {
        judge.observe(second(at), reading);
    }
    judge.verdict()
}

/// Of the service and of the monolith, one beside the other.
fn beside(service: &[f64], monolith: &[f64]) -> Verdict {
    let pairs = service.iter().zip(monolith);
    let readings: Vec<Reading<f64>> = pairs
        .map(|(service, monolith)| relative_increase(number(*service), number(*monolith)))
        .collect();
    after(&mut at_most_a_tenth_above(), &readings)
}

fn unknown(why: Missing) -> Verdict {
    Verdict::Unknown {
        why: Why::Missing(why),
    }
}

#[test]
fn all_measurements_failed_is_not_a_success() {
    let failed = vec![Reading::Missing(Missing::Failed); 10];
    let verdict = after(&mut at_most_a_tenth_above(), &failed);
    assert_eq!(verdict, unknown(Missing::Failed));

    let mut gate = errors();
    (0..10).for_each(|_| gate.observe(&Reading::Missing(Missing::Failed)));
    assert_eq!(gate.verdict(), unknown(Missing::Failed));
}

#[test]
fn measurements_that_fail_after_good_ones_are_not_a_success() {
    let mut gate = errors();
    let fine = Doing::new(1000, 0);
    assert!(passes(&go_on(&mut gate, 0..200, &fine, &fine)));
    gate.observe(&Reading::Missing(Missing::Failed));
    assert_eq!(gate.verdict(), unknown(Missing::Failed));
    assert!(passes(&go_on(&mut gate, 201..202, &fine, &fine)));
}

#[test]
fn nothing_measured_yet_is_not_a_success() {
    let why = Why::NothingYet;
    assert_eq!(errors().verdict(), Verdict::Unknown { why });
    assert_eq!(at_most_a_tenth_above().verdict(), Verdict::Unknown { why });
}

#[test]
fn traffic_that_stops_half_way_and_goes_on() {
    let (some, none) = (Doing::new(10, 0), Doing::new(0, 0));
    for mut gate in [errors(), p95()] {
        let hundred = go_on(&mut gate, 0..10, &some, &some);
        assert!(is_open(&hundred), "{hundred:?}");
        // Soon after it may be chance, and is no pass either.
        let soon = go_on(&mut gate, 10..12, &none, &none);
        assert!(is_open(&soon), "{soon:?}");
        let why = Why::NoTraffic;
        let silent = go_on(&mut gate, 12..100, &none, &none);
        assert_eq!(silent, Verdict::Unknown { why });
        let again = go_on(&mut gate, 100..101, &some, &some);
        assert!(is_open(&again), "{again:?}");
    }
    // Alone it is silent, too, however much passed before.
    let mut gate = errors();
    let much = Doing::new(1000, 0);
    assert!(passes(&go_on(&mut gate, 0..200, &much, &much)));
    let why = Why::NoTraffic;
    let alone = go_on(&mut gate, 200..201, &none, &much);
    assert_eq!(alone, Verdict::Unknown { why });
    // And so is the monolith.
    assert!(passes(&go_on(&mut gate, 201..202, &much, &much)));
    let why = Why::NothingToCompareWith;
    let alone = go_on(&mut gate, 202..203, &much, &none);
    assert_eq!(alone, Verdict::Unknown { why });
    // As a rate, nothing of nothing is not a number.
    let rate = [number(0.0), number(f64::NAN)];
    let verdict = after(&mut at_most_a_tenth_above(), &rate);
    assert_eq!(verdict, unknown(Missing::NotANumber));
}

#[test]
fn a_baseline_of_zeros_against_0_1_2_1_0_0() {
    let service = [0.0, 1.0, 2.0, 1.0, 0.0, 0.0];
    assert!(fails(&beside(&service, &[0.0; 6])));

    // As errors of a thousand requests each: four to none is one of sixteen by
    // chance. It is no pass, and it fails when it goes on.
    let mut gate = errors();
    let errors_of = |block: u64| [0, 1, 2, 1, 0, 0][usize::try_from(block % 6).unwrap()];
    let mut verdicts = Vec::new();
    for at in 0..60 {
        let service = Doing::new(1000, errors_of(at));
        verdicts.push(go_on(&mut gate, at..at + 1, &service, &Doing::new(1000, 0)));
    }
    assert!(verdicts[..6].iter().all(is_open), "{:?}", verdicts[5]);
    assert!(!verdicts.iter().any(passes));
    assert!(fails(&verdicts[59]), "{:?}", verdicts[59]);
}

#[test]
fn a_baseline_that_is_nowhere_a_number() {
    let verdict = beside(&[0.0; 6], &[f64::NAN; 6]);
    assert_eq!(verdict, unknown(Missing::NotANumber));

    let judge = |condition| {
        let began = Moment::from_millis(0);
        Judge::new(
            &condition,
            began,
            Duration::from_secs(10),
            Confidence::default(),
        )
    };
    let (allowed, quantile) = (0.1, 0.95);
    let baseline = ErrorBaseline {
        requests: 0,
        errors: 0,
    };
    let none = judge(Condition::ErrorsVersusBaseline { allowed, baseline });
    assert_eq!(none, Err(ConditionError::NoBaseline));
    let baseline = Histogram::default();
    let none = judge(Condition::LatencyVersusBaseline {
        quantile,
        allowed,
        baseline,
    });
    assert_eq!(none, Err(ConditionError::NoBaseline));
    for wrong in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.1] {
        let versus = judge(Condition::ErrorsVersusMonolith { allowed: wrong });
        assert_eq!(versus, Err(ConditionError::NoIncrease));
        let at_most = judge(Condition::ErrorsAtMost { max: wrong });
        assert!(matches!(at_most, Err(ConditionError::NoShare(_))));
    }
}

#[test]
fn ten_times_one_against_seven_hundreds_and_three_ones() {
    let service = [[100.0; 7].as_slice(), &[1.0; 3]].concat();
    assert!(fails(&beside(&service, &[1.0; 10])));
    // Whatever their order.
    let reversed: Vec<f64> = service.into_iter().rev().collect();
    assert!(fails(&beside(&reversed, &[1.0; 10])));

    // As the seconds that ten requests took: never a pass, and it fails within
    // five minutes.
    let (mut service, mut monolith) = (Doing::new(10, 0), Doing::new(10, 0));
    monolith.bins = vec![0];
    service.bins = [[53; 7].as_slice(), &[0; 3]].concat();
    let mut gate = p95();
    assert!(is_open(&go_on(&mut gate, 0..1, &service, &monolith)));
    let verdict = go_on(&mut gate, 1..30, &service, &monolith);
    assert!(fails(&verdict), "{verdict:?}");
}

#[test]
fn infinite_is_not_at_least_95_percent() {
    let mut gate = SeriesJudge::new(Limit::AtLeast(0.95), 2, 1);
    for infinite in [f64::INFINITY, f64::NEG_INFINITY] {
        let verdict = after(&mut gate, &[number(infinite)]);
        assert_eq!(verdict, unknown(Missing::Infinite));
        // Nor where it was not asked whether it is a number.
        let verdict = after(&mut gate, &[Reading::Value(infinite)]);
        assert_eq!(verdict, unknown(Missing::Infinite));
    }
    let verdict = after(&mut gate, &[Reading::Value(f64::NAN)]);
    assert_eq!(verdict, unknown(Missing::NotANumber));
}

const FRESH: Freshness = Freshness {
    began: Moment::from_millis(60_000),
    now: Moment::from_millis(120_000),
    max_age: Duration::from_secs(30),
};

fn sample(at: usize, value: f64) -> Sample {
    let at = second(at);
    Sample { at, value }
}

fn of_query(series: &[Vec<Sample>]) -> Verdict {
    after(
        &mut SeriesJudge::new(Limit::AtMost(1.0), 2, 1),
        &[latest(series, &FRESH)],
    )
}

#[test]
fn an_empty_array_is_not_a_success() {
    assert_eq!(of_query(&[vec![]]), unknown(Missing::NoSamples));
}

#[test]
fn a_wrong_metric_name_is_not_a_success() {
    assert_eq!(of_query(&[]), unknown(Missing::NoSeries));
}

#[test]
fn two_series_are_not_a_success() {
    let two = [vec![sample(115, 0.0)], vec![sample(115, 0.0)]];
    assert_eq!(of_query(&two), unknown(Missing::SeveralSeries(2)));
}

#[test]
fn a_value_from_before_the_step_is_not_a_success() {
    let before = [vec![sample(59, 0.0)]];
    assert_eq!(of_query(&before), unknown(Missing::BeforeStep));

    let mut gate = errors();
    let fine = Doing::new(1000, 0);
    let Reading::Value(mut early) = block(0, &fine, &fine) else {
        unreachable!("a block is one");
    };
    early.began = Moment::from_millis(0);
    gate.observe(&Reading::Value(early));
    assert_eq!(gate.verdict(), unknown(Missing::BeforeStep));
    // Nor is one that was counted already.
    gate.observe(&block(5, &fine, &fine));
    gate.observe(&block(5, &fine, &fine));
    assert_eq!(gate.verdict(), unknown(Missing::Stale));
}

#[test]
fn a_counter_reset_and_a_gap_are_not_a_success() {
    let of_counter = |earlier, later| {
        let gained = increase(earlier, later, &FRESH);
        after(&mut SeriesJudge::new(Limit::AtMost(10.0), 2, 1), &[gained])
    };
    let reset = of_counter(sample(100, 50.0), sample(110, 2.0));
    assert_eq!(reset, unknown(Missing::CounterReset));
    let gap = of_counter(sample(80, 50.0), sample(119, 52.0));
    assert_eq!(gap, unknown(Missing::Gap));
    assert!(passes(&of_counter(sample(100, 50.0), sample(110, 52.0))));

    let mut gate = errors();
    for why in [Missing::CounterReset, Missing::Gap] {
        gate.observe(&Reading::Missing(why));
        assert_eq!(gate.verdict(), unknown(why));
    }
}

#[test]
fn more_errors_than_requests_are_not_counted() {
    let fine = Doing::new(1000, 0);
    let Reading::Value(mut wrong) = block(0, &fine, &fine) else {
        unreachable!("a block is one");
    };
    wrong.service.cell(0).errors = 5000;
    let mut gate = judge(&Condition::ErrorsAtMost { max: 0.01 });
    gate.observe(&Reading::Value(wrong));
    assert_eq!(gate.verdict(), unknown(Missing::Contradiction));
}

#[test]
fn a_few_bad_readings_are_allowed_and_more_are_not() {
    let mut gate = at_most_a_tenth_above();
    let readings = |values: &[f64]| -> Vec<Reading<f64>> {
        values.iter().map(|value| number(*value)).collect()
    };
    let verdict = after(&mut gate, &readings(&[0.5, 0.5, 0.0, 0.5, 0.5]));
    assert!(is_open(&verdict), "{verdict:?}");
    let verdict = after(
        &mut at_most_a_tenth_above(),
        &readings(&[0.5, 0.0, 0.0, 0.1]),
    );
    assert!(passes(&verdict), "{verdict:?}");
    // One that is missing does not end the row.
    let mut row = readings(&[0.5, 0.5]);
    row.push(Reading::Missing(Missing::Failed));
    row.extend(readings(&[0.5]));
    assert!(fails(&after(&mut at_most_a_tenth_above(), &row)));
    // A failure stays.
    row.extend(readings(&[0.0; 5]));
    assert!(fails(&after(&mut at_most_a_tenth_above(), &row)));
    // A limit that is no number lets nothing pass.
    let mut none = SeriesJudge::new(Limit::AtMost(f64::NAN), 0, 1);
    assert!(fails(&after(&mut none, &readings(&[0.0]))));
}
