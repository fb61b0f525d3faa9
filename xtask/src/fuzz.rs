//! `./x fuzz`: the targets in `fuzz/`, for some seconds each.
//!
//! Inputs are kept as cargo-fuzz keeps them, but cargo-fuzz wants a nightly
//! toolchain, for sanitizers. Without `unsafe` there is nothing for those to
//! find, and the coverage that libFuzzer steers by is to be had from a stable
//! compiler, too.
//!
//! Only our crates are instrumented, by a wrapper around the compiler. What they
//! stand on is the same as in all other builds, and so built already.

use anyhow::{Context, Result, bail};
use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    num::NonZero,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};
use testbed::binaries;

/// What stands in front of the compiler.
const INSTRUMENTED: &str = include_str!("fuzz/instrumented.sh");

/// The program that holds all targets, and the variable that chooses one.
const PROGRAM: &str = "fuzz";
const CHOICE: &str = "FUZZ_TARGET";

/// One input may take so long, and be so large.
const INPUT_SECONDS: u32 = 5;
const INPUT_BYTES: u32 = 8192;

/// Builds the targets and lets each run, as many at once as there are
/// processors, from the inputs in `fuzz/corpus`. New ones that reach new code are
/// kept in `fuzz/found` for the next run, one that breaks a reader in
/// `fuzz/artifacts`.
pub(crate) fn run(seconds: u32) -> Result<()> {
    let directory = binaries::repository().join("fuzz");
    let program = build()?;
    let targets = targets(&directory)?;
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    let work = || {
        while let Some(target) = targets.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(error) = fuzz(&program, &directory, target, seconds) {
                failed
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(error);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, NonZero::get) {
            scope.spawn(work);
        }
    });
    let mut failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    // All were run; the first is told whole.
    failed.reverse();
    failed.pop().map_or(Ok(()), Err)
}

/// Their names: each has a corpus, which a test of the gateway holds.
fn targets(directory: &Path) -> Result<Vec<String>> {
    let corpora = fs::read_dir(directory.join("corpus")).context("reading the corpora")?;
    let names = corpora.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let mut names: Vec<String> = names.collect::<Result<_>>()?;
    names.sort();
    Ok(names)
}

/// Builds the program and says where it is.
fn build() -> Result<PathBuf> {
    println!("Building the fuzz targets.");
    let target = binaries::target()?;
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(program)
        // The whole workspace, for its features; of it, what one program needs.
        .args(["build", "--workspace", "--example", PROGRAM])
        .args(["--features", "fuzz/libfuzzer"])
        .current_dir(binaries::repository())
        .env("RUSTC_WORKSPACE_WRAPPER", wrapper(&target)?)
        .env("CARGO_INCREMENTAL", "0")
        .status()
        .context("running cargo")?;
    if !status.success() {
        bail!("the fuzz targets do not build");
    }
    Ok(target.join("debug/examples").join(PROGRAM))
}

/// Writes the wrapper, whose path cargo tells builds apart by: so it changes with
/// what the wrapper does.
fn wrapper(target: &Path) -> Result<PathBuf> {
    let mut hasher = DefaultHasher::new();
    INSTRUMENTED.hash(&mut hasher);
    let path = target.join(format!("instrumented-{:016x}.sh", hasher.finish()));
    if !path.exists() {
        let new = path.with_extension("new");
        fs::write(&new, INSTRUMENTED).context("writing the compiler's wrapper")?;
        fs::set_permissions(&new, fs::Permissions::from_mode(0o755))?;
        fs::rename(&new, &path)?;
    }
    Ok(path)
}

fn fuzz(program: &Path, directory: &Path, target: &str, seconds: u32) -> Result<()> {
    let artifacts = directory.join("artifacts").join(target);
    let found = directory.join("found").join(target);
    for place in [&artifacts, &found] {
        fs::create_dir_all(place).context("making a place for what is found")?;
    }
    let output = Command::new(program)
        .env(CHOICE, target)
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
