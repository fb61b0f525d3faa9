//! A mapping that is read by taking what is known, so that what is left can be refused
//! by its name and line.

use crate::base::{Located, Node, PlanError, Position, Text};

/// The remedy for a setting of a plugin that is not known.
pub(crate) const LEAVE_THE_DEFAULT: &str = "Take it out if its default will do";

/// A mapping, of which what is known is taken.
#[derive(Debug)]
pub(crate) struct Map {
    /// What it is, for messages: `service `auth``.
    pub(crate) what: String,
    pub(crate) at: Position,
    pairs: Vec<(Text, Located<Node>)>,
}

impl Map {
    pub(crate) fn of(node: Located<Node>, what: &str) -> Result<Self, PlanError> {
        match node.value {
            Node::Map(pairs) => Ok(Self {
                what: what.to_owned(),
                at: node.at,
                pairs,
            }),
            _ => Err(PlanError::at(node.at, format!("{what} is no mapping"))),
        }
    }

    /// Without anything in it.
    pub(crate) fn empty(what: &str, at: Position) -> Self {
        Self {
            what: what.to_owned(),
            at,
            pairs: Vec::new(),
        }
    }

    /// A value that is there and not null.
    pub(crate) fn take(&mut self, key: &str) -> Option<Located<Node>> {
        let at = self.pairs.iter().position(|(name, _)| name.value == key)?;
        let (name, mut node) = self.pairs.remove(at);
        if node.at == Position::default() {
            node.at = name.at;
        }
        (!matches!(node.value, Node::Null)).then_some(node)
    }

    fn wrong(&self, key: &str, at: Position, wanted: &str) -> PlanError {
        PlanError::at(at, format!("`{key}` of {} is no {wanted}", self.what))
    }

    pub(crate) fn text(&mut self, key: &str) -> Result<Option<Text>, PlanError> {
        let Some(node) = self.take(key) else {
            return Ok(None);
        };
        match node.value.text() {
            Some(value) => Ok(Some(Located { value, at: node.at })),
            None => Err(self.wrong(key, node.at, "text")),
        }
    }

    pub(crate) fn flag(&mut self, key: &str, default: bool) -> Result<bool, PlanError> {
        match self.take(key) {
            None => Ok(default),
            Some(Located {
                value: Node::Bool(flag),
                ..
            }) => Ok(flag),
            Some(node) => Err(self.wrong(key, node.at, "true or false")),
        }
    }

    pub(crate) fn whole(&mut self, key: &str) -> Result<Option<Located<u64>>, PlanError> {
        let Some(node) = self.take(key) else {
            return Ok(None);
        };
        match node.value {
            Node::Whole(number) if number >= 0 => Ok(Some(Located {
                value: number.unsigned_abs(),
                at: node.at,
            })),
            _ => Err(self.wrong(key, node.at, "whole number of 0 or more")),
        }
    }

    /// A list of values; none where it is missing.
    pub(crate) fn list(&mut self, key: &str) -> Result<Option<Vec<Located<Node>>>, PlanError> {
        match self.take(key) {
            None => Ok(None),
            Some(Located {
                value: Node::List(list),
                ..
            }) => Ok(Some(list)),
            Some(node) => Err(self.wrong(key, node.at, "list")),
        }
    }

    /// A list of texts.
    pub(crate) fn texts(&mut self, key: &str) -> Result<Option<Vec<Text>>, PlanError> {
        let Some(list) = self.list(key)? else {
            return Ok(None);
        };
        let text = |node: Located<Node>| match node.value {
            Node::Text(value) => Ok(Located { value, at: node.at }),
            _ => Err(self.wrong(key, node.at, "list of texts")),
        };
        list.into_iter()
            .map(text)
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// A list of names; the default ones where it is missing.
    pub(crate) fn names(
        &mut self,
        key: &str,
        default: &[&str],
        parser: impl Fn(&str) -> Result<String, String>,
    ) -> Result<Vec<String>, PlanError> {
        match self.texts(key)? {
            None => Ok(default.iter().map(|name| (*name).to_owned()).collect()),
            Some(all) => all
                .iter()
                .map(|one| parser(&one.value).map_err(|why| PlanError::at(one.at, why)))
                .collect(),
        }
    }

    /// A reference to another entity: `name`, or `{ name: name }`.
    pub(crate) fn reference(&mut self, key: &str, by: &str) -> Result<Option<Text>, PlanError> {
        let Some(node) = self.take(key) else {
            return Ok(None);
        };
        let at = node.at;
        match node.value {
            Node::Text(value) => Ok(Some(Located { value, at })),
            Node::Map(_) => {
                let mut inner = Self::of(node, &format!("`{key}`"))?;
                let name = inner.text(by)?;
                inner.finish(&format!("Refer to it by its {by}"))?;
                match name {
                    Some(name) => Ok(Some(name)),
                    None => Err(PlanError::at(at, format!("`{key}` says no `{by}`"))),
                }
            }
            _ => Err(PlanError::at(at, format!("`{key}` is no name"))),
        }
    }

    /// A mapping inside; an empty one where it is missing.
    pub(crate) fn map(&mut self, key: &str, what: &str) -> Result<Self, PlanError> {
        match self.take(key) {
            None => Ok(Self::empty(what, self.at)),
            Some(node) => Self::of(node, what),
        }
    }

    /// The rest, as pairs.
    pub(crate) fn pairs(self) -> Vec<(Text, Located<Node>)> {
        self.pairs
    }

    /// Passes over what has no effect on a request.
    pub(crate) fn pass_over(&mut self) {
        for key in ["id", "tags", "created_at", "updated_at", "instance_name"] {
            self.take(key);
        }
    }

    /// Refuses a value other than this one.
    pub(crate) fn only_flag(
        &mut self,
        key: &str,
        wanted: bool,
        why: &str,
    ) -> Result<(), PlanError> {
        let at = self.at_of(key);
        if self.flag(key, wanted)? == wanted {
            return Ok(());
        }
        let message = format!("`{key}: {}` of {} is not supported", !wanted, self.what);
        Err(PlanError::at(at, message).remedy(why))
    }

    /// Where a key stands.
    pub(crate) fn at_of(&self, key: &str) -> Position {
        let found = self.pairs.iter().find(|(name, _)| name.value == key);
        found.map_or(self.at, |(name, node)| name.at.known().unwrap_or(node.at))
    }

    /// Refuses what is left.
    pub(crate) fn finish(self, remedy: &str) -> Result<(), PlanError> {
        for (key, node) in self.pairs {
            // An empty collection asks for nothing.
            match &node.value {
                Node::Null => continue,
                Node::List(list) if list.is_empty() => continue,
                _ => {}
            }
            let at = key.at.known().unwrap_or(node.at);
            let message = format!("`{}` of {} is not supported", key.value, self.what);
            return Err(PlanError::at(at, message).remedy(remedy));
        }
        Ok(())
    }
}
