//! What the workspace is made of: its packages, and the sources of our crates.

use crate::module_tree::{ModuleTree, Sources};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

/// Every package of the workspace by name, as `cargo metadata` tells.
pub(crate) fn packages() -> BTreeMap<String, Value> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--format-version",
            "1",
            "--offline",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo answers in JSON");
    let packages = metadata["packages"].as_array().expect("there are packages");
    packages
        .iter()
        .map(|package| {
            (
                package["name"].as_str().unwrap_or_default().to_owned(),
                package.clone(),
            )
        })
        .collect()
}

/// The directory of a package.
pub(crate) fn directory(package: &Value) -> PathBuf {
    let manifest = Path::new(package["manifest_path"].as_str().unwrap_or_default());
    manifest.parent().map(Path::to_path_buf).unwrap_or_default()
}

/// A crate of ours, with what its `src` holds outside tests.
pub(crate) struct Crate {
    pub(crate) name: String,
    /// One for each of `lib.rs` and `main.rs` that there is.
    pub(crate) roots: Vec<ModuleTree>,
}

/// All crates that have a `src`.
pub(crate) fn crates() -> Vec<Crate> {
    let crates = packages().into_iter().map(|(name, package)| {
        let sources = Directory(directory(&package).join("src"));
        let roots = ["lib.rs", "main.rs"]
            .into_iter()
            .filter(|root| sources.text(root).is_some())
            .map(|root| ModuleTree::read(root, &sources))
            .collect();
        Crate { name, roots }
    });
    crates.filter(|found| !found.roots.is_empty()).collect()
}

/// Sources on disk.
struct Directory(PathBuf);

impl Sources for Directory {
    fn text(&self, file: &str) -> Option<String> {
        std::fs::read_to_string(self.0.join(file)).ok()
    }
}
