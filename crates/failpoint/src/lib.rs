//! Failpoints: named points at which a test has the process die, such as after
//! an effect was carried out and before it was written down.
//!
//! Only in builds with debug assertions; a release build has none of it. A point
//! is one call of [`hit`]; `tests/cases/failpoint.rs` starts a process that dies
//! at it. Why this is not the crate `fail`: docs/decisions/0009-failpoints.md.

/// The variable of the environment that names the point.
#[cfg(debug_assertions)]
const VARIABLE: &str = "BANYAN_FAILPOINT";

/// Aborts the process if the environment names this point.
#[cfg(debug_assertions)]
pub fn hit(name: &str) {
    if std::env::var(VARIABLE).is_ok_and(|wanted| wanted == name) {
        tracing::error!(failpoint = name, "dying as the environment asked");
        std::process::abort();
    }
}

/// Does nothing in a release build.
#[cfg(not(debug_assertions))]
pub fn hit(_name: &str) {}
