//! Templates: `NAME.subject.txt`, `NAME.body.txt` and, if there is one,
//! `NAME.html`, in Jinja's language. Values are escaped in HTML. A value that
//! is missing is an error: nobody wants "Hello ,". No I/O but at start.

use std::collections::BTreeMap;
use std::path::Path;

use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use serde_json::{Map, Value};

use crate::message::is_name;

/// So many instructions per part: a template with a loop in a loop ends too.
const FUEL: u64 = 200_000;
/// What is rendered must fit a mail that servers take, and a row.
const MAX_PART_BYTES: usize = 128 * 1024;
/// RFC 5322 allows 998 in a line; nobody reads more than this.
const MAX_SUBJECT_CHARACTERS: usize = 200;

const SUBJECT: &str = ".subject.txt";
const BODY: &str = ".body.txt";
const HTML: &str = ".html";

macro_rules! built_in {
    ($($name:literal),*) => {
        &[$(
            (concat!($name, ".subject.txt"), include_str!(concat!("../templates/", $name, ".subject.txt"))),
            (concat!($name, ".body.txt"), include_str!(concat!("../templates/", $name, ".body.txt"))),
            (concat!($name, ".html"), include_str!(concat!("../templates/", $name, ".html"))),
        )*]
    };
}

const BUILT_IN: &[(&str, &str)] = built_in!["message", "welcome", "verify-email", "reset-password"];

/// Why the service does not start.
#[derive(Debug, thiserror::Error)]
pub enum TemplatesError {
    /// The directory or a file in it cannot be read.
    #[error("cannot read the templates in {path}; check NOTIFICATION_TEMPLATES")]
    Read {
        /// The directory.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
    /// A file is no template.
    #[error("the template {name} does not parse")]
    Parse {
        /// The file's name.
        name: String,
        /// Where it is wrong.
        source: minijinja::Error,
    },
    /// A subject without a body, or the other way round.
    #[error("the template {0} needs both {0}.subject.txt and {0}.body.txt")]
    Incomplete(String),
}

/// Why a template gives no message with this data: the caller's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// There is none of this name.
    #[error("there is no such template")]
    Unknown,
    /// A value is missing, or of a kind that the template cannot use.
    #[error("the template does not fit the data: {0}")]
    Data(String),
    /// It would begin a header of its own.
    #[error("the subject must be one line without control characters, of 1 to 200 characters")]
    Subject,
    /// It is too large.
    #[error("a part of the message is larger than 128 KiB")]
    TooLarge,
}

/// A message, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// One line.
    pub subject: String,
    /// Plain text.
    pub body: String,
    /// The same in HTML.
    pub html: Option<String>,
}

/// All templates.
#[derive(Debug)]
pub struct Templates {
    environment: Environment<'static>,
    /// By name: whether it has HTML.
    names: BTreeMap<String, bool>,
}

impl Templates {
    /// The built-in ones and those of a directory, which replace them.
    pub fn load(directory: Option<&Path>) -> Result<Self, TemplatesError> {
        let mut files: BTreeMap<String, String> = BUILT_IN
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect();
        if let Some(directory) = directory {
            files.extend(read(directory).map_err(|source| TemplatesError::Read {
                path: directory.display().to_string(),
                source,
            })?);
        }
        Self::of(files)
    }

    fn of(files: BTreeMap<String, String>) -> Result<Self, TemplatesError> {
        let mut names = BTreeMap::new();
        for file in files.keys() {
            let name = [SUBJECT, BODY, HTML]
                .iter()
                .find_map(|ending| file.strip_suffix(ending))
                // Others are for the templates to include.
                .filter(|name| is_name(name));
            if let Some(name) = name {
                let has = |ending| files.contains_key(&format!("{name}{ending}"));
                if !has(SUBJECT) || !has(BODY) {
                    return Err(TemplatesError::Incomplete(name.to_owned()));
                }
                names.insert(name.to_owned(), has(HTML));
            }
        }
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        for (name, text) in files {
            environment
                .add_template_owned(name.clone(), text)
                .map_err(|source| TemplatesError::Parse { name, source })?;
        }
        Ok(Self { environment, names })
    }

