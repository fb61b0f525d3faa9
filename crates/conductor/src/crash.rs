//! Places where a test can have the process die: after an effect was carried
//! out and before it was written down, which is the worst moment for each.
//!
//! Only in builds with debug assertions; a release build has none of it.

/// The variable that names the place.
#[cfg(debug_assertions)]
const VARIABLE: &str = "BANYAN_CRASH_AT";

/// Dies here if the environment says so.
#[cfg(debug_assertions)]
pub(crate) fn point(name: &str) {
    if std::env::var(VARIABLE).is_ok_and(|wanted| wanted == name) {
        tracing::error!(place = name, "dying as the environment asked");
        std::process::abort();
    }
}

/// Nothing.
#[cfg(not(debug_assertions))]
pub(crate) fn point(_name: &str) {}
