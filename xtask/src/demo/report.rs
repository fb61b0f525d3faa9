//! What is left of a demo when it has ended.

use anyhow::{Context, Result};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// Writes the report into a file of that name, and prints it, or what it says to people.
pub(super) fn show(
    json: bool,
    home: &Path,
    name: &str,
    report: &Value,
    summary: &str,
) -> Result<()> {
    let path = home.join(name);
    let text = serde_json::to_string_pretty(report)? + "\n";
    fs::write(&path, &text).with_context(|| format!("writing {}", path.display()))?;
    if json {
        print!("{text}");
        return Ok(());
    }
    println!("\n{summary}");
    println!("report: {}", path.display());
    println!("logs:   {}", home.join("logs").display());
    Ok(())
}
