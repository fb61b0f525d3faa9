//! What a type is, down to its parts, so that the types of two databases can be
//! compared by what they hold and not by what they are called.
//!
//! A name says little: a composite of the same name may have its fields in
//! another order, a domain another base, and the values that pass between them
//! are swapped or cut without an error. Types of different names or schemas,
//! on the other hand, may well be the same.
//!
//! Pure: [`super::types`] reads the catalogue.

use super::collation::Collation;
use std::fmt;

/// A type as one database defines it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeDefinition {
    /// `format_type`, the modifier included: `numeric(14,2)`, `public.mood`.
    pub name: String,
    /// What it is made of.
    pub shape: Shape,
}

/// What a type is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// PostgreSQL's own: its name says all.
    BuiltIn,
    /// Of an extension.
    Extension {
        /// The extension that made it.
        extension: String,
        /// Its name, without schema but with its modifier.
        own: String,
    },
    /// A base type that belongs to no extension.
    Foreign {
        /// Its name, without schema but with its modifier.
        own: String,
    },
    /// Labels in their order.
    Enum(Vec<String>),
    /// An array of a type that is not built in.
    Array(Box<TypeDefinition>),
    /// A domain.
    Domain(Box<Domain>),
    /// Fields in their order.
    Composite(Vec<Field>),
    /// A range, by what it ranges over.
    Range(Box<Range>),
    /// A multirange, by its range.
    Multirange(Box<TypeDefinition>),
    /// Nested deeper than is looked at.
    TooDeep,
}

/// A field of a composite type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its type.
    pub definition: TypeDefinition,
    /// By which it is compared.
    pub collation: Collation,
}

/// A domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain {
    /// What it is a domain over, with the modifier that it sets.
    pub base: TypeDefinition,
    /// Whether it is `not null`.
    pub not_null: bool,
    /// Its collation. A column or field of it has its own, which is compared.
    pub collation: Collation,
    /// Its checks as SQL, sorted.
    pub checks: Vec<String>,
}

/// A range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// What it ranges over.
    pub subtype: TypeDefinition,
    /// By which operator class its bounds are ordered; one's own with its functions.
    pub order: String,
    /// By which collation.
    pub collation: Collation,
    /// The function that gives equal ranges one form; empty without.
    pub canonical: String,
}

/// A part by which two types differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What it does to values.
    pub effect: Effect,
    /// Which part, as `field 2 (b)`; empty for the type as a whole.
    pub part: String,
    /// That part in the monolith's type.
    pub monolith: String,
    /// That part in the service's.
    pub service: String,
}

/// What a difference between two types does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// A value of one is not that value of the other.
    Values,
    /// Values are the same, but sort differently.
    Order,
    /// Values are the same, but a collation sorts them differently.
    Collation,
    /// Values are the same, but other ones are taken for equal.
    Equality,
    /// Values are the same, but one side refuses some of them.
    Rules,
}

impl TypeDefinition {
    /// One of PostgreSQL's own types.
    pub fn built_in(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            shape: Shape::BuiltIn,
        }
    }

    /// By what the service's type differs from this one of the monolith's,
    /// from the outside in.
    pub fn differences(&self, service: &Self) -> Vec<Difference> {
        let mut found = Vec::new();
        compare("", self, service, &mut found);
        found
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            part,
            monolith,
            service,
            ..
        } = self;
        if !part.is_empty() {
            write!(f, "{part}: ")?;
        }
        write!(f, "{monolith} in the monolith, {service} in the service")
    }
}

