use super::*;

fn named(name: &str, shape: Shape) -> TypeDefinition {
    TypeDefinition {
        name: name.into(),
        shape,
    }
}

fn text(name: &str) -> TypeDefinition {
    TypeDefinition::built_in(name)
}

fn labels(names: &[&str]) -> Shape {
    Shape::Enum(names.iter().map(ToString::to_string).collect())
}

fn composite(fields: &[(&str, TypeDefinition)]) -> Shape {
    let field = |(name, definition): &(&str, TypeDefinition)| Field {
        name: (*name).into(),
        definition: definition.clone(),
        collation: Collation::default(),
    };
    Shape::Composite(fields.iter().map(field).collect())
}

fn domain(base: &str, checks: &[&str]) -> Shape {
    Shape::Domain(Box::new(Domain {
        base: text(base),
        not_null: false,
        collation: Collation::default(),
        checks: checks.iter().map(ToString::to_string).collect(),
    }))
}

fn array(of: TypeDefinition) -> Shape {
    Shape::Array(Box::new(of))
}

fn extension(own: &str) -> Shape {
    Shape::Extension {
        extension: "postgis".into(),
        own: own.into(),
    }
}

#[test]
fn what_means_the_same_does_not_differ_whatever_it_is_called() {
    let pair = composite(&[("a", text("integer")), ("b", text("text"))]);
    let cases = [
        (text("integer"), text("integer")),
        (
            named("public.mood", labels(&["sad", "happy"])),
            named("svc.state", labels(&["sad", "happy"])),
        ),
        (named("public.pair", pair.clone()), named("svc.pair", pair)),
        (
            named("public.code", domain("text", &["CHECK (x)"])),
            named("svc.code", domain("text", &["CHECK (x)"])),
        ),
        (
            named("public.geometry(Point)", extension("geometry(Point)")),
            named("ext.geometry(Point)", extension("geometry(Point)")),
        ),
    ];
    for (old, new) in cases {
        assert_eq!(old.differences(&new), [], "{old}");
        assert_eq!(old.to_string(), new.to_string());
    }
}

#[test]
fn each_difference_names_its_first_part() {
    let ab = |a: &str, b: &str| composite(&[(a, text("integer")), (b, text("integer"))]);
    let cases = [
        (
            text("integer"),
            text("bigint"),
            Effect::Values,
            "",
            "bigint",
        ),
        (
            named("p", ab("a", "b")),
            named("p", ab("b", "a")),
            Effect::Values,
            "field 1",
            "`b`",
        ),
        (
            named("p", ab("a", "b")),
            named("p", composite(&[("a", text("integer"))])),
            Effect::Values,
            "field 2",
            "nothing",
        ),
        (
            named("p[]", array(named("p", ab("a", "b")))),
            named(
                "p[]",
                array(named(
                    "p",
                    composite(&[("a", text("integer")), ("b", text("text"))]),
                )),
            ),
            Effect::Values,
            "its elements, field 2 (b)",
            "text",
        ),
        (
            named("m", labels(&["x", "y"])),
            named("m", labels(&["x", "z"])),
            Effect::Values,
            "its labels",
            "`z`",
        ),
        (
            named("m", labels(&["x", "y"])),
            named("m", labels(&["y", "x"])),
            Effect::Order,
            "the order of its labels",
            "(y, x)",
        ),
        (
            named("d", domain("numeric(9,2)", &[])),
            named("d", domain("numeric(9,1)", &[])),
            Effect::Values,
            "its base type",
            "numeric(9,1)",
        ),
        (
            named("d", domain("text", &[])),
            named("d", domain("text", &["CHECK (x)"])),
            Effect::Rules,
            "its checks",
            "CHECK (x)",
        ),
        (
            named("g", extension("geometry(Point)")),
            named("g", extension("geometry")),
            Effect::Values,
            "",
            "g",
        ),
    ];
    for (old, new, effect, part, service) in cases {
        let found = old.differences(&new);
        let first = found.first().expect("they differ");
        assert_eq!(
            (first.effect, first.part.as_str()),
            (effect, part),
            "{found:?}"
        );
        assert_eq!(first.service, service);
        assert_ne!(old.to_string(), new.to_string());
    }
}

fn collated(name: &str, equates: bool) -> Collation {
    Collation {
        name: name.into(),
        definition: format!("icu {name}"),
        equates,
        ..Collation::default()
    }
}

/// What values are compared by differs, though the types are the same.
#[test]
fn collations_within_types_are_compared() {
    let field = |collation: &Collation| {
        let field = Field {
            name: "a".into(),
            definition: text("text"),
            collation: collation.clone(),
        };
        named("p", Shape::Composite(vec![field]))
    };
    let range = |collation: &Collation, canonical: &str| {
        let range = Range {
            subtype: text("text"),
            order: "text_ops".into(),
            collation: collation.clone(),
            canonical: canonical.into(),
        };
        named("r", Shape::Range(Box::new(range)))
    };
    let (usual, de, und) = (
        Collation::default(),
        collated("de", false),
        collated("und", true),
    );
    let cases = [
        (
            field(&usual),
            field(&de),
            Effect::Collation,
            "field 1 (a), its collation",
        ),
        (
            field(&de),
            field(&und),
            Effect::Equality,
            "field 1 (a), its collation",
        ),
        (
            field(&collated("und-u-ks-level1", true)),
            field(&und),
            Effect::Equality,
            "field 1 (a), its collation",
        ),
        (
            range(&usual, ""),
            range(&de, ""),
            Effect::Order,
            "the collation of its bounds",
        ),
        (
            range(&usual, "whole"),
            range(&usual, ""),
            Effect::Values,
            "its canonical form",
        ),
    ];
    for (old, new, effect, part) in cases {
        assert_eq!(old.differences(&old), []);
        let found = old.differences(&new);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].effect, found[0].part.as_str()), (effect, part));
        assert_ne!(old.to_string(), new.to_string());
    }
}

#[test]
fn a_domain_is_its_base_but_for_what_it_refuses() {
    let bare = named("public.code", domain("text", &[]));
    assert_eq!(bare.differences(&text("text")), []);
    assert_eq!(text("text").differences(&bare), []);
    let cases = [
        (
            text("text"),
            named("svc.d", domain("text", &["CHECK (x)"])),
            Effect::Rules,
            "what it refuses",
            "CHECK (x)",
        ),
        (
            named("d", domain("integer", &[])),
            text("text"),
            Effect::Values,
            "its base type",
            "text",
        ),
        (
            named("p", composite(&[("a", text("text"))])),
            named(
                "p",
                composite(&[("a", named("svc.d", domain("text", &[])))]),
            ),
            Effect::Values,
            "field 1 (a)",
            "svc.d (domain over (text))",
        ),
    ];
    for (old, new, effect, part, service) in cases {
        let found = old.differences(&new);
        let first = found.first().expect("they differ");
        assert_eq!(
            (first.effect, first.part.as_str()),
            (effect, part),
            "{found:?}"
        );
        assert_eq!(first.service, service);
        assert_ne!(old.to_string(), new.to_string());
    }
}
