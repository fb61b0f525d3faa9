//! Refuses circles between the files of a crate.

use crate::{
    imports::{self, Imports},
    module_tree::planted,
    workspace,
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt::Write as _,
};

/// The circles among what imports each other: the shortest of every set that
/// all reach each other, with the names by which each uses the next. `what` is
/// their kind.
pub(crate) fn describe(imports: &Imports, what: &str) -> Vec<String> {
    let knots = knots(imports);
    let circles = knots.iter().map(|knot| {
        let circle = shortest_circle(imports, knot);
        let mut text = format!("{} {what} use each other in a circle:", knot.len());
        for (from, to) in circle.iter().zip(circle.iter().cycle().skip(1)) {
            let names: Vec<&str> = imports[*from][*to].iter().map(String::as_str).collect();
            let _ = write!(text, "\n    {from} -> {to}: `{}`", names.join(", "));
        }
        text
    });
    circles.collect()
}

/// The sets of two files or more that all reach each other.
fn knots(imports: &Imports) -> Vec<BTreeSet<&str>> {
    let reached: BTreeMap<&str, BTreeSet<&str>> = imports
        .keys()
        .map(|file| (file.as_str(), reached_from(imports, file)))
        .collect();
    let knots = reached.iter().filter_map(|(file, others)| {
        let back = |other: &&&str| reached.get(**other).is_some_and(|all| all.contains(file));
        let knot: BTreeSet<&str> = others.iter().filter(back).copied().collect();
        (knot.len() > 1).then_some(knot)
    });
    let distinct: BTreeSet<_> = knots.collect();
    distinct.into_iter().collect()
}

fn reached_from<'a>(imports: &'a Imports, file: &str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut next = vec![file];
    while let Some(file) = next.pop() {
        for used in imports.get(file).into_iter().flat_map(BTreeMap::keys) {
            if reached.insert(used.as_str()) {
                next.push(used);
            }
        }
    }
    reached
}

/// The shortest way around within a knot.
fn shortest_circle<'a>(imports: &'a Imports, knot: &BTreeSet<&'a str>) -> Vec<&'a str> {
    let circles = knot
        .iter()
        .filter_map(|file| circle_through(imports, knot, file));
    circles.min_by_key(Vec::len).unwrap_or_default()
}

fn circle_through<'a>(
    imports: &'a Imports,
    knot: &BTreeSet<&'a str>,
    start: &'a str,
) -> Option<Vec<&'a str>> {
    let mut came_from: BTreeMap<&str, &str> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(file) = queue.pop_front() {
        for used in imports[file].keys().map(String::as_str) {
            if used == start {
                let before = |at: &&'a str| came_from.get(at).copied();
                let mut circle: Vec<&str> = std::iter::successors(Some(file), before).collect();
                circle.reverse();
                return Some(circle);
            }
            if knot.contains(used) && !came_from.contains_key(used) {
                came_from.insert(used, file);
                queue.push_back(used);
            }
        }
    }
    None
}

#[test]
fn no_file_of_a_crate_is_in_a_circle() {
    let mut found = Vec::new();
    for of in workspace::crates() {
        let circles = describe(&imports::of(&of.roots), "files");
        let circles = circles.iter();
        found.extend(circles.map(|circle| format!("`{}`: {circle}", of.name)));
    }
    assert!(
        found.is_empty(),
        "{}\nCut one import of each: move what it names into a file below both, or have it handed \
         in as an argument.",
        found.join("\n")
    );
}

#[test]
fn a_circle_is_found_with_its_names() {
    let imports = imports::of(&[planted(&[
        ("lib.rs", "mod a; mod b; mod c; mod d;"),
        ("a.rs", "pub struct A; fn f() { crate::b::g() }"),
        ("b.rs", "use crate::{c::C, d::{D, E}}; pub fn g() {}"),
        ("c.rs", "pub struct C(super::a::A);"),
        (
            "d.rs",
            "pub struct D; pub struct E; use crate::b;  fn h() { b::g(); }",
        ),
    ])]);
    let expected = "4 files use each other in a circle:\
        \n    b.rs -> d.rs: `D, E`\
        \n    d.rs -> b.rs: `g`";
    assert_eq!(describe(&imports, "files"), [expected]);
}

#[test]
fn each_knot_has_its_circle_and_what_hangs_on_it_has_none() {
    let imports = imports::of(&[planted(&[
        ("lib.rs", "mod a; mod b; mod c; mod d; mod e; use e::E;"),
        ("a.rs", "pub struct A; use crate::b::B;"),
        ("b.rs", "pub struct B; use crate::c::C;"),
        ("c.rs", "pub struct C; use crate::{a::A, d::D};"),
        ("d.rs", "pub struct D; use crate::e::E;"),
        ("e.rs", "pub struct E; use crate::d::D;"),
    ])]);
    let knots = knots(&imports);
    let expected = [["a.rs", "b.rs", "c.rs"].into(), ["d.rs", "e.rs"].into()];
    assert_eq!(knots, expected);
    assert_eq!(
        shortest_circle(&imports, &knots[0]),
        ["a.rs", "b.rs", "c.rs"]
    );
}
