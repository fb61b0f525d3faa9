//! Why a plan was refused, and where.

use super::located::Position;

/// A plan that cannot be used. The display names the place, the object and
/// the remedy.
#[derive(Debug, thiserror::Error)]
#[error("{}{}{message}{}", place(.file.as_deref()), prefix(*.position), suffix(.remedy.as_deref()))]
pub struct PlanError {
    file: Option<String>,
    position: Option<Position>,
    message: String,
    remedy: Option<String>,
}

impl PlanError {
    pub(crate) fn syntax(error: &serde_saphyr::Error) -> Self {
        let position = error.location().map(|at| Position {
            line: at.line(),
            column: at.column(),
        });
        Self {
            file: None,
            position,
            message: first_line(&error.without_snippet().to_string()),
            remedy: Some("`banyan schema` prints all that a plan may say".to_owned()),
        }
    }

    pub(crate) fn at(position: Position, message: impl Into<String>) -> Self {
        Self {
            file: None,
            position: position.known(),
            message: message.into(),
            remedy: None,
        }
    }

    pub(crate) fn whole(message: impl Into<String>) -> Self {
        Self {
            file: None,
            position: None,
            message: message.into(),
            remedy: None,
        }
    }

    pub(crate) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
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

fn prefix(position: Option<Position>) -> String {
    position.map_or_else(String::new, |at| {
        format!("line {}, column {}: ", at.line, at.column)
    })
}

fn suffix(remedy: Option<&str>) -> String {
    remedy.map_or_else(String::new, |text| format!(". {text}"))
}

/// The parser repeats the place in its message; we say it once, in front.
fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.split(" at line ")
        .next()
        .unwrap_or(line)
        .trim_start_matches("error: ")
        .to_owned()
}
