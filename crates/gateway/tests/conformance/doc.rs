//! What `docs/gateway.md` says.

use crate::row::Choice;
use std::{fs, path::Path, sync::LazyLock};

static TEXT: LazyLock<String> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = fs::read_to_string(root.join("docs/gateway.md")).unwrap();
    let lines = text.lines().map(|line| {
        if line.starts_with("## ") {
            format!("\n{line}\n")
        } else {
            format!("{line} ")
        }
    });
    lines.collect()
});

/// Whether a section with this heading has these words.
pub fn says(choice: Choice) -> bool {
    let heading = format!("\n## {}\n", choice.section);
    let below = TEXT.split_once(&heading).map(|(_, below)| below);
    let section = below.and_then(|below| below.split("\n## ").next());
    section.is_some_and(|section| words(section).contains(&words(choice.says)))
}

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
