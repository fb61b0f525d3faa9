//! Labels of enums that one side's type has and the other's lacks.
//!
//! Where the source has none of its own, every value of it is one of the
//! target's: a label that only the target has is in nobody's way of a stream, so
//! that a migration may add it there first. Until the other side has it, too,
//! `verify` and a hand-over refuse ([`super::join`]): the way back would stop.

use super::definition::{Effect, Shape, TypeDefinition};
use crate::database::sql;

/// Labels that an enum lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingLabels {
    /// The enum, as SQL writes it.
    pub name: String,
    /// What it lacks, in the order of the enum that has them.
    pub labels: Vec<String>,
}

impl MissingLabels {
    /// The statements that add them.
    pub fn statements(&self) -> Vec<String> {
        let add = |label: &String| {
            let label = sql::literal(label);
            format!("alter type {} add value {}", self.name, label.trim_start())
        };
        self.labels.iter().map(add).collect()
    }
}

/// What enums inside the target's type lack of the source's. `None` where the
/// types differ by more than that.
pub fn missing(source: &TypeDefinition, target: &TypeDefinition) -> Option<Vec<MissingLabels>> {
    match (&source.shape, &target.shape) {
        (Shape::Enum(here), Shape::Enum(there)) => {
            let lacks = here.iter().filter(|label| !there.contains(label));
            let labels: Vec<String> = lacks.cloned().collect();
            let lacking = MissingLabels {
                name: target.name.clone(),
                labels,
            };
            let has_any = !lacking.labels.is_empty();
            Some(has_any.then_some(lacking).into_iter().collect())
        }
        (Shape::Array(here), Shape::Array(there)) => missing(here, there),
        (Shape::Domain(here), Shape::Domain(there)) => missing(&here.base, &there.base),
        (Shape::Composite(here), Shape::Composite(there)) if here.len() == there.len() => {
            let mut all = Vec::new();
            for (one, other) in here.iter().zip(there) {
                if one.name != other.name {
                    return None;
                }
                all.append(&mut missing(&one.definition, &other.definition)?);
            }
            Some(all)
        }
        _ => {
            let differences = source.differences(target);
            let alike = differences.iter().all(|one| one.effect != Effect::Values);
            alike.then(Vec::new)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, labels: &[&str]) -> TypeDefinition {
        TypeDefinition {
            name: name.to_owned(),
            shape: Shape::Enum(labels.iter().map(ToString::to_string).collect()),
        }
    }

    fn array(element: TypeDefinition) -> TypeDefinition {
        TypeDefinition {
            name: format!("{}[]", element.name),
            shape: Shape::Array(Box::new(element)),
        }
    }

    #[test]
    fn only_what_the_target_lacks_is_in_the_way() {
        let (few, many) = (of("a.e", &["x"]), of("b.e", &["it's", "x"]));
        assert_eq!(missing(&few, &many), Some(Vec::new()));
        for (source, target) in [(many.clone(), few.clone()), (array(many), array(few))] {
            let found = missing(&source, &target).unwrap();
            assert_eq!(found[0].statements(), ["alter type a.e add value 'it''s'"]);
        }
        let (text, number) = (
            TypeDefinition::built_in("text"),
            TypeDefinition::built_in("integer"),
        );
        assert_eq!(missing(&text, &text), Some(Vec::new()));
        assert_eq!(missing(&text, &number), None);
        assert_eq!(missing(&of("e", &["x"]), &text), None);
    }
}
