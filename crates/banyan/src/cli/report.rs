//! `banyan report`: what the migration did, as a page to keep.

use super::commands::known;
use crate::{client::Client, exit::Failure};
use clap::{Args, ValueEnum};
use conductor::now_ms;
use report::{Report, html, markdown};
use std::{
    io::Write,
    path::{Path, PathBuf},
};

#[derive(Debug, Args)]
pub(super) struct ReportArguments {
    /// Only of these extractions (default: all of the plan).
    #[arg(value_name = "EXTRACTION")]
    extractions: Vec<String>,
    /// As what. `--json` is the same as `--format json`.
    #[arg(long, value_enum, default_value_t, conflicts_with = "json")]
    format: Format,
    /// Into this file instead of to standard output.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Tables in Markdown.
    #[default]
    Markdown,
    /// A page that stands alone, with a drawing; to print or to send.
    Html,
    /// All numbers, for machines.
    Json,
}

/// Makes it from the journal and the status.
pub(super) async fn run(
    state: &Path,
    arguments: &ReportArguments,
    json: bool,
) -> Result<(), Failure> {
    let client = Client::find(state)?;
    let status = client.status().await?;
    known(&status, &arguments.extractions)?;
    let entries = client.journal().await?;
    let report = Report::new(&status, &entries, &arguments.extractions, now_ms());
    let format = if json { Format::Json } else { arguments.format };
    let text = match format {
        Format::Markdown => markdown::page(&report),
        Format::Html => html::document(&report).map_err(Failure::not_done)?,
        Format::Json => serde_json::to_string_pretty(&report).map_err(Failure::not_done)?,
    };
    let Some(file) = &arguments.output else {
        // Whoever reads may have stopped reading.
        let _ = writeln!(std::io::stdout(), "{}", text.trim_end());
        return Ok(());
    };
    std::fs::write(file, text).map_err(|error| {
        Failure::NotDone(format!("{} cannot be written: {error}", file.display()))
    })?;
    say!("written to {}", file.display());
    Ok(())
}
