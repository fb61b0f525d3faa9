//! The page of findings stands in the documentation as it is generated.

use anyhow::Result;
use protocol::finding::page;
use std::path::Path;
use testbed::document;

#[test]
fn the_page_of_findings_is_what_is_generated() -> Result<()> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/findings.md");
    document::hold_text(&page::markdown(), &file)
}
