//! Paths with parameters.

use std::fmt;

/// The most segments of a pattern with parameters.
const SEGMENTS_MAX: usize = 32;

/// A path some of whose segments may be anything but empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    segments: Vec<Segment>,
    /// Whether it stands for all below it, too.
    below: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Parameter(String),
}

impl Template {
    pub(super) fn parse(path: &str, below: bool) -> Result<Self, String> {
        let mut segments = Vec::new();
        for text in path.split('/').skip(1) {
            let inner = text
                .strip_prefix('{')
                .and_then(|text| text.strip_suffix('}'));
            let segment = match inner {
                Some(name) if is_name(name) => Segment::Parameter(name.to_owned()),
                None if !text.contains(['{', '}']) => Segment::Literal(text.to_owned()),
                _ => {
                    return Err("a parameter is a whole segment, as /{id}, \
                                of letters, digits and _"
                        .to_owned());
                }
            };
            let twice = matches!(segment, Segment::Parameter(_)) && segments.contains(&segment);
            if twice {
                return Err(format!("it has {text} twice"));
            }
            segments.push(segment);
        }
        if segments.len() > SEGMENTS_MAX {
            return Err(format!("it has more than {SEGMENTS_MAX} segments"));
        }
        Ok(Self { segments, below })
    }

    pub(super) fn below(&self) -> bool {
        self.below
    }

    /// Its segments, `None` where one is a parameter.
    pub(super) fn literals(&self) -> impl Iterator<Item = Option<&str>> {
        self.segments.iter().map(|segment| match segment {
            Segment::Literal(own) => Some(own.as_str()),
            Segment::Parameter(_) => None,
        })
    }

    pub(super) fn has_parameter(&self, name: &str) -> bool {
        let wanted = |segment: &Segment| matches!(segment, Segment::Parameter(own) if own == name);
        self.segments.iter().any(wanted)
    }

    pub(super) fn matches(&self, path: &str) -> bool {
        let mut given = path.split('/').skip(1);
        let fits = self.segments.iter().all(|segment| {
            given.next().is_some_and(|text| match segment {
                Segment::Literal(own) => text == own,
                Segment::Parameter(_) => !text.is_empty(),
            })
        });
        path.starts_with('/') && fits && (self.below || given.next().is_none())
    }

    pub(super) fn parameter<'a>(&self, path: &'a str, name: &str) -> Option<&'a str> {
        if !self.matches(path) {
            return None;
        }
        let wanted = |segment: &Segment| matches!(segment, Segment::Parameter(own) if own == name);
        let at = self.segments.iter().position(wanted)?;
        path.split('/').nth(at + 1)
    }

    pub(super) fn literal_prefix(&self) -> String {
        self.segments
            .iter()
            .map_while(|segment| match segment {
                Segment::Literal(own) => Some(format!("/{own}")),
                Segment::Parameter(_) => None,
            })
            .collect()
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in &self.segments {
            match segment {
                Segment::Literal(own) => write!(f, "/{own}")?,
                Segment::Parameter(name) => write!(f, "/{{{name}}}")?,
            }
        }
        f.write_str(if self.below { "/*" } else { "" })
    }
}
