//! Patterns of paths.

mod template;

use std::{
    cmp::{Ordering, Reverse},
    fmt,
};
use template::Template;

/// `/x`, `/x/*`, `/x/{id}` or `/x/{id}/*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathPattern {
    /// Exactly this path.
    Exact(String),
    /// This path and all below it: `/x/*` matches `/x`, `/x/` and `/x/y`,
    /// never `/xy`. Without the trailing `/*`.
    Below(String),
    /// Whatever begins with this text, as paths of Kong's do: `/x` is for `/x/y`
    /// and for `/xy`. A plan's own routes cannot say this.
    StartsWith(String),
    /// A path with parameters.
    Template(Template),
}

impl PathPattern {
    /// Everything.
    pub fn all() -> Self {
        Self::Below(String::new())
    }

    /// Parses a pattern.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("`{text}` is no path pattern: {why}");
        if !text.starts_with('/') {
            return Err(wrong("it must start with /"));
        }
        let (path, below) = match text.strip_suffix("/*") {
            Some(path) => (path, true),
            None => (text, false),
        };
        if path.contains('*') {
            return Err(wrong("* may stand only at the end, as /*"));
        }
        if path.contains(['?', '#', '%']) || path.chars().any(|c| c.is_control() || c == ' ') {
            return Err(wrong("it holds a character that a path has not"));
        }
        if path
            .split('/')
            .skip(1)
            .any(|segment| segment == "." || segment == "..")
        {
            return Err(wrong("it holds . or .."));
        }
        if path.contains(['{', '}']) {
            return Template::parse(path, below)
                .map(Self::Template)
                .map_err(|why| wrong(&why));
        }
        Ok(if below {
            Self::Below(path.to_owned())
        } else {
            Self::Exact(path.to_owned())
        })
    }

    /// Whether a path, without its query, belongs here.
    pub fn matches(&self, path: &str) -> bool {
        match self {
            Self::Exact(own) => path == own,
            Self::Below(own) => path
                .strip_prefix(own.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
            Self::StartsWith(own) => path.starts_with(own.as_str()),
            Self::Template(template) => template.matches(path),
        }
    }

    /// Whether some path belongs to both, as far as their shapes tell.
    pub fn shares_paths_with(&self, other: &Self) -> bool {
        let ((own, below), (others, others_below)) = (self.shape(), other.shape());
        let alike = own.iter().zip(&others).all(|(own, other)| {
            // A parameter may be anything.
            own.is_none() || other.is_none() || own == other
        });
        alike
            && match own.len().cmp(&others.len()) {
                Ordering::Equal => true,
                Ordering::Less => below,
                Ordering::Greater => others_below,
            }
    }

    /// Its segments, `None` where one may be anything, and whether it stands
    /// for all below it, too.
    fn shape(&self) -> (Vec<Option<&str>>, bool) {
        match self {
            Self::Exact(own) => (own.split('/').skip(1).map(Some).collect(), false),
            Self::Below(own) => (own.split('/').skip(1).map(Some).collect(), true),
            Self::StartsWith(own) => {
                let mut segments: Vec<_> = own.split('/').skip(1).map(Some).collect();
                // Only its beginning is known.
                segments.pop();
                segments.push(None);
                (segments, true)
            }
            Self::Template(template) => (template.literals().collect(), template.below()),
        }
    }

    /// Whether it stands for single paths only, and not for all below them.
    pub fn is_whole(&self) -> bool {
        match self {
            Self::Exact(_) => true,
            Self::Below(_) | Self::StartsWith(_) => false,
            Self::Template(template) => !template.below(),
        }
    }

    /// Whether it stands for paths that end in `/`, and only for such.
    pub fn ends_in_slash(&self) -> bool {
        let last = self.shape().0.pop();
        self.is_whole() && last == Some(Some("")) && *self != Self::Exact("/".to_owned())
    }

    /// What stands in a path at a parameter; `None` where the pattern has no
    /// such one, or does not match. A `/` at the end makes no difference.
    pub fn parameter<'a>(&self, path: &'a str, name: &str) -> Option<&'a str> {
        let Self::Template(template) = self else {
            return None;
        };
        let shorter = || template.parameter(path.strip_suffix('/')?, name);
        template.parameter(path, name).or_else(shorter)
    }

    /// Whether it has a parameter of this name.
    pub fn has_parameter(&self, name: &str) -> bool {
        matches!(self, Self::Template(template) if template.has_parameter(name))
    }

    /// The beginning that every path of the pattern has: where a route strips
    /// its own path, this much of it goes.
    pub fn literal_prefix(&self) -> String {
        match self {
            Self::Exact(own) | Self::Below(own) | Self::StartsWith(own) => own.clone(),
            Self::Template(template) => template.literal_prefix(),
        }
    }

    /// Orders the more specific one first. Of two patterns that match the
    /// same path the first is the one that says more about it: from left to
    /// right, a literal segment before the beginning of one (the longer one
    /// first), before a parameter, before "all below", and the path itself before
    /// all below it.
    pub fn by_specificity(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }

    fn rank(&self) -> Vec<Rank> {
        let (segments, below) = self.shape();
        let rank = |segment: Option<&str>| segment.map_or(Rank::Parameter, |_| Rank::Literal);
        let mut ranks: Vec<Rank> = segments.into_iter().map(rank).collect();
        if let Self::StartsWith(own) = self {
            ranks.pop();
            let begun = own.rsplit('/').next().map_or(0, str::len);
            ranks.push(Rank::Begun(Reverse(begun)));
        }
        ranks.push(if below { Rank::Below } else { Rank::End });
        ranks
    }
}

