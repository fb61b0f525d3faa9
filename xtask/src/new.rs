//! `./x new service NAME`: the beginning of a service, from `xtask/template`.

use crate::cargo;
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use testbed::binaries;
use testbed::set::members::MEMBERS;

/// After those of the set.
const FIRST_FREE_PORT: u16 = 8005;
/// The schema's name is a little longer, and has its own bound.
const LONGEST_NAME: usize = 30;

#[derive(clap::Subcommand)]
pub(crate) enum New {
    /// A service with settings, a table, routes and tests
    Service {
        /// Its crate, binary, schema, and name in metrics: letters and digits
        name: String,
        /// Where it listens
        #[arg(long, default_value_t = FIRST_FREE_PORT, value_parser = clap::value_parser!(u16).range(1..))]
        port: u16,
        /// The workspace to write it into, if not this one; for tests
        #[arg(long, hide = true)]
        workspace: Option<PathBuf>,
    },
}

/// Writes the files and says what to do next.
pub(crate) fn run(new: &New) -> Result<()> {
    let New::Service {
        name,
        port,
        workspace,
    } = new;
    let root = workspace.clone().unwrap_or_else(binaries::repository);
    ensure_free(&root, name, *port)?;
    let home = root.join("services").join(name);
    let source = binaries::repository().join("xtask/template");
    for file in template(&source)? {
        let filled = |text: &str| filled(text, name, *port);
        let text = fs::read_to_string(source.join(&file))
            .with_context(|| format!("reading the template's {}", file.display()))?;
        let path = home.join(filled(&file.to_string_lossy()));
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        fs::write(&path, filled(&text)).with_context(|| format!("writing {}", path.display()))?;
        println!("  {}", path.strip_prefix(&root).unwrap_or(&path).display());
    }
    // How long lines are depends on the name.
    cargo::run_in(&root, &["fmt", "--package", name])?;
    println!("\nIt is in the workspace. Now:\n");
    println!("  cargo test --package {name}      # needs PostgreSQL: ./x test installs it");
    println!("  cargo run --package {name} -- --settings");
    println!("\ndocs/new-service.md says how to go on.");
    Ok(())
}

fn filled(text: &str, name: &str, port: u16) -> String {
    let (first, rest) = name.split_at(1);
    text.replace("{{name}}", name)
        .replace("{{NAME}}", &name.to_uppercase())
        .replace("{{Name}}", &(first.to_uppercase() + rest))
        .replace("{{port}}", &port.to_string())
}

/// Refuses what could not be built, or whose name or port is taken.
fn ensure_free(root: &Path, name: &str, port: u16) -> Result<()> {
    let is_plain = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
        && name.len() <= LONGEST_NAME;
    ensure!(
        is_plain,
        "`{name}` will not do: write a-z and 0-9, a letter first, at most {LONGEST_NAME}"
    );
    // Those that a crate, a test or a binary cannot have.
    if [
        "core", "std", "alloc", "test", "self", "super", "crate", "build", "deps",
    ]
    .contains(&name)
    {
        bail!("`{name}` is a word of Rust or cargo; choose another name");
    }
    let lock = fs::read_to_string(root.join("Cargo.lock")).context("reading Cargo.lock")?;
    let known = format!("\nname = \"{name}\"\n");
    if lock.contains(&known) || root.join("services").join(name).exists() {
        bail!("there is a crate `{name}` already; choose another name");
    }
    if let Some(member) = MEMBERS.iter().find(|it| it.port == port || it.name == name) {
        let (name, port) = (member.name, member.port);
        bail!("`{name}` has this name or the port {port}; choose others");
    }
    Ok(())
}

/// The files of a directory and below, by their paths in it.
fn template(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut left = vec![PathBuf::new()];
    while let Some(place) = left.pop() {
        for entry in fs::read_dir(directory.join(&place))? {
            let entry = entry?;
            let path = place.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                left.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}
