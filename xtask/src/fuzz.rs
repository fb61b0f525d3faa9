//! `./x fuzz`: the targets in `fuzz/`, for some seconds each.
//!
//! They are in cargo-fuzz's layout, but cargo-fuzz wants a nightly toolchain,
//! for sanitizers. Without `unsafe` there is nothing for those to find, and the
//! coverage that libFuzzer steers by is to be had from a stable compiler, too.

use anyhow::{Context, Result, bail};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Readers of outside input, by the names of their targets.
const TARGETS: [&str; 12] = [
    "guard",
    "answer",
    "target",
    "key",
    "head",
    "operation",
    "plan",
    "proxy",
    "trace",
    "token",
    "keys",
    "kong",
];

/// What libFuzzer needs to see in the code.
const COVERAGE: &str = "-Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares \
    -Ccodegen-units=1 --cfg fuzzing";

/// One input may take so long, and be so large.
const INPUT_SECONDS: u32 = 5;
const INPUT_BYTES: u32 = 8192;

/// Builds the targets and lets each run, from the inputs in `fuzz/corpus`. New
/// ones that reach new code are kept in `fuzz/found` for the next run, one that
/// breaks a reader in `fuzz/artifacts`.
pub(crate) fn run(seconds: u32) -> Result<()> {
    let directory = testbed::binaries::repository().join("fuzz");
    let host = host()?;
    build(&directory, &host)?;
    for target in TARGETS {
        fuzz(&directory, &host, target, seconds)?;
    }
    Ok(())
}

/// The machine's name, as the compiler writes it.
fn host() -> Result<String> {
    let output = Command::new("rustc").arg("-vV").output();
    let output = output.context("asking rustc for its version")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned)
        .context("rustc does not say its host")
}

fn build(directory: &Path, host: &str) -> Result<()> {
    println!("Building the fuzz targets; the first time takes some minutes.");
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(program)
        // With a target, the flags are not for build scripts.
        .args(["build", "--release", "--target", host])
        .current_dir(directory)
        .env("CARGO_TARGET_DIR", directory.join("target"))
        .env("RUSTFLAGS", COVERAGE)
        .status()
        .context("running cargo")?;
    if !status.success() {
        bail!("the fuzz targets do not build");
    }
    Ok(())
}

fn fuzz(directory: &Path, host: &str, target: &str, seconds: u32) -> Result<()> {
    let binary: PathBuf = [host, "release", target].iter().collect();
    let artifacts = directory.join("artifacts").join(target);
    let found = directory.join("found").join(target);
    for place in [&artifacts, &found] {
        fs::create_dir_all(place).context("making a place for what is found")?;
    }
    let output = Command::new(directory.join("target").join(binary))
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-timeout={INPUT_SECONDS}"))
        .arg(format!("-max_len={INPUT_BYTES}"))
        .args(["-verbosity=0", "-print_final_stats=1"])
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        // What is new goes into the first.
        .args([&found, &directory.join("corpus").join(target)])
        .output()
        .with_context(|| format!("starting the fuzz target `{target}`"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!(
            "{said}\n`{target}` broke; the input is in {}. Put it into fuzz/corpus/{target} and \
             mend the reader: the tests replay it",
            artifacts.display()
        );
    }
    let inputs = statistic(&said, "number_of_executed_units")?;
    let new = statistic(&said, "new_units_added")?;
    println!("{target:>10}: {inputs} inputs in {seconds} s, {new} of them new");
    Ok(())
}

/// A number of those that libFuzzer ends with.
fn statistic(said: &str, name: &str) -> Result<u64> {
    let line = said.lines().find_map(|line| {
        let (key, value) = line.strip_prefix("stat::")?.split_once(':')?;
        (key == name).then(|| value.trim().parse())
    });
    let number = line.with_context(|| format!("libFuzzer does not say its {name}"))?;
    number.with_context(|| format!("reading libFuzzer's {name}"))
}
