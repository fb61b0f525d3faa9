//! Why a plan was refused, and where.

use super::{
    key_path::{KeyPath, Place},
    located::{Located, Position},
    node::Node,
};
use serde_saphyr::DuplicateKeyPolicy;

/// A plan that cannot be used. The display names the place, the object and
/// the remedy.
#[derive(Debug, thiserror::Error)]
#[error("{}{}{message}{}", place(.file.as_deref()), prefix(*.position, .paths.first()), suffix(.remedy.as_deref()))]
pub struct PlanError {
    file: Option<String>,
    position: Option<Position>,
    /// Of the key. Further ones say where it may be instead, until it is found.
    paths: Vec<KeyPath>,
    message: String,
    remedy: Option<String>,
}

impl PlanError {
    pub(crate) fn at(position: Position, message: impl Into<String>) -> Self {
        Self {
            file: None,
            position: position.known(),
            paths: Vec::new(),
            message: message.into(),
            remedy: None,
        }
    }

    /// Of a key, wherever it stands.
    pub(crate) fn of(path: KeyPath, message: impl Into<String>) -> Self {
        Self {
            paths: vec![path],
            ..Self::whole(message)
        }
    }

    /// Of another key, where the first is not there.
    pub(crate) fn or_of(mut self, path: KeyPath) -> Self {
        self.paths.push(path);
        self
    }

    pub(crate) fn whole(message: impl Into<String>) -> Self {
        Self {
            file: None,
            position: None,
            paths: Vec::new(),
            message: message.into(),
            remedy: None,
        }
    }

    /// Of a key, where that is known.
    pub(super) fn of_key(mut self, path: Option<KeyPath>) -> Self {
        self.paths.extend(path);
        self
    }

    /// Of a key, where it has no place of its own.
    pub(crate) fn under(mut self, path: KeyPath) -> Self {
        if self.position.is_none() && self.file.is_none() && self.paths.is_empty() {
            self.paths.push(path);
        }
        self
    }

    pub(crate) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// With the path of the key where the place is known, and the other way round.
    pub(crate) fn placed_in(mut self, text: &str) -> Self {
        let Some(document) = document(text).filter(|_| self.file.is_none()) else {
            return self;
        };
        if let Some(at) = self.position {
            if self.paths.is_empty() {
                let found = KeyPath::at(at, Place::Value, &document);
                self.paths.push(found.path);
            }
            return self;
        }
        let found = self
            .paths
            .iter()
            .map(|path| (path, path.found_in(&document)));
        let found: Vec<_> = found.collect();
        let whole = found.iter().find(|(path, found)| found.path == **path);
        if let Some((_, found)) = whole.or(found.first()) {
            self.position = found.node.at.known();
            self.paths = vec![found.path.clone()];
        }
        self
    }

    /// It is about another file, which the plan names.
    pub(crate) fn in_file(mut self, name: &str) -> Self {
        self.file = Some(name.to_owned());
        self
    }

    /// Line and column, counted from 1, where the error has a place.
    pub fn position(&self) -> Option<(u64, u64)> {
        self.position.map(|at| (at.line, at.column))
    }
}

fn place(file: Option<&str>) -> String {
    file.map_or_else(String::new, |name| format!("{name}: "))
}

fn prefix(position: Option<Position>, path: Option<&KeyPath>) -> String {
    let place = position.map(|at| format!("line {}, column {}", at.line, at.column));
    let path = path.filter(|path| !path.is_root());
    let path = path.map(|path| format!("`{path}`"));
    let parts: Vec<_> = place.into_iter().chain(path).collect();
    if parts.is_empty() {
        return String::new();
    }
    format!("{}: ", parts.join(", "))
}

fn suffix(remedy: Option<&str>) -> String {
    remedy.map_or_else(String::new, |text| format!(". {text}"))
}

/// The document as it is written, where it can be read at all.
pub(super) fn document(text: &str) -> Option<Located<Node>> {
    let options = serde_saphyr::options! { duplicate_keys: DuplicateKeyPolicy::LastWins };
    serde_saphyr::from_str_with_options(text, options).ok()
}
