//! What somebody may do.

pub(crate) use conductor::api::Role;

/// Why a role is not enough for what needs another one.
pub(crate) fn lacks(role: Role, needed: Role) -> Option<String> {
    (role < needed).then(|| format!("Needs the role {needed}; yours is {role}."))
}
