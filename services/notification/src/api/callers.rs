//! Who may do what: services all, users what is theirs.

use kit::Problem;
use kit::auth::Caller;

use crate::message::is_user;

/// A service, by its key or token: its name, for what is kept apart by caller.
pub fn service(caller: &Caller) -> Result<String, Problem> {
    match caller {
        Caller::Key(key) => Ok(format!("key:{}", key.position)),
        Caller::Service(peer) => Ok(format!("service:{}", peer.service)),
        Caller::User(_) => Err(Problem::forbidden("This is for services.")),
    }
}

/// Whose things a request is about: a user's own, or those of the user that a
/// service names. `pointer` is where it is named.
pub fn user(caller: &Caller, named: Option<String>, pointer: &str) -> Result<String, Problem> {
    match (caller, named) {
        (Caller::User(user), None) if is_user(&user.subject) => Ok(user.subject.clone()),
        (Caller::User(user), Some(named)) if user.subject == named && is_user(&named) => Ok(named),
        (Caller::User(_), _) => Err(Problem::forbidden("This is another user's.")),
        (_, Some(named)) if is_user(&named) => Ok(named),
        (_, Some(_)) => Err(Problem::invalid_field(
            pointer,
            "must be 1 to 128 visible characters of ASCII",
        )),
        (_, None) => Err(Problem::invalid_field(pointer, "is missing")),
    }
}
