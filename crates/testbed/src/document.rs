//! A generated document that stands in the repository for whoever reads it
//! there: held to be what is generated now.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// Set to write documents anew instead of comparing them.
pub const UPDATE_VARIABLE: &str = "UPDATE_DOCUMENTS";

/// Compares a JSON document with the file that it stands in.
pub fn hold(generated: &Value, file: &Path) -> Result<()> {
    hold_text(
        &format!("{}\n", serde_json::to_string_pretty(generated)?),
        file,
    )
}

/// Compares a text with the file that it stands in.
pub fn hold_text(text: &str, file: &Path) -> Result<()> {
    if std::env::var_os(UPDATE_VARIABLE).is_some() {
        return fs::write(file, text).with_context(|| format!("writing {}", file.display()));
    }
    let stands = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    if stands != text {
        bail!(
            "{} is not what is generated: set {UPDATE_VARIABLE}=1 and run the test again",
            file.display()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_document_that_differs_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("document.json");
        assert!(hold(&json!({}), &file).is_err());
        fs::write(&file, "{\n  \"a\": 1\n}\n").unwrap();
        hold(&json!({ "a": 1 }), &file).unwrap();
        let error = hold(&json!({ "a": 2 }), &file).unwrap_err();
        assert!(error.to_string().contains(UPDATE_VARIABLE));
    }
}
