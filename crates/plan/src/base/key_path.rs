//! The path of a key of the plan, as `extractions.orders.rollout.steps[2].gates`: from
//! where it stands, and back.

use super::{
    located::{Located, Position},
    names::ExtractionName,
    node::Node,
};
use std::fmt::{self, Write};

/// The path of a key, or of an item of a list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct KeyPath(Vec<Segment>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Key(String),
    /// From 0.
    Item(usize),
}

/// What is meant by a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The key that stands there.
    Key,
    /// The value that does.
    Value,
    /// The mapping whose key does.
    MappingOfKey,
}

/// What stands at a place.
pub(crate) struct KeyedNode<'a> {
    pub(crate) path: KeyPath,
    pub(crate) node: &'a Located<Node>,
}

impl KeyPath {
    /// Of a key at the top.
    pub(crate) fn top(name: &str) -> Self {
        Self::default().key(name)
    }

    /// Of an extraction.
    pub(crate) fn extraction(name: &ExtractionName) -> Self {
        Self::top("extractions").key(name)
    }

    #[must_use]
    pub(crate) fn key(mut self, name: impl fmt::Display) -> Self {
        self.0.push(Segment::Key(name.to_string()));
        self
    }

    #[must_use]
    pub(crate) fn item(mut self, at: usize) -> Self {
        self.0.push(Segment::Item(at));
        self
    }

    /// Of what stands at a place of a document, or else of the innermost that begins before.
    /// A mapping begins where its first key does: `what` says which of them is meant.
    pub(crate) fn at(place: Position, what: Place, document: &Located<Node>) -> KeyedNode<'_> {
        let mut path = Self::default();
        let mut node = document;
        while what != Place::Value || node.at != place {
            let before = children(node)
                .into_iter()
                .filter(|child| child.begins() <= place)
                .max_by_key(Child::begins);
            let Some(child) = before else { break };
            let is_there = child.key == Some(place);
            if is_there && what == Place::MappingOfKey {
                break;
            }
            path.0.push(child.segment);
            node = child.node;
            if is_there && what == Place::Key {
                break;
            }
        }
        KeyedNode { path, node }
    }

    /// What it leads to in a document; where not all of it is there, as far as it is.
    pub(crate) fn found_in<'a>(&self, document: &'a Located<Node>) -> KeyedNode<'a> {
        let mut found = KeyedNode {
            path: Self::default(),
            node: document,
        };
        for segment in &self.0 {
            let next = children(found.node)
                .into_iter()
                .find(|child| child.segment == *segment);
            let Some(child) = next else { break };
            found.path.0.push(child.segment);
            found.node = child.node;
        }
        found
    }

    /// Whether it is of the whole document.
    pub(crate) fn is_root(&self) -> bool {
        self.0.is_empty()
    }
}

/// What a mapping or a list has in it.
struct Child<'a> {
    segment: Segment,
    key: Option<Position>,
    node: &'a Located<Node>,
}

impl Child<'_> {
    fn begins(&self) -> Position {
        self.key.unwrap_or(self.node.at)
    }
}

fn children(node: &Located<Node>) -> Vec<Child<'_>> {
    match &node.value {
        Node::Map(pairs) => pairs
            .iter()
            .map(|(name, node)| Child {
                segment: Segment::Key(name.value.clone()),
                key: Some(name.at),
                node,
            })
            .collect(),
        Node::List(items) => (0..)
            .zip(items)
            .map(|(at, node)| Child {
                segment: Segment::Item(at),
                key: None,
                node,
            })
            .collect(),
        _ => Vec::new(),
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Item(number) => write!(f, "[{number}]")?,
                Segment::Key(name) => {
                    if at > 0 {
                        f.write_char('.')?;
                    }
                    let is_plain = |c: char| c.is_alphanumeric() || "-_$".contains(c);
                    if !name.is_empty() && name.chars().all(is_plain) {
                        f.write_str(name)?;
                    } else {
                        write!(f, "{name:?}")?;
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "a:\n  b: [x, { c: 1, public.t: {} }]\nd:\n  - e: 2\n    f: 3\n";

    fn document() -> Located<Node> {
        serde_saphyr::from_str(TEXT).unwrap()
    }

    #[test]
    fn what_stands_somewhere_is_named() {
        let document = document();
        for (line, column, what, path) in [
            (1, 1, Place::Value, ""),
            (1, 1, Place::Key, "a"),
            (2, 3, Place::Value, "a"),
            (2, 3, Place::Key, "a.b"),
            (2, 6, Place::Value, "a.b"),
            (2, 7, Place::Value, "a.b[0]"),
            (2, 10, Place::Value, "a.b[1]"),
            (2, 12, Place::Key, "a.b[1].c"),
            (2, 12, Place::MappingOfKey, "a.b[1]"),
            (1, 1, Place::MappingOfKey, ""),
            (2, 15, Place::Value, "a.b[1].c"),
            (2, 28, Place::Value, "a.b[1].\"public.t\""),
            (4, 5, Place::Value, "d[0]"),
            (5, 8, Place::Value, "d[0].f"),
            // Behind the last of them.
            (9, 1, Place::Value, "d[0].f"),
        ] {
            let found = KeyPath::at(Position { line, column }, what, &document);
            assert_eq!(found.path.to_string(), path, "{line}:{column} {what:?}");
        }
    }

    #[test]
    fn a_path_leads_to_its_place() {
        let document = document();
        let of = |path: KeyPath| {
            let at = path.found_in(&document).node.at;
            (at.line, at.column)
        };
        let root = KeyPath::default;
        assert_eq!(of(root().key("d").item(0).key("f")), (5, 8));
        assert_eq!(of(root().key("a").key("b").item(1).key("none")), (2, 10));
        assert_eq!(of(root()), (1, 1));
    }
}
