//! Who is declared to write tables that move.

use std::fmt;

/// An `application_name`, in which `*` is any text: a driver may put a process's
/// number into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriterPattern(String);

impl WriterPattern {
    /// Checks and takes a pattern. One of nothing but `*` would declare everybody, who
    /// gives no name, too.
    pub fn new(text: String) -> Result<Self, String> {
        if !text.is_empty() && text.bytes().all(|byte| byte == b'*') {
            return Err(format!(
                "`{text}` would declare every writer, so that nobody would be found"
            ));
        }
        Ok(Self(text))
    }

    /// Whether a session of this name is declared by it.
    pub fn matches(&self, application: &str) -> bool {
        let Some((first, rest)) = self.0.split_once('*') else {
            return self.0 == application;
        };
        let Some(mut left) = application.strip_prefix(first) else {
            return false;
        };
        let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
        for part in middle.split('*') {
            match left.split_once(part) {
                Some((_, after)) => left = after,
                None => return false,
            }
        }
        left.ends_with(last)
    }

    /// Whether one of them declares a session of this name.
    pub fn any(patterns: &[Self], application: &str) -> bool {
        patterns.iter().any(|pattern| pattern.matches(application))
    }
}

impl fmt::Display for WriterPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_text() {
        let puma = "puma: cluster worker 0: 2508 [shop]";
        for (pattern, name, matches) in [
            ("web", "web", true),
            ("web", "web2", false),
            ("puma: *", puma, true),
            ("puma: * [shop]", puma, true),
            ("puma: * [other]", puma, false),
            ("*[shop]", puma, true),
            ("*worker*25*[shop]", puma, true),
            ("*25*worker*", puma, false),
            ("puma: *", "sidekiq", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("", "", true),
        ] {
            let pattern = WriterPattern::new(pattern.to_owned()).unwrap();
            assert_eq!(pattern.matches(name), matches, "{pattern} {name}");
        }
        assert!(WriterPattern::new("**".to_owned()).is_err());
    }
}
