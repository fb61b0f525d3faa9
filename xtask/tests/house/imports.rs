//! Which file of a crate imports which, and by what names.

use crate::{
    module_tree::{ModuleIndex, ModuleTree, planted},
    names::Named,
};
use std::collections::{BTreeMap, BTreeSet};

/// From each file to those that it uses, with the names used.
pub(crate) type Imports = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// The imports between the files of a crate: those of `use`, and those of paths
/// in the code. A parent that hands its child's names on does not import them,
/// unless it uses them itself.
pub(crate) fn of(roots: &[ModuleTree]) -> Imports {
    let mut all = Imports::new();
    for tree in roots {
        for (index, module) in tree.modules.iter().enumerate() {
            let into = all.entry(module.file.clone()).or_default();
            for (named, name) in uses(tree, index) {
                let file = &tree.modules[named].file;
                if *file != module.file {
                    into.entry(file.clone()).or_default().insert(name);
                }
            }
        }
    }
    all
}

fn uses(tree: &ModuleTree, index: ModuleIndex) -> Vec<(ModuleIndex, String)> {
    let module = &tree.modules[index];
    let mut uses = Vec::new();
    for import in &module.imports {
        let (found, name) = match tree.resolve(index, &import.path) {
            Some(Named::Item(found, name)) => (found, name),
            // What is taken from an imported module is seen where it is used.
            Some(Named::Module(found)) if import.name == "*" => (found, "*".to_owned()),
            Some(Named::Module(_)) | None => continue,
        };
        let of_child = tree.modules[found].path.starts_with(&module.path);
        if import.public && of_child && !module.used.contains(&import.name) {
            continue;
        }
        uses.push((found, name));
    }
    for path in &module.paths {
        if let Some(Named::Item(found, name)) = tree.resolve(index, path) {
            uses.push((found, name));
        }
    }
    uses
}

/// The imports as `from -> to: Name, Other`.
fn listed(files: &[(&str, &str)]) -> Vec<String> {
    let imports = of(&[planted(files)]);
    let edges = imports.iter().flat_map(|(from, used)| {
        used.iter().map(move |(to, names)| {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            format!("{from} -> {to}: {}", names.join(", "))
        })
    });
    edges.collect()
}

/// What `a.rs` holds, beside a parent `up` with a child and a neighbour, and
/// what it imports by that.
const CASES: &[(&str, &[&str])] = &[
    ("use crate::b::{B, C as D};", &["a.rs -> b.rs: B, C"]),
    ("fn f() { crate::b::g() }", &["a.rs -> b.rs: g"]),
    ("fn f() { use super::b; b::g() }", &["a.rs -> b.rs: g"]),
    ("type T = Vec<super::b::B>;", &["a.rs -> b.rs: B"]),
    ("use crate::b::*;", &["a.rs -> b.rs: *"]),
    (
        "use crate::b as bee; fn f() { bee::B::new() }",
        &["a.rs -> b.rs: B"],
    ),
    // By re-exports, to the file that defines.
    ("use crate::up::Deep;", &["a.rs -> up/deep.rs: Deep"]),
    ("use crate::Deep;", &["a.rs -> up/deep.rs: Deep"]),
    (
        "use crate::up; fn f(_: up::Deep) {}",
        &["a.rs -> up/deep.rs: Deep"],
    ),
    ("use crate::up::Neighbour;", &["a.rs -> b.rs: B"]),
    ("use crate::up::deep::Globbed;", &["a.rs -> b.rs: Globbed"]),
    // What cannot be seen, to where the path ends.
    (
        "use crate::up::MadeByMacro;",
        &["a.rs -> up.rs: MadeByMacro"],
    ),
    ("use crate::Root;", &["a.rs -> lib.rs: Root"]),
    // In macros and attributes.
    (
        "fn f() { println!(\"{}\", crate::b::G) }",
        &["a.rs -> b.rs: G"],
    ),
    (
        "macro_rules! m { () => { $crate::b::g() } }",
        &["a.rs -> b.rs: g"],
    ),
    (
        "#[serde(with = \"crate::b::g\")] struct S;",
        &["a.rs -> b.rs: g"],
    ),
    // Elsewhere, oneself, and tests.
    ("use std::b::B; use ::b::C; fn f() { b::g() }", &[]),
    (
        "use self::X as Y; struct X; mod inner { use super::X; }",
        &[],
    ),
    ("#[cfg(test)] mod tests { use crate::b::B; }", &[]),
    ("#[cfg(test)] use crate::b::B;", &[]),
    (
        "struct S; impl S { #[cfg(test)] fn f() { crate::b::g() } }",
        &[],
    ),
    (
        "#[cfg(any(test, feature = \"fuzzing\"))] fn f() { crate::b::g() }",
        &[],
    ),
    (
        "#[cfg(not(test))] fn f() { crate::b::g() }",
        &["a.rs -> b.rs: g"],
    ),
    (
        "#[cfg(any(test, unix))] fn f() { crate::b::g() }",
        &["a.rs -> b.rs: g"],
    ),
];

#[test]
fn imports_lead_to_the_file_that_defines() {
    for (text, expected) in CASES {
        let found = listed(&[
            (
                "lib.rs",
                "mod a; mod b; mod up; pub use up::Deep; pub struct Root;",
            ),
            ("a.rs", text),
            (
                "b.rs",
                "pub struct B; pub struct C; pub struct Globbed; pub fn g() {}",
            ),
            (
                "up.rs",
                "pub mod deep; pub use deep::Deep; pub use crate::b::B as Neighbour;",
            ),
            ("up/deep.rs", "pub struct Deep; use crate::b::*;"),
        ]);
        let of_a: Vec<&String> = found
            .iter()
            .filter(|edge| edge.starts_with("a.rs"))
            .collect();
        assert_eq!(of_a, *expected, "of {text}");
    }
}

#[test]
fn a_parent_that_hands_on_its_childs_names_does_not_import_them() {
    let child = ("a/child.rs", "pub struct Child; pub struct Other;");
    let parent = |text| listed(&[("lib.rs", "mod a;"), ("a.rs", text), child]);
    let handed_on = "mod child; pub(crate) use child::{Child, Other};";
    assert_eq!(parent(handed_on), <[&str; 0]>::default());
    let used = "mod child; pub use child::{Child, Other}; fn f(_: Child) {}";
    assert_eq!(parent(used), ["a.rs -> a/child.rs: Child"]);
    let imported = "mod child; use child::Other;";
    assert_eq!(parent(imported), ["a.rs -> a/child.rs: Other"]);
}
