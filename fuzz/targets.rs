//! All fuzz targets in one program, which chooses by a variable:
//! `FUZZ_TARGET=guard fuzz [options of libFuzzer] [corpus ...]`.

#![no_main]

use gateway::fuzzing::{TARGETS, Target};
use std::sync::LazyLock;

// An overflow in a reader is one of the things looked for. This program is built
// with the flags of the readers.
#[cfg(not(debug_assertions))]
compile_error!("built without assertions: see xtask/src/fuzz/instrumented.sh");

static CHOSEN: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    let Some((_, target)) = TARGETS.iter().find(|(known, _)| *known == name) else {
        let known: Vec<_> = TARGETS.iter().map(|(name, _)| *name).collect();
        eprintln!("FUZZ_TARGET is `{name}`, not one of {}", known.join(", "));
        std::process::exit(2);
    };
    *target
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| CHOSEN(bytes));
