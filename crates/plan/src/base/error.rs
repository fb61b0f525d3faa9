//! Why a plan was refused, and where.

use super::located::Position;

/// Keys that plans of earlier versions have, and what has come in their place.
const RENAMED: &[(&str, &str)] = &[(
    "upgraded-idle",
    "`stream` under `timeouts` of the gateway, of an upstream or of a route",
)];

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
    /// What the parser says of `text`.
    pub(crate) fn syntax(error: &serde_saphyr::Error, text: &str) -> Self {
        let position = error.location().map(|at| Position {
            line: at.line(),
            column: at.column(),
        });
        let mut message = first_line(&error.without_snippet().to_string());
        let mut remedy = "`banyan schema` prints all that a plan may say";
        // The parser names a setting of its own as the way out.
        let twice = message.strip_prefix("duplicate mapping key: ");
        if let Some((key, _)) = twice.and_then(|rest| rest.split_once(", set ")) {
            message = format!("`{key}` is written twice in one place");
            remedy = "Keep one of them: a table, for one, moves to one place";
        }
        // In `{ path: /x/{id} }` a brace opens a map of its own.
        if position.is_some_and(|at| has_bare_braces(text, at.line)) {
            remedy = "Put a path with braces in quotes: `path: \"/x/{id}\"`";
        }
        let renamed = RENAMED
            .iter()
            .find(|(before, _)| message.contains(&format!("unknown field `{before}`")));
        let remedy = renamed.map_or_else(
            || remedy.to_owned(),
            |(_, now)| format!("It has another name now: {now}"),
        );
        Self {
            file: None,
            position,
            message,
            remedy: Some(remedy),
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

/// Whether a line, counted from 1, has a path with braces that is in no quotes.
fn has_bare_braces(text: &str, line: u64) -> bool {
    let line = usize::try_from(line.saturating_sub(1)).ok();
    let line = line.and_then(|line| text.lines().nth(line));
    let mut values = line.unwrap_or_default().split("path:").skip(1);
    values.any(|value| {
        let value = value.split([',', ' ', '\t']).find(|part| !part.is_empty());
        value.is_some_and(|value| !value.starts_with(['"', '\'']) && value.contains('{'))
    })
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