/// How much a part of a pattern says; what says more comes first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Literal,
    /// So many bytes of a segment.
    Begun(Reverse<usize>),
    Parameter,
    End,
    Below,
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(path) => f.write_str(path),
            Self::Below(path) => write!(f, "{path}/*"),
            Self::StartsWith(path) => write!(f, "{path}*"),
            Self::Template(template) => template.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_share_paths_or_do_not() {
        let shares = |one: &str, other: &str| {
            let (one, other) = (
                PathPattern::parse(one).unwrap(),
                PathPattern::parse(other).unwrap(),
            );
            assert_eq!(one.shares_paths_with(&other), other.shares_paths_with(&one));
            one.shares_paths_with(&other)
        };
        for (one, other) in [
            ("/a", "/a"),
            ("/a/*", "/a"),
            ("/a/*", "/a/b/c"),
            ("/{t}/rpc", "/x/rpc"),
            ("/*", "/a"),
        ] {
            assert!(shares(one, other), "{one} {other}");
        }
        for (one, other) in [
            ("/a", "/b"),
            ("/a", "/a/b"),
            ("/a/*", "/ab"),
            ("/{t}/rpc", "/graphql"),
            ("/{t}/rpc", "/x/y"),
        ] {
            assert!(!shares(one, other), "{one} {other}");
        }
    }

    fn pattern(text: &str) -> PathPattern {
        PathPattern::parse(text).unwrap()
    }

    #[test]
    fn parameters_stand_for_one_segment() {
        let one = pattern("/t/{tenant}/items/{id}");
        assert!(one.matches("/t/a/items/7"));
        for no in [
            "/t/a/items",
            "/t//items/7",
            "/t/a/items/7/",
            "/t/a/things/7",
        ] {
            assert!(!one.matches(no), "{no}");
        }
        assert_eq!(one.parameter("/t/a/items/7", "tenant"), Some("a"));
        assert_eq!(one.parameter("/t/a/items/7", "id"), Some("7"));
        assert_eq!(one.parameter("/t/a/items/7", "x"), None);
        assert_eq!(one.parameter("/t/a/items/7/", "id"), Some("7"));
        assert_eq!(one.parameter("/t/a/items/7//", "id"), None);
        let all = pattern("/t/{tenant}/*");
        assert!(all.matches("/t/a") && all.matches("/t/a/b/c") && !all.matches("/t"));
        assert_eq!(all.to_string(), "/t/{tenant}/*");
        assert_eq!(all.literal_prefix(), "/t");
    }

    #[test]
    fn a_pattern_says_what_its_paths_end_in() {
        for (text, is_whole, ends_in_slash) in [
            ("/", true, false),
            ("/a", true, false),
            ("/a/", true, true),
            ("/a/*", false, false),
            ("/{a}", true, false),
            ("/{a}/", true, true),
            ("/{a}/*", false, false),
        ] {
            let one = pattern(text);
            assert_eq!(
                (one.is_whole(), one.ends_in_slash()),
                (is_whole, ends_in_slash),
                "{text}"
            );
        }
    }

    #[test]
    fn the_longer_beginning_comes_first() {
        let begins = |text: &str| PathPattern::StartsWith(text.to_owned());
        let mut patterns = [
            PathPattern::all(),
            pattern("/{x}"),
            begins("/a"),
            begins("/api/"),
            pattern("/api/*"),
            begins("/api/users"),
            begins("/api/user"),
            pattern("/api/users/7"),
            begins("/api"),
        ];
        patterns.sort_by(PathPattern::by_specificity);
        let first = |path: &str| {
            let found = patterns.iter().find(|pattern| pattern.matches(path));
            found.map(ToString::to_string)
        };
        for (path, wanted) in [
            ("/api/users/7", "/api/users/7"),
            ("/api/usersx", "/api/users*"),
            ("/api/users", "/api/users*"),
            ("/api/user/7", "/api/user*"),
            ("/api/x", "/api/*"),
            ("/apix", "/api*"),
            ("/ab", "/a*"),
            ("/b", "/{x}"),
            ("/b/c", "/*"),
        ] {
            assert_eq!(first(path).as_deref(), Some(wanted), "{path}");
        }
        assert!(begins("/api/us").shares_paths_with(&pattern("/api/users")));
        assert!(!begins("/api/us").shares_paths_with(&pattern("/api")));
    }

    #[test]
    fn bad_parameters_are_refused() {
        for bad in ["/a{b}", "/{}", "/{a-b}", "/{a}/{a}", "/{a", "/a}"] {
            assert!(PathPattern::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_more_specific_one_comes_first() {
        let mut patterns = [
            "/*", "/a/*", "/a/{x}/*", "/{x}", "/a", "/a/b/*", "/a/{x}", "/a/b",
        ]
        .map(pattern);
        patterns.sort_by(PathPattern::by_specificity);
        let first = |path: &str| {
            let found = patterns.iter().find(|pattern| pattern.matches(path));
            found.map(ToString::to_string)
        };
        assert_eq!(first("/a").as_deref(), Some("/a"));
        assert_eq!(first("/a/b").as_deref(), Some("/a/b"));
        assert_eq!(first("/a/b/c").as_deref(), Some("/a/b/*"));
        assert_eq!(first("/a/c").as_deref(), Some("/a/{x}"));
        assert_eq!(first("/a/c/d").as_deref(), Some("/a/{x}/*"));
        assert_eq!(first("/c").as_deref(), Some("/{x}"));
        assert_eq!(first("/c/d").as_deref(), Some("/*"));
    }
}
