//! The published schemas of what is printed.

use conductor::schema::Document;
use std::path::Path;

/// `UPDATE_REFERENCE=1` writes them.
#[test]
fn the_schemas_in_docs_are_this_versions() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/schemas");
    for document in Document::ALL {
        let name = document.name();
        let path = directory.join(format!("{name}.json"));
        let made = serde_json::to_string_pretty(&document.json_schema()).unwrap() + "\n";
        if std::env::var_os("UPDATE_REFERENCE").is_some() {
            std::fs::write(&path, &made).unwrap();
        }
        let there = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            there == made,
            "docs/reference/schemas/{name}.json is not what `banyan schema --of {name}` prints: \
             write it anew with UPDATE_REFERENCE=1"
        );
        assert_eq!(Document::named(name), Some(document));
    }
}
