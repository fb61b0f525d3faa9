//! Who may do what: services report and read, users with a role read.

use kit::Problem;
use kit::auth::Caller;

/// A service, by its key or token: its name, for what is kept apart by caller.
pub fn service(caller: &Caller) -> Result<String, Problem> {
    match caller {
        Caller::Key(key) => Ok(format!("key:{}", key.position)),
        Caller::Service(peer) => Ok(format!("service:{}", peer.service)),
        Caller::User(_) => Err(Problem::forbidden("This is for services.")),
    }
}

/// A service, or a user with the role that reads.
pub fn reader(caller: &Caller, role: &str) -> Result<(), Problem> {
    match caller {
        Caller::Key(_) | Caller::Service(_) => Ok(()),
        Caller::User(user) => user.require_role(role),
    }
}
