//! What somebody may do.

use serde::Deserialize;

/// What somebody may do, as the API says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// Reads.
    Viewer,
    /// Orders every verb.
    Operator,
    /// Approves, too.
    Approver,
}

impl Role {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Approver => "approver",
        }
    }

    /// Why it is not enough for what needs another one.
    pub(crate) fn lacks(self, needed: Self) -> Option<String> {
        (self < needed).then(|| {
            format!(
                "Needs the role {}; yours is {}.",
                needed.as_str(),
                self.as_str()
            )
        })
    }
}
