//! What has been written down, as the API shows it.

use super::CommandLine;
use crate::http_client::{self, Call};
use anyhow::{Context, Result, ensure};
use http::HeaderValue;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs;
use std::time::Duration;

const ANSWER_LIMIT: Duration = Duration::from_secs(20);

/// More pages than these are no journal of a test.
const PAGES_MAX: usize = 100;

/// One entry.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct JournalEntry {
    /// Its number.
    pub seq: i64,
    /// When it was written, in milliseconds since 1970.
    pub at_ms: i64,
    /// Of which extraction; `*`: of all.
    pub extraction: String,
    /// What has happened.
    pub event: Value,
    /// Over it, and over all before.
    pub hash: String,
}

impl JournalEntry {
    /// The name of its event.
    pub fn name(&self) -> &str {
        self.event["event"].as_str().unwrap_or_default()
    }
}

#[derive(Deserialize)]
struct JournalPage {
    entries: Vec<JournalEntry>,
}

/// `control.json`, as far as it is read here.
#[derive(Deserialize)]
struct Control {
    address: String,
    token: String,
}

impl CommandLine {
    /// All entries of all extractions, in order.
    pub async fn journal(&self) -> Result<Vec<JournalEntry>> {
        let file = self.state().join("control.json");
        let text =
            fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
        let Control { address, token } = serde_json::from_str(&text)?;
        let (url, bearer) = (format!("http://{address}"), format!("Bearer {token}"));
        let bearer = HeaderValue::try_from(bearer)?;
        let mut entries: Vec<JournalEntry> = Vec::new();
        for _ in 0..PAGES_MAX {
            let after = entries.last().map_or(0, |entry| entry.seq);
            let call = Call::get(format!("/v1/journal?after={after}"))
                .header("authorization", bearer.clone());
            let answer = http_client::call(&url, &call, ANSWER_LIMIT).await?;
            let status = answer.status;
            ensure!(
                status == 200,
                "the journal: {status} {}",
                answer.body_head()
            );
            let page: JournalPage = serde_json::from_slice(&answer.body)?;
            if page.entries.is_empty() {
                return Ok(entries);
            }
            entries.extend(page.entries);
        }
        anyhow::bail!("the journal has no end")
    }
}
