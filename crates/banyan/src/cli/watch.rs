//! `banyan watch`: the status again and again, until it is interrupted.

use super::{commands::known, render};
use crate::{client::Client, exit::Failure};
use conductor::status::{ExtractionStatus, Status};
use std::{
    io::{IsTerminal, Write},
    path::Path,
    time::Duration,
};

/// How often it is asked for.
const LOOK: Duration = Duration::from_secs(1);

/// Moves to the first line of the terminal and takes away what is there.
const CLEAR: &str = "\u{1b}[H\u{1b}[2J";

/// Shows one extraction or all: on a terminal over and over, else a line whenever something
/// changes. With `json` a document each second, a line each.
pub(super) async fn run(state: &Path, extraction: Option<&str>, json: bool) -> Result<(), Failure> {
    let client = Client::find(state)?;
    let mut said: Vec<String> = Vec::new();
    loop {
        let mut status = client.status().await?;
        let only: Vec<String> = extraction.map(str::to_owned).into_iter().collect();
        known(&status, &only)?;
        if let Some(name) = extraction {
            status.extractions.retain(|one| one.name == name);
        }
        let mut out = std::io::stdout();
        // Who reads may have stopped reading, and then there is nobody to watch for.
        if json {
            let line = serde_json::to_string(&status).map_err(Failure::not_done)?;
            writeln!(out, "{line}").map_err(Failure::not_done)?;
        } else if out.is_terminal() {
            out.write_all(CLEAR.as_bytes()).map_err(Failure::not_done)?;
            render::status(&status);
        } else {
            let now = lines(&status);
            for line in now.iter().filter(|line| !said.contains(line)) {
                writeln!(out, "{}", render::wrapped(line)).map_err(Failure::not_done)?;
            }
            said = now;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// What is said of each where nobody looks all the time; without what changes every second.
fn lines(status: &Status) -> Vec<String> {
    let halted = status.halted.as_ref().map(|why| format!("halted: {why}"));
    let of = |one: &ExtractionStatus| {
        let trouble = one
            .trouble
            .as_ref()
            .map(|text| format!("; trouble: {text}"));
        format!(
            "{}: {}, the owner is {}, {}% of reads at the service; next: {}{}",
            one.name,
            one.phase,
            one.owner,
            one.reads_percent,
            one.next,
            trouble.unwrap_or_default()
        )
    };
    halted
        .into_iter()
        .chain(status.extractions.iter().map(of))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_changes_with_what_matters() {
        let mut status = Status {
            extractions: vec![ExtractionStatus {
                name: "orders".to_owned(),
                phase: "following".to_owned(),
                owner: "monolith".to_owned(),
                next: "step 2".to_owned(),
                ..ExtractionStatus::default()
            }],
            ..Status::default()
        };
        let before = lines(&status);
        assert_eq!(
            before,
            ["orders: following, the owner is monolith, 0% of reads at the service; next: step 2"]
        );
        status.extractions[0].progress.copy.rows_copied = 7;
        assert_eq!(lines(&status), before);
        status.extractions[0].trouble = Some("it".to_owned());
        assert_ne!(lines(&status), before);
    }
}
