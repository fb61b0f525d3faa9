//! The net effect of any history is what the history does.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

type Model = BTreeMap<(usize, Key), Row>;

fn text(number: u8) -> Bytes {
    Bytes::from(number.to_string())
}

fn key(number: u8) -> Key {
    [text(number)].into()
}

fn row(number: u8, one: Option<u8>, other: Option<u8>) -> Row {
    let value = |number: Option<u8>| number.map_or(Value::Unchanged, |n| Value::Text(text(n)));
    [Value::Text(text(number)), value(one), value(other)].into()
}

/// Runs jobs as the database would; `None` where a row is missing or in the way.
fn run(model: &mut Model, jobs: impl IntoIterator<Item = Job>) -> Option<()> {
    for Job { table, operation } in jobs {
        match operation {
            RowOperation::Insert(rows) => {
                for row in rows {
                    let at = (table, [row[0].text()?.clone()].into());
                    if model.insert(at, row).is_some() {
                        return None;
                    }
                }
            }
            RowOperation::Update(rows) | RowOperation::Rekey(rows) => {
                for (key, row) in rows {
                    let old = model.remove(&(table, key))?;
                    let at = (table, [row[0].text()?.clone()].into());
                    if model.insert(at, merge(&old, &row)).is_some() {
                        return None;
                    }
                }
            }
            RowOperation::Delete(keys) => {
                for key in keys {
                    model.remove(&(table, key))?;
                }
            }
        }
    }
    Some(())
}

proptest! {
    #[test]
    fn net_effect(steps in prop::collection::vec((0_usize..2, 0_u8..5, 0_u8..5, any::<u8>(), 0_u8..5), 0..60)) {
        let mut model = Model::new();
        model.insert((0, key(0)), row(0, Some(1), Some(1)));
        model.insert((1, key(3)), row(3, Some(2), Some(2)));
        let before = model.clone();
        let mut changes = Vec::new();
        for (table, at, to, value, what) in steps {
            let there = model.contains_key(&(table, key(at)));
            let kind = match (what, there) {
                (_, false) => ChangeKind::Insert(row(at, Some(value), Some(0))),
                (0, true) => ChangeKind::Update(row(at, Some(value), None)),
                (1 | 2, true) => ChangeKind::Update(row(at, Some(value), Some(value))),
                (3, true) if !model.contains_key(&(table, key(to))) => ChangeKind::Rekey(row(to, Some(value), None)),
                (_, true) => ChangeKind::Delete,
            };
            let change = Change { table, key: key(at), kind };
            prop_assert!(run(&mut model, Job::each(std::slice::from_ref(&change))).is_some());
            changes.push(change);
        }
        let jobs = Job::net(&changes);
        prop_assert!(jobs.is_some());
        let mut netted = before;
        prop_assert!(run(&mut netted, jobs.into_iter().flatten()).is_some());
        prop_assert_eq!(netted, model);
    }
}

#[test]
fn what_does_not_fit_has_no_net_effect() {
    let change = |kind| Change {
        table: 0,
        key: key(1),
        kind,
    };
    let insert = || change(ChangeKind::Insert(row(1, Some(1), Some(1))));
    assert_eq!(Job::net(&[insert(), insert()]), None);
    assert_eq!(
        Job::net(&[change(ChangeKind::Delete), change(ChangeKind::Delete)]),
        None
    );
    let gone = [
        change(ChangeKind::Delete),
        change(ChangeKind::Update(row(1, Some(1), None))),
    ];
    assert_eq!(Job::net(&gone), None);
}

#[test]
fn a_hot_row_is_one_update() {
    let changes: Vec<_> = (0..100)
        .map(|n| Change {
            table: 0,
            key: key(1),
            kind: ChangeKind::Update(row(1, Some(n), None)),
        })
        .collect();
    let jobs = Job::net(&changes).unwrap();
    let wanted = RowOperation::Update(vec![(key(1), row(1, Some(99), None))]);
    assert_eq!(
        jobs,
        [Job {
            table: 0,
            operation: wanted
        }]
    );
}
