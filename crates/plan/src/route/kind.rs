//! Whether requests read or write.

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

/// What the requests of a route are taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KindRule {
    /// What their methods say.
    #[default]
    ByMethod,
    /// All the same: a `POST` that only searches, a `GET` that changes data.
    Always(MethodKind),
    /// Reads, as far as the data that move are concerned, with an effect of
    /// their own: a login. They go where reads go, and are not sent again.
    ReadsOnce,
}
