//! What the operators write.

use plan::{FileLoader, ParseContext, Plan, PlanError};
use std::{io, path::Path};

/// A plan that asks for a file of Kong's.
const WITH_KONG: &str = r#"monolith: { url: "http://127.0.0.1:8000", database: "postgres://u:p@127.0.0.1/m" }
services: {}
gateway: { listen: "127.0.0.1:8080", kong: kong.yml }
extractions: {}
"#;

/// No plan makes the parser panic, and every error says something.
pub fn plan(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        judged(&Plan::parse(text, |name| Some(name.to_lowercase())));
    }
}

/// Nor does a file of Kong's.
pub fn kong(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let reader = |path: &Path| {
        if path.ends_with("kong.yml") {
            Ok(text.to_owned())
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    };
    let environment = |name: &str| Some(name.to_lowercase());
    let context = ParseContext {
        files: FileLoader::new("/team", &reader),
        ..ParseContext::new(&environment)
    };
    judged(&Plan::parse_with(WITH_KONG, &context));
}

fn judged(plan: &Result<Plan, PlanError>) {
    if let Err(error) = plan {
        assert!(!error.to_string().is_empty());
    }
}
