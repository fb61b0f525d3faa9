//! The explanations as text: one for a terminal, all as a page.

use super::explanation::{Explanation, GROUPS};
use std::fmt::Write as _;

const HEAD: &str = "# Findings

What `banyan check` can find, by id. `banyan check --explain BN-012` prints one of these;
`--json` has the ids, `--sql` what is to be run. This page is generated from `crates/protocol/src/finding/explanation/`.
";

/// All of them as a Markdown page.
pub fn markdown() -> String {
    let mut page = HEAD.to_owned();
    for (heading, group) in GROUPS {
        let _ = write!(page, "\n## {heading}\n");
        for one in *group {
            // As it is found from where the page is.
            let from_root = !one.source.starts_with("http");
            let up = if from_root { "../../" } else { "" };
            let _ = write!(
                page,
                "\n### {}: {}\n\n{}\n\n**Mend it**: {}\n\nSource: {up}{}\n",
                one.id, one.title, one.why, one.mend, one.source
            );
        }
    }
    page
}

/// One of them for a terminal.
pub fn text(one: &Explanation) -> String {
    format!(
        "{}: {}\n\n{}\n\nMend it: {}\n\nSource: {}",
        one.id, one.title, one.why, one.mend, one.source
    )
}
