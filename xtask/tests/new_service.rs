//! What `./x new service` writes can be built, is in good form, and passes its
//! own tests. In a copy of the workspace, which shares what cargo has built:
//! where a workspace is does not matter to cargo, times of files do.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows test functions, not what they call"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use testbed::binaries;
use testbed::process::{self, Finished, Spec};

/// Only the new service is built, unless somebody else builds, too.
const BUILD_LIMIT: Duration = Duration::from_mins(5);

/// What cargo and the template need.
const COPIED: [&str; 7] = [
    "Cargo.toml",
    "Cargo.lock",
    "rustfmt.toml",
    "clippy.toml",
    "crates",
    "services",
    "xtask",
];

async fn copy() -> PathBuf {
    let home = binaries::target().unwrap().join("new-service");
    if home.exists() {
        fs::remove_dir_all(&home).unwrap();
    }
    for directory in ["tests/cases", "fuzz"] {
        fs::create_dir_all(home.join(directory)).unwrap();
    }
    let root = binaries::repository();
    // With the times of files, by which cargo sees what has changed.
    let sources = COPIED.iter().map(|name| root.join(name));
    let spec = Spec::new("cp", "cp")
        .args(["-a", "--"])
        .args(sources)
        .arg(&home);
    run(spec).await.successful().unwrap();
    for file in [
        "tests/Cargo.toml",
        "tests/cases/main.rs",
        "fuzz/Cargo.toml",
        "fuzz/targets.rs",
    ] {
        let (from, to) = (root.join(file), home.join(file));
        let spec = Spec::new("cp", "cp").args(["-a", "--"]).arg(from).arg(to);
        run(spec).await.successful().unwrap();
    }
    home
}

async fn run(spec: Spec) -> Finished {
    process::run(&spec, BUILD_LIMIT).await.unwrap()
}

/// Cargo in the copy, with this workspace's target directory.
fn cargo(home: &Path, arguments: &[&str]) -> Spec {
    Spec::new("cargo", env!("CARGO"))
        .args(arguments)
        .directory(home)
        .env("CARGO_TARGET_DIR", binaries::target().unwrap())
        .env("CARGO_NET_OFFLINE", "true")
}

async fn new_service(home: &Path, arguments: &[&str]) -> Finished {
    let spec = Spec::new("x", env!("CARGO_BIN_EXE_xtask"))
        .args(["new", "service"])
        .args(arguments)
        .arg("--workspace")
        .arg(home);
    run(spec).await
}

#[tokio::test]
async fn a_new_service_is_built_and_passes_its_tests() {
    let home = copy().await;
    let made = new_service(&home, &["parcels", "--port", "8123"]).await;
    let made = made.successful().unwrap();
    assert!(
        made.stdout.contains("services/parcels/src/main.rs"),
        "{}",
        made.stdout
    );

    let format = cargo(&home, &["fmt", "--package", "parcels", "--check"]);
    run(format).await.successful().unwrap();
    // With the features of the whole workspace, as all tests are built: without
    // `--workspace` other people's crates would be built anew with fewer.
    let test = cargo(&home, &["test", "--workspace", "--test", "parcels"]);
    let tested = run(test).await.successful().unwrap();
    assert!(tested.stdout.contains("3 passed"), "{}", tested.stdout);
    let program = binaries::target().unwrap().join("debug/parcels");
    let settings = Spec::new("parcels", program).arg("--settings");
    let settings = run(settings).await.successful().unwrap();
    for row in [
        "| `SERVICE_PORT` | `8123` |",
        "| `PARCELS_NOTE_LENGTH` | `1000` |",
    ] {
        assert!(settings.stdout.contains(row), "{}", settings.stdout);
    }

    // Nobody's place is taken, and what could not be built is not written.
    for (arguments, reason) in [
        (&["parcels"][..], "there is a crate"),
        (&["serde"], "there is a crate"),
        (&["Parcels"], "will not do"),
        (&["../x"], "will not do"),
        (&["test"], "a word of Rust"),
        (&["plots", "--port", "8001"], "the port 8001"),
    ] {
        let refused = new_service(&home, arguments).await;
        assert_eq!(refused.code, 1, "{arguments:?}");
        assert!(refused.stderr.contains(reason), "{}", refused.stderr);
    }
    let services = fs::read_dir(home.join("services")).unwrap().count();
    let before = fs::read_dir(binaries::repository().join("services"))
        .unwrap()
        .count();
    assert_eq!(services, before + 1);
}
