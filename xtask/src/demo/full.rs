//! `./x demo --full`: three extractions that go by themselves.

use super::{keep, report};
use anyhow::{Context, Result};
use std::path::Path;
use std::sync::Arc;
use testbed::migration::{self, Board, LINES, Output, Settings};

/// Contracts in the monolith before it begins.
const CONTRACTS: u64 = 10_000;

/// Whether all that was expected happened, and nothing was found.
pub(super) async fn run(
    contracts: Option<u64>,
    json: bool,
    keep: bool,
    home: &Path,
) -> Result<bool> {
    let logs = home.join("logs");
    let mut settings = Settings::demo(contracts.unwrap_or(CONTRACTS));
    settings.scene.logs = Some(logs.clone());
    let output = if json { Output::Aside } else { Output::Screen };
    let board = Arc::new(Board::new(output, &LINES));
    let ended = migration::run(&settings, &board).await;
    board.close();
    let ended = ended.with_context(|| format!("it broke off; logs: {}", logs.display()))?;
    let numbers = serde_json::to_value(&ended.report)?;
    report::show(json, home, "full.json", &numbers, &ended.report.summary())?;
    if keep {
        let running = keep::Running {
            serve: &ended.serve,
            banyan: &ended.banyan,
            plan: &ended.plan,
            scene: &ended.ground.scene,
        };
        running.until_dropped().await;
    }
    Ok(ended.report.ok)
}
