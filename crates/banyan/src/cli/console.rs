//! `banyan console`: prints where the console lets somebody in.

use super::render;
use crate::{client::Client, exit::Failure};
use schemars::JsonSchema;
use serde::Serialize;
use std::path::Path;

/// What it prints with `--json`.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Report {
    /// Lets in once, for a short while.
    pub(super) address: String,
}

pub(super) async fn run(state: &Path, by: Option<String>, json: bool) -> Result<(), Failure> {
    let address = Client::find(state)?.console(by).await?;
    if json {
        return render::json(&Report { address });
    }
    // Alone on its line, also for a script.
    say!("{address}");
    Ok(())
}
