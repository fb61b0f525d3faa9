//! What has happened, as the API's journal has it.

use super::{frame::PageError, reader::SignedIn};
use crate::{api::segment, state::Console};
use conductor::{JournalEntry, JournalPage, PAGE_ENTRIES_MAX};

/// The last entries of an extraction that its page looks through: those of twenty
/// rehearsals are among them.
const LAST: u32 = 300;

/// The most that a report goes by, the last ones; the command line's goes by all.
const ENTRIES_MAX: usize = 50_000;

/// An extraction's last entries, in order.
pub(super) async fn last(
    console: &Console,
    reader: &SignedIn,
    name: &str,
    before: i64,
) -> Result<Vec<JournalEntry>, PageError> {
    let name = segment(name);
    let path = format!("/v1/journal?extraction={name}&before={before}&limit={LAST}");
    let page: JournalPage = console.api.get(reader.bearer(), &path).await?;
    Ok(page.entries)
}

/// So far what came of an order is looked for.
const AFTER: u32 = 50;

/// An extraction's next entries after one, in order.
pub(super) async fn after(
    console: &Console,
    reader: &SignedIn,
    name: &str,
    after: i64,
) -> Result<Vec<JournalEntry>, PageError> {
    let name = segment(name);
    let path = format!("/v1/journal?extraction={name}&after={after}&limit={AFTER}");
    let page: JournalPage = console.api.get(reader.bearer(), &path).await?;
    Ok(page.entries)
}

/// The whole, in order; the last [`ENTRIES_MAX`] of a longer one.
pub(super) async fn all(
    console: &Console,
    reader: &SignedIn,
) -> Result<Vec<JournalEntry>, PageError> {
    let mut newest_first: Vec<JournalEntry> = Vec::new();
    while newest_first.len() < ENTRIES_MAX {
        let before = newest_first.last().map_or(i64::MAX, |last| last.seq);
        let path = format!("/v1/journal?before={before}&limit={PAGE_ENTRIES_MAX}");
        let page: JournalPage = console.api.get(reader.bearer(), &path).await?;
        if page.entries.is_empty() {
            break;
        }
        newest_first.extend(page.entries.into_iter().rev());
    }
    newest_first.reverse();
    Ok(newest_first)
}
