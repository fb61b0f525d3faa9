use super::*;
use crate::catalog::sequences::carried;
use plan::{TableName, TableWrites};

const UP: Range = Range {
    increment: 1,
    least: 1,
    greatest: i64::MAX,
    cycles: false,
};

const DOWN: Range = Range {
    increment: -1,
    least: i64::MIN,
    greatest: -1,
    cycles: false,
};

fn at(last: i64, is_called: bool) -> Position {
    Position { last, is_called }
}

fn sequence(schema: &str, range: Range, position: Position) -> Sequence {
    Sequence {
        table: TableName {
            schema: schema.into(),
            table: "t".into(),
        },
        column: "id".into(),
        name: format!("{schema}.t_id_seq"),
        range,
        position: Some(position),
        owner: "app".into(),
        role: "mover".into(),
        may_set: true,
    }
}

fn mapping() -> TableMapping {
    let name = |schema: &str| TableName {
        schema: schema.into(),
        table: "t".into(),
    };
    TableMapping {
        monolith: name("public"),
        service: name("svc"),
        renames: Vec::new(),
        writes: TableWrites::Owner,
    }
}

fn advanced(
    own: (Range, Position),
    source: (Range, Position),
) -> Result<Option<i64>, ObstacleKind> {
    let old = [sequence("public", source.0, source.1)];
    let new = [sequence("svc", own.0, own.1)];
    match advances(&[&mapping()], Side::Monolith, &old, &new, 100) {
        Ok(found) => Ok(found.first().map(|one| one.last)),
        Err(obstacles) => Err(obstacles[0].kind),
    }
}

#[test]
fn the_target_goes_past_whatever_either_side_gave_out_or_was_set_to() {
    let up = |own, source| advanced((UP, own), (UP, source));
    assert_eq!(up(at(0, false), at(0, false)), Ok(None));
    assert_eq!(up(at(0, false), at(50, true)), Ok(Some(150)));
    assert_eq!(up(at(70, true), at(50, true)), Ok(Some(170)));
    // Set, and not used since.
    assert_eq!(up(at(0, false), at(4999, false)), Ok(Some(5099)));
    assert_eq!(up(at(4999, false), at(0, false)), Ok(None));
    assert_eq!(up(at(4999, false), at(7, true)), Ok(Some(5099)));
}

#[test]
fn one_that_goes_down_is_moved_down() {
    let down = |own, source| advanced((DOWN, own), (DOWN, source));
    assert_eq!(down(at(0, false), at(0, false)), Ok(None));
    assert_eq!(down(at(0, false), at(-450, true)), Ok(Some(-550)));
    assert_eq!(down(at(-700, true), at(-450, true)), Ok(Some(-800)));
    let mixed = advanced((UP, at(0, false)), (DOWN, at(-450, true)));
    assert_eq!(mixed, Err(ObstacleKind::Direction));
}

/// Two sides that interleave their numbers go on doing so.
#[test]
fn the_targets_own_steps_are_kept() {
    let tens = Range {
        increment: 10,
        ..UP
    };
    let moved = advanced((tens, at(3, true)), (UP, at(57, true)));
    assert_eq!(moved, Ok(Some(163)));
}

#[test]
fn one_without_numbers_left_is_an_obstacle_unless_it_cycles() {
    let small = Range {
        greatest: 200,
        ..UP
    };
    let to = |range, source| advanced((range, at(0, false)), (UP, at(source, true)));
    assert_eq!(to(small, 99), Ok(Some(199)));
    assert_eq!(to(small, 100), Err(ObstacleKind::Bound));
    assert_eq!(to(UP, i64::MAX), Err(ObstacleKind::Bound));
    let cycling = Range {
        cycles: true,
        ..small
    };
    // Of one that does not cycle the numbers are taken.
    assert_eq!(to(cycling, 150), Err(ObstacleKind::Bound));
    let both = advanced((cycling, at(0, false)), (cycling, at(150, true)));
    assert_eq!(both, Ok(Some(200)));
    assert_eq!(UP.left(i64::MAX - 5), Some(5));
    assert_eq!(DOWN.left(i64::MIN + 5), Some(5));
}

#[test]
fn a_sequence_that_several_columns_draw_from_goes_past_all_of_them() {
    let mut second = sequence("public", UP, at(900, true));
    second.column = "no".into();
    let old = [sequence("public", UP, at(50, true)), second.clone()];
    let own = sequence("svc", UP, at(0, false));
    let other = Sequence {
        column: "no".into(),
        ..own.clone()
    };
    for new in [[own.clone(), other.clone()], [other, own]] {
        let found = advances(&[&mapping()], Side::Monolith, &old, &new, 100).expect("no obstacle");
        assert_eq!((found.len(), found[0].last), (1, 1000));
    }
}

#[test]
fn a_role_without_rights_is_told_which() {
    let mut one = sequence("svc", UP, at(0, false));
    assert_eq!(rights(Side::Service, &[one.clone()]), []);
    one.may_set = false;
    let found = rights(Side::Service, &[one.clone(), one]);
    assert_eq!(found.len(), 1);
    assert!(
        found[0]
            .remedy
            .to_string()
            .contains("as app: grant select, update on sequence svc.t_id_seq to mover")
    );
}

#[test]
fn sequences_of_tables_that_both_sides_write_stay_each_sides_own() {
    let of = |writes| {
        [TableMapping {
            writes,
            ..mapping()
        }]
    };
    let is_carried = |writes, to, split| !carried(&of(writes), to, split).is_empty();
    for to in [Side::Monolith, Side::Service] {
        for split in [false, true] {
            assert!(is_carried(TableWrites::Owner, to, split));
            assert!(!is_carried(TableWrites::Append, to, split));
        }
    }
    assert!(is_carried(TableWrites::Split, Side::Service, false));
    assert!(!is_carried(TableWrites::Split, Side::Service, true));
    assert!(!is_carried(TableWrites::Split, Side::Monolith, true));
}

/// Hibernate, for one, has each number of a sequence in steps of 500 stand for 500.
#[test]
fn a_step_of_the_sources_is_kept_clear() {
    let steps = Range {
        increment: 500,
        ..UP
    };
    let moved = advanced((UP, at(0, false)), (steps, at(1, true)));
    assert_eq!(moved, Ok(Some(501)));
    let moved = advanced((steps, at(1, true)), (steps, at(1001, true)));
    assert_eq!(moved, Ok(Some(1501)));
}

#[test]
fn what_gives_out_other_numbers_is_told_once() {
    let told = |own, source| {
        let old = [sequence("public", source, at(7, true))];
        let new = [sequence("svc", own, at(12, true))];
        let found = differences(&[&mapping(), &mapping()], &old, &new);
        found.into_iter().map(|one| one.mend).collect::<Vec<_>>()
    };
    let by = |increment| Range { increment, ..UP };
    let anew = Range { cycles: true, ..UP };
    assert_eq!(told(UP, UP), [""; 0]);
    assert_eq!(told(by(5), by(5)), [""; 0]);
    assert_eq!(told(UP, DOWN), [""; 0]);
    let alter = |what: &str| [format!("alter sequence svc.t_id_seq {what}")];
    assert_eq!(told(UP, by(50)), alter("increment by 50"));
    // The service's is at 12, past the monolith's 7.
    assert_eq!(told(by(4), by(4)), alter("restart with 15"));
    assert_eq!(told(anew, UP), alter("no cycle"));
    assert_eq!(told(UP, anew), alter("cycle"));
}
