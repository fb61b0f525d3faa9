//! Which requests an extraction owns.

/// A set of requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Paths.
    pub path: PathPattern,
    /// Methods, upper case; `None` is all.
    pub methods: Option<Vec<String>>,
    /// Host without port, lower case; `None` is all.
    pub host: Option<String>,
}

impl Route {
    /// Whether a request belongs here. `path` is without its query, `host`
    /// lower case and without its port.
    pub fn matches(&self, method: &str, host: Option<&str>, path: &str) -> bool {
        self.path.matches(path)
            && self
                .methods
                .as_ref()
                .is_none_or(|all| all.iter().any(|one| one == method))
            && self
                .host
                .as_deref()
                .is_none_or(|wanted| host == Some(wanted))
    }
}

/// `/x` or `/x/*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathPattern {
    /// Exactly this path.
    Exact(String),
    /// This path and all below it: `/x/*` matches `/x`, `/x/` and `/x/y`,
    /// never `/xy`. Without the trailing `/*`.
    Below(String),
}

impl PathPattern {
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
        }
    }
}

impl std::fmt::Display for PathPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exact(path) => f.write_str(path),
            Self::Below(path) => write!(f, "{path}/*"),
        }
    }
}

/// Whether a request may change data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MethodKind {
    /// Safe by RFC 9110, 9.2.1: GET, HEAD, OPTIONS, TRACE.
    Read,
    /// Everything else.
    Write,
}

impl MethodKind {
    /// The kind of a method. Unknown methods are writes.
    pub fn of(method: &str) -> Self {
        match method {
            "GET" | "HEAD" | "OPTIONS" | "TRACE" => Self::Read,
            _ => Self::Write,
        }
    }
}