/// The whole definition as one line, the same wherever it means the same: what
/// may be called differently on the two sides is left out.
impl fmt::Display for TypeDefinition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.shape {
            Shape::BuiltIn | Shape::TooDeep => f.write_str(&self.name),
            Shape::Extension { extension, own } => write!(f, "{own} of extension {extension}"),
            Shape::Foreign { own } => f.write_str(own),
            Shape::Enum(labels) => write!(f, "enum {}", list(labels)),
            Shape::Array(element) => write!(f, "array of ({element})"),
            Shape::Domain(domain) => {
                write!(f, "domain over ({})", domain.base)?;
                if domain.not_null {
                    f.write_str(" not null")?;
                }
                collate(&domain.collation, f)?;
                domain
                    .checks
                    .iter()
                    .try_for_each(|check| write!(f, " {check}"))
            }
            Shape::Composite(fields) => {
                f.write_str("composite (")?;
                for (at, field) in fields.iter().enumerate() {
                    let comma = if at == 0 { "" } else { ", " };
                    write!(f, "{comma}{} {}", field.name, field.definition)?;
                    collate(&field.collation, f)?;
                }
                f.write_str(")")
            }
            Shape::Range(range) => {
                write!(f, "range over ({}) by {}", range.subtype, range.order)?;
                collate(&range.collation, f)?;
                if !range.canonical.is_empty() {
                    write!(f, " canonical {}", range.canonical)?;
                }
                Ok(())
            }
            Shape::Multirange(range) => write!(f, "multirange of ({range})"),
        }
    }
}

fn collate(collation: &Collation, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if collation.is_usual() {
        return Ok(());
    }
    write!(f, " collate {}", collation.key())
}

fn list(labels: &[String]) -> String {
    format!("({})", labels.join(", "))
}

/// The types are compared down to where the catalogue's reading ended, which is
/// bounded (see [`Shape::TooDeep`]).
fn compare(part: &str, old: &TypeDefinition, new: &TypeDefinition, found: &mut Vec<Difference>) {
    match (&old.shape, &new.shape) {
        (Shape::Enum(old), Shape::Enum(new)) => labels(part, old, new, found),
        (Shape::Array(old), Shape::Array(new))
        | (Shape::Multirange(old), Shape::Multirange(new)) => {
            compare(&within(part, "its elements"), old, new, found);
        }
        (Shape::Domain(old), Shape::Domain(new)) => domains(part, old, new, found),
        (Shape::Composite(old), Shape::Composite(new)) => fields(part, old, new, found),
        (Shape::Range(old), Shape::Range(new)) => {
            compare(
                &within(part, "what it ranges over"),
                &old.subtype,
                &new.subtype,
                found,
            );
            if old.order != new.order {
                let part = within(part, "the order of its bounds");
                found.push(difference(Effect::Order, part, &old.order, &new.order));
            }
            if !old.collation.is_like(&new.collation) {
                let part = within(part, "the collation of its bounds");
                let (old, new) = (old.collation.to_string(), new.collation.to_string());
                found.push(difference(Effect::Order, part, old, new));
            }
            if old.canonical != new.canonical {
                let part = within(part, "its canonical form");
                let name = |name: &str| match name {
                    "" => "none".to_owned(),
                    name => name.to_owned(),
                };
                let (old, new) = (name(&old.canonical), name(&new.canonical));
                found.push(difference(Effect::Values, part, old, new));
            }
        }
        (
            Shape::Extension { extension, own },
            Shape::Extension {
                extension: twin,
                own: twins,
            },
        ) if extension == twin && own == twins => {}
        (Shape::Foreign { own }, Shape::Foreign { own: twins }) if own == twins => {}
        (Shape::BuiltIn, Shape::BuiltIn) if old.name == new.name => {}
        // Within an array or a composite its number would stand in the bytes.
        (Shape::Domain(domain), _) if part.is_empty() => {
            compare("its base type", &domain.base, new, found);
            ruled(domain, |text| (text, "nothing"), found);
        }
        (_, Shape::Domain(domain)) if part.is_empty() => {
            compare("its base type", old, &domain.base, found);
            ruled(domain, |text| ("nothing", text), found);
        }
        // Of the same kind, or of different kinds: named by what they are.
        (one, other) => {
            let same_kind = std::mem::discriminant(one) == std::mem::discriminant(other);
            let text = |it: &TypeDefinition| {
                if same_kind || it.to_string() == it.name {
                    it.name.clone()
                } else {
                    format!("{} ({it})", it.name)
                }
            };
            let part = part.to_owned();
            found.push(difference(Effect::Values, part, text(old), text(new)));
        }
    }
}

