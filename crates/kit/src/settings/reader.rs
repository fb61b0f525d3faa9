//! Reads groups of settings, and says what they declare.

use std::fmt;

use super::identity::Identity;

/// Stands in a declared name for the service's own, in capitals:
/// `{NAME}_SERVICE_API_KEY` is `AUTH_SERVICE_API_KEY` for `auth`.
const OWN_NAME: &str = "{NAME}";
/// Stands in a declared default for the service's own port.
const OWN_PORT: &str = "{PORT}";

/// A type that a variable can have.
pub trait Setting: Sized {
    /// Whether a value must not be repeated, not even where it is wrong.
    const IS_SECRET: bool = false;

    /// What a value looks like, as it follows "set": "a port from 0 to 65535".
    fn form() -> String;

    /// Reads it; `None` where it does not have the form. Blanks around it are
    /// gone already, and it is not empty.
    fn parse(text: &str) -> Option<Self>;

    /// What it is where the variable is not set and has no default; `None` for
    /// what must be set.
    fn absent() -> Option<Self> {
        None
    }
}

impl<T: Setting> Setting for Option<T> {
    const IS_SECRET: bool = T::IS_SECRET;

    fn form() -> String {
        T::form()
    }

    fn parse(text: &str) -> Option<Self> {
        T::parse(text).map(Some)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

/// A group of settings, made by [`settings!`](crate::settings!).
pub trait Group: Sized {
    /// Reads all of it; `None` where something is wrong, which the reader
    /// has noted.
    fn read(reader: &mut Reader<'_>) -> Option<Self>;
}

/// A service without settings of its own.
impl Group for () {
    fn read(_: &mut Reader<'_>) -> Option<Self> {
        Some(())
    }
}

/// Both.
impl<A: Group, B: Group> Group for (A, B) {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let (a, b) = (A::read(reader), B::read(reader));
        Some((a?, b?))
    }
}

/// One variable, as it was declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declaration {
    /// What it is called in the environment of this service.
    pub name: String,
    /// What it means.
    pub meaning: String,
    /// What a value looks like.
    pub form: String,
    /// What it is where it is not set.
    pub default: Default,
}

/// What a variable is where it is not set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Default {
    /// It must be set.
    Required,
    /// What it is for is not done.
    Nothing,
    /// This text.
    Text(String),
}

/// Every variable that is missing or wrong.
#[derive(Debug, thiserror::Error)]
pub struct SettingsError(Vec<Problem>);

#[derive(Debug)]
struct Problem {
    name: String,
    remedy: String,
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, problem) in self.0.iter().enumerate() {
            let line_break = if position == 0 { "" } else { "\n" };
            write!(f, "{line_break}{}: {}", problem.name, problem.remedy)?;
        }
        Ok(())
    }
}

/// Reads variables; notes what was declared and what is wrong.
pub struct Reader<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
    identity: Identity,
    declared: Vec<Declaration>,
    problems: Vec<Problem>,
}

impl fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("declared", &self.declared)
            .finish_non_exhaustive()
    }
}

impl Reader<'_> {
    /// Reads one variable. Called by [`settings!`](crate::settings!).
    pub fn value<T: Setting>(
        &mut self,
        name: &str,
        meaning: &[&str],
        default: Option<&str>,
    ) -> Option<T> {
        let name = name.replace(OWN_NAME, &self.identity.variable_prefix());
        let default = default.map(|text| text.replace(OWN_PORT, &self.identity.port.to_string()));
        // Some services are whom others are told of: to the registry,
        // REGISTRY_SERVICE_API_KEY is its own and that of the registry.
        if self.declared.iter().all(|known| known.name != name) {
            let meaning: Vec<_> = meaning.iter().map(|line| line.trim()).collect();
            self.declared.push(Declaration {
                name: name.clone(),
                meaning: meaning.join(" "),
                form: T::form(),
                default: match &default {
                    Some(text) => Default::Text(text.clone()),
                    None if T::absent().is_some() => Default::Nothing,
                    None => Default::Required,
                },
            });
        }
        // An empty variable counts as one that is not set.
        let given = (self.lookup)(&name).filter(|text| !text.trim().is_empty());
        let Some(text) = given.or(default) else {
            let absent = T::absent();
            if absent.is_none() {
                self.problem(name, format!("is not set; set {}", T::form()));
            }
            return absent;
        };
        let parsed = T::parse(text.trim());
        if parsed.is_none() {
            let said = if T::IS_SECRET {
                "is not valid".to_owned()
            } else {
                format!("\"{text}\" will not do")
            };
            self.problem(name, format!("{said}; set {}", T::form()));
        }
        parsed
    }

    /// Notes a problem between variables, such as two that exclude each other.
    pub fn problem(&mut self, name: impl Into<String>, remedy: impl Into<String>) {
        self.problems.push(Problem {
            name: name.into(),
            remedy: remedy.into(),
        });
    }
}

/// Reads a group with `lookup`, which answers for the environment.
pub fn read<G: Group>(
    identity: &Identity,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<G, SettingsError> {
    let mut reader = Reader {
        lookup,
        identity: *identity,
        declared: Vec::new(),
        problems: Vec::new(),
    };
    match G::read(&mut reader) {
        Some(group) if reader.problems.is_empty() => Ok(group),
        _ => Err(SettingsError(reader.problems)),
    }
}

/// What a group declares.
pub fn declarations<G: Group>(identity: &Identity) -> Vec<Declaration> {
    let mut reader = Reader {
        lookup: &|_| None,
        identity: *identity,
        declared: Vec::new(),
        problems: Vec::new(),
    };
    // Nothing is set, so this may well fail; only the declarations matter.
    let _ = G::read(&mut reader);
    reader.declared
}

/// The reference of a group: a table in Markdown.
pub fn reference<G: Group>(identity: &Identity) -> String {
    let mut table = "| Environment | Default | Meaning |\n|---|---|---|\n".to_owned();
    for one in declarations::<G>(identity) {
        let default = match &one.default {
            Default::Required => "required".to_owned(),
            Default::Nothing => "none".to_owned(),
            Default::Text(text) => format!("`{text}`"),
        };
        let row = format!(
            "| `{}` | {default} | {}; {} |\n",
            one.name,
            one.meaning.trim_end_matches('.'),
            one.form
        );
        table.push_str(&row);
    }
    table
}