    /// The message that a template makes of the data.
    pub fn render(&self, name: &str, data: &Map<String, Value>) -> Result<Rendered, RenderError> {
        let has_html = *self.names.get(name).ok_or(RenderError::Unknown)?;
        let part = |ending: &str| {
            let rendered = self
                .environment
                .get_template(&format!("{name}{ending}"))
                .and_then(|template| template.render(Serde(data)))
                // The kind, not the detail: that may quote the data.
                .map_err(|error| RenderError::Data(error.kind().to_string()))?;
            if rendered.len() > MAX_PART_BYTES {
                return Err(RenderError::TooLarge);
            }
            Ok(rendered)
        };
        let subject = part(SUBJECT)?.trim().to_owned();
        let length = subject.chars().count();
        if subject.chars().any(char::is_control) || !(1..=MAX_SUBJECT_CHARACTERS).contains(&length)
        {
            return Err(RenderError::Subject);
        }
        Ok(Rendered {
            subject,
            body: part(BODY)?,
            html: if has_html { Some(part(HTML)?) } else { None },
        })
    }
}

fn read(directory: &Path) -> Result<BTreeMap<String, String>, std::io::Error> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_file() && !name.starts_with('.') {
            files.insert(name, std::fs::read_to_string(entry.path())?);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn data(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(map) => map,
            other => panic!("{other}"),
        }
    }

    fn templates() -> Templates {
        Templates::load(None).unwrap()
    }

    #[test]
    fn values_are_escaped_in_html_only() {
        let rendered = templates()
            .render("welcome", &data(json!({ "name": "<b>Ann & Bob</b>" })))
            .unwrap();
        assert_eq!(rendered.subject, "Welcome, <b>Ann & Bob</b>");
        assert!(rendered.body.contains("<b>Ann & Bob</b>"));
        let html = rendered.html.unwrap();
        assert!(!html.contains("<b>"), "{html}");
        assert!(html.contains("&lt;b&gt;Ann &amp; Bob"), "{html}");
    }

    #[test]
    fn a_subject_cannot_begin_another_header() {
        for name in [
            "Ann\r\nBcc: x@example.com",
            "Ann\nBcc: x",
            "a\rb",
            "a\0",
            "a\u{85}b",
        ] {
            let result = templates().render("welcome", &data(json!({ "name": name })));
            assert_eq!(result, Err(RenderError::Subject), "{name:?}");
        }
    }

    #[test]
    fn what_is_missing_or_unknown_is_an_error() {
        let templates = templates();
        assert!(matches!(
            templates.render("welcome", &Map::new()),
            Err(RenderError::Data(_))
        ));
        assert_eq!(
            templates.render("nothing", &Map::new()),
            Err(RenderError::Unknown)
        );
        assert_eq!(
            templates.render("../welcome", &Map::new()),
            Err(RenderError::Unknown)
        );
    }

    #[test]
    fn templates_of_a_directory_are_bounded_and_whole() {
        let file = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        let endless = BTreeMap::from([
            file("x.subject.txt", "x"),
            file(
                "x.body.txt",
                "{% for a in range(9999) %}{% for b in range(9999) %}.{% endfor %}{% endfor %}",
            ),
        ]);
        let result = Templates::of(endless).unwrap().render("x", &Map::new());
        assert!(matches!(result, Err(RenderError::Data(_))), "{result:?}");
        let half = BTreeMap::from([file("x.subject.txt", "x")]);
        assert!(matches!(
            Templates::of(half),
            Err(TemplatesError::Incomplete(_))
        ));
        let broken = BTreeMap::from([file("x.subject.txt", "{{"), file("x.body.txt", "")]);
        assert!(matches!(
            Templates::of(broken),
            Err(TemplatesError::Parse { .. })
        ));
    }

    proptest! {
        #[test]
        fn no_data_makes_a_tag_or_a_second_line(name in "(?s).{1,60}") {
            if let Ok(rendered) = templates().render("welcome", &data(json!({ "name": name }))) {
                prop_assert!(!rendered.subject.contains(['\r', '\n']));
                let html = rendered.html.unwrap();
                let empty = "<!doctype html>\n<html><body><p>Hello ,</p><p>your account is ready.</p></body></html>";
                prop_assert_eq!(html.matches('<').count(), empty.matches('<').count());
            }
        }
    }
}
