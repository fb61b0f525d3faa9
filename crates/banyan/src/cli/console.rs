//! `banyan console`: prints where the console lets somebody in.

use super::render;
use crate::{client::Client, exit::Failure};
use std::path::Path;

pub(super) async fn run(state: &Path, by: Option<String>, json: bool) -> Result<(), Failure> {
    let address = Client::find(state)?.console(by).await?;
    if json {
        return render::json(&serde_json::json!({ "address": address }));
    }
    // Alone on its line, also for a script.
    say!("{address}");
    Ok(())
}
