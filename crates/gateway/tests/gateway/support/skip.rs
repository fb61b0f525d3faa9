//! Tests that this machine cannot run.

/// Set by `./x test`, where every test is to be run.
const SKIP_NOTHING: &str = "BANYAN_SKIP_NOTHING";

/// Says why a test is not run. In CI and in `./x test` it fails instead.
pub fn skip(reason: &str) {
    for name in ["CI", SKIP_NOTHING] {
        let is_set = std::env::var_os(name).is_some_and(|value| !value.is_empty());
        assert!(
            !is_set,
            "{name} is set, so nothing may be skipped: {reason}"
        );
    }
    println!("SKIPPED: {reason}");
}
