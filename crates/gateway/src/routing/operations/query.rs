//! What a request asks for.

/// The most operations of one request. Above it a client can send two.
pub(crate) const OPERATIONS_MAX: usize = 1_000;

/// One thing that a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Operation {
    /// `None`: it has no name, so that no route owns it.
    pub(crate) name: Option<String>,
    pub(crate) effect: Effect,
}

/// Whether it changes data, as far as the request itself says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// The route knows.
    AsTheRouteSays,
    Reads,
    Writes,
}

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OperationQuery {
    /// These; none where it names nothing.
    These(Vec<Operation>),
    /// It does not say: a stored document, an upgraded connection.
    Anything,
}