fn labels(part: &str, old: &[String], new: &[String], found: &mut Vec<Difference>) {
    if old == new {
        return;
    }
    let missing = |these: &[String], there: &[String]| {
        these.iter().find(|label| !there.contains(label)).cloned()
    };
    let name = |label: Option<String>| {
        label.map_or_else(|| "no such label".to_owned(), |label| format!("`{label}`"))
    };
    let (only_old, only_new) = (missing(old, new), missing(new, old));
    let difference = if only_old.is_none() && only_new.is_none() {
        let part = within(part, "the order of its labels");
        difference(Effect::Order, part, list(old), list(new))
    } else {
        let part = within(part, "its labels");
        difference(Effect::Values, part, name(only_old), name(only_new))
    };
    found.push(difference);
}

fn domains(part: &str, old: &Domain, new: &Domain, found: &mut Vec<Difference>) {
    compare(&within(part, "its base type"), &old.base, &new.base, found);
    let word = |domain: &Domain| {
        if domain.not_null {
            "not null"
        } else {
            "nullable"
        }
    };
    if old.not_null != new.not_null {
        let part = within(part, "whether it may be null");
        found.push(difference(Effect::Rules, part, word(old), word(new)));
    }
    if old.checks != new.checks {
        let only = |one: &Domain, other: &Domain| {
            let first = one
                .checks
                .iter()
                .find(|check| !other.checks.contains(check));
            first.map_or_else(|| "no such check".to_owned(), Clone::clone)
        };
        let part = within(part, "its checks");
        found.push(difference(
            Effect::Rules,
            part,
            only(old, new),
            only(new, old),
        ));
    }
}

/// What a domain refuses, where the other side has a type that refuses nothing.
fn ruled<'a>(
    domain: &'a Domain,
    sides: impl Fn(&'a str) -> (&'a str, &'a str),
    found: &mut Vec<Difference>,
) {
    let not_null = domain.not_null.then_some("not null");
    for rule in not_null
        .into_iter()
        .chain(domain.checks.iter().map(String::as_str))
    {
        let (old, new) = sides(rule);
        found.push(difference(
            Effect::Rules,
            "what it refuses".to_owned(),
            old,
            new,
        ));
    }
}

fn fields(part: &str, old: &[Field], new: &[Field], found: &mut Vec<Difference>) {
    for at in 0..old.len().max(new.len()) {
        let name = |fields: &[Field]| {
            fields
                .get(at)
                .map_or_else(|| "nothing".to_owned(), |field| format!("`{}`", field.name))
        };
        let number = within(part, &format!("field {}", at + 1));
        match (old.get(at), new.get(at)) {
            (Some(one), Some(other)) if one.name == other.name => {
                let part = format!("{number} ({})", one.name);
                compare(&part, &one.definition, &other.definition, found);
                collations(&part, &one.collation, &other.collation, found);
            }
            // Which of the two was meant is anybody's guess.
            _ => return found.push(difference(Effect::Values, number, name(old), name(new))),
        }
    }
}

fn collations(part: &str, old: &Collation, new: &Collation, found: &mut Vec<Difference>) {
    if old.is_like(new) {
        return;
    }
    let effect = if old.equates || new.equates {
        Effect::Equality
    } else {
        Effect::Collation
    };
    let part = within(part, "its collation");
    found.push(difference(effect, part, old.to_string(), new.to_string()));
}

fn within(outer: &str, inner: &str) -> String {
    if outer.is_empty() {
        inner.to_owned()
    } else {
        format!("{outer}, {inner}")
    }
}

fn difference(
    effect: Effect,
    part: String,
    monolith: impl Into<String>,
    service: impl Into<String>,
) -> Difference {
    Difference {
        effect,
        part,
        monolith: monolith.into(),
        service: service.into(),
    }
}

#[cfg(test)]
mod tests;
