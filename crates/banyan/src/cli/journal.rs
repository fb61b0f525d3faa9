//! `banyan journal`: what has happened, who wanted it, and whether that was touched since.

use super::{day, render};
use crate::{client::Client, control, exit::Failure};
use clap::Args;
use conductor::{
    BrokenChain, ChainCheck, JOURNAL_FILE, Journal, JournalEntry, JournalError, JournalHead,
    now_ms, status::no_extraction,
};
use report::{Moment, MomentReader, clock::second};
use schemars::JsonSchema;
use serde::Serialize;
use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
};

/// What each file of SQLite begins with.
const SQLITE: &[u8] = b"SQLite format 3\0";

#[derive(Debug, Args)]
pub(super) struct JournalArguments {
    /// Only of this extraction, and what was of all (default: of each).
    #[arg(value_name = "EXTRACTION")]
    extraction: Option<String>,
    /// Only since then: 30m, 2h, 7d ago, or 2026-11-30, 2026-11-30T18:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<i64>,
    /// Recompute the hashes, and name the first entry that does not fit.
    #[arg(long, conflicts_with_all = ["extraction", "since"])]
    check: bool,
    /// Read this instead: a copy of journal.db, or what `--json` printed.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

pub(super) async fn run(
    state: &Path,
    arguments: &JournalArguments,
    json: bool,
) -> Result<(), Failure> {
    let read = match &arguments.file {
        Some(file) => of_file(file).await?,
        None => all(state).await?,
    };
    if arguments.check {
        return check(&read, json);
    }
    let entries = read.entries;
    let is_wanted = |entry: &&JournalEntry| {
        let name = arguments.extraction.as_deref();
        let is_its = name.is_none_or(|name| entry.extraction == name || entry.extraction == "*");
        is_its && arguments.since.is_none_or(|since| entry.at_ms >= since)
    };
    if let Some(name) = &arguments.extraction
        && !entries.iter().any(|entry| entry.extraction == *name)
    {
        let known: BTreeSet<_> = entries
            .iter()
            .map(|entry| entry.extraction.as_str())
            .collect();
        let none = no_extraction(name, known.into_iter().filter(|name| *name != "*"));
        return Err(Failure::Refused(format!("the journal has {none}")));
    }
    let mut reader = MomentReader::default();
    for entry in &entries {
        let moment = reader.read(entry);
        if !is_wanted(&entry) {
            continue;
        }
        if json {
            say!(
                "{}",
                serde_json::to_string(entry).map_err(Failure::not_done)?
            );
        } else if let Some(moment) = moment {
            say!("{}", line(&moment));
        }
    }
    Ok(())
}

fn line(moment: &Moment) -> String {
    let of = match moment.extraction.as_str() {
        "*" => "all",
        name => name,
    };
    let by = moment.by.as_ref().map(|by| format!(" By {by}."));
    let text = moment.text.trim_end_matches('.');
    let text = format!("{of}: {text}.{}", by.unwrap_or_default());
    render::paragraph(&format!("{} UTC  ", second(moment.at_ms)), "    ", &text)
}

/// What is looked at.
struct ReadEntries {
    entries: Vec<JournalEntry>,
    /// The last number that the journal gave; `None`: this may be a part of one.
    last: Option<i64>,
}

/// The whole journal: of the `serve` that runs, else of its state directory.
async fn all(state: &Path) -> Result<ReadEntries, Failure> {
    let file = state.join(JOURNAL_FILE);
    let runs = !matches!(control::read(state), Ok(None));
    if runs || !file.exists() {
        return match Client::find(state)?.journal().await {
            // One that was killed has left its address behind.
            Err(Failure::NotDone(_)) if file.exists() => of_file(&file).await,
            asked => asked.map(|entries| ReadEntries {
                last: Some(entries.last().map_or(0, |last| last.seq)),
                entries,
            }),
        };
    }
    of_file(&file).await
}

async fn of_file(file: &Path) -> Result<ReadEntries, Failure> {
    let name = file.display();
    let unreadable =
        |error: std::io::Error| Failure::Refused(format!("{name} cannot be read: {error}"));
    let mut reader = BufReader::new(std::fs::File::open(file).map_err(unreadable)?);
    if reader.fill_buf().map_err(unreadable)?.starts_with(SQLITE) {
        let (entries, last) = Journal::entries_of(file)
            .await
            .map_err(|error| match error {
                JournalError::InUse(_) => Failure::Refused(format!(
                    "{name} is in use by a `banyan serve`: leave out --file, and it is asked"
                )),
                error => Failure::refused(error),
            })?;
        let last = Some(last);
        return Ok(ReadEntries { entries, last });
    }
    let mut entries = Vec::new();
    for (number, line) in (1..).zip(reader.lines()) {
        let line = line.map_err(unreadable)?;
        let entry = serde_json::from_str(&line).map_err(|error| {
            let what = "what `banyan journal --json` prints is one entry a line";
            Failure::Refused(format!(
                "{name}, line {number}, is no entry: {error}. {what}"
            ))
        })?;
        entries.push(entry);
    }
    let last = None;
    Ok(ReadEntries { entries, last })
}

/// What `--check` prints with `--json`.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(super) struct Checked {
    /// The number of the first entry; `None`: there is none.
    first: Option<i64>,
    /// The last one of the chain.
    head: Option<JournalHead>,
    /// The number of the first entry that does not go with those before it, or is missing.
    broken: Option<i64>,
}

/// Exit code 1 where the chain is broken.
fn check(read: &ReadEntries, json: bool) -> Result<(), Failure> {
    let entries = &read.entries;
    let mut check = match read.last {
        Some(_) => ChainCheck::whole(),
        None => ChainCheck::default(),
    };
    let broken = entries.iter().find_map(|entry| check.next(entry).err());
    let broken = broken.or_else(|| check.end(read.last?).err());
    let (first, head) = (check.first(), check.head());
    if json {
        render::json(&Checked {
            first,
            head: head.cloned(),
            broken: broken.as_ref().map(BrokenChain::seq),
        })?;
    } else if let (None, Some(first), Some(head)) = (&broken, first, head) {
        let seq = head.seq;
        let before = match first {
            1 => String::new(),
            _ => format!(" What was before {first} is not in it."),
        };
        let text = format!(
            "Entries {first} to {seq} are chained: none was changed, removed or put in.{before} \
             Entries that were cut off after {seq}, or a chain that was made anew, show by its \
             hash, where that was kept elsewhere:"
        );
        say!("{}\n{}", render::wrapped(&text), head.hash);
    }
    match broken {
        None if entries.is_empty() => {
            let text = "there is no entry to check: the file is empty, or nothing has happened yet";
            Err(Failure::Refused(text.to_owned()))
        }
        None => Ok(()),
        Some(_) if json => Err(Failure::Reported(1)),
        Some(broken) => Err(Failure::NotDone(broken.to_string())),
    }
}

/// A time in milliseconds since 1970.
fn since(text: &str) -> Result<i64, String> {
    if let Ok(ago) = plan::duration(text) {
        let ago = i64::try_from(ago.as_millis()).unwrap_or(i64::MAX);
        return Ok(now_ms().saturating_sub(ago).max(0));
    }
    day::day(text).map_err(|_| "write 2h, 7d, 2026-11-30 or 2026-11-30T18:00:00Z".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An earlier version's journal as it is chained at the first start.
    async fn exported() -> (tempfile::TempDir, Vec<JournalEntry>) {
        let (directory, read) = kept().await;
        check(&read, true).unwrap();
        (directory, read.entries)
    }

    async fn kept() -> (tempfile::TempDir, ReadEntries) {
        const OLDER: &[u8] =
            include_bytes!("../../../conductor/tests/golden/journal-before-hashes.db");
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(JOURNAL_FILE);
        std::fs::write(&file, OLDER).unwrap();
        drop(Journal::open(directory.path()).await.unwrap());
        // The file is let go of by another thread.
        let read = loop {
            match of_file(&file).await {
                Ok(read) => break read,
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(5)).await,
            }
        };
        (directory, read)
    }

    #[tokio::test]
    async fn entries_that_were_cut_off_a_file_are_missing() {
        let (_directory, whole) = kept().await;
        assert_eq!((whole.entries.len(), whole.last), (31, Some(31)));
        let of = |from: usize, to: usize| {
            let entries = whole.entries[from..to].to_vec();
            let last = whole.last;
            check(&ReadEntries { entries, last }, false)
                .map_err(|error| error.to_string().split(" are").next().unwrap().to_owned())
        };
        assert_eq!(of(0, 31), Ok(()));
        assert_eq!(of(0, 29), Err("entries from 30 to 31".to_owned()));
        assert_eq!(of(4, 31), Err("entries from 1 to 4".to_owned()));
        assert_eq!(of(0, 0), Err("entries from 1 to 31".to_owned()));
    }

    #[tokio::test]
    async fn an_export_is_checked_and_names_the_first_entry_that_was_touched() {
        let (directory, entries) = exported().await;
        assert_eq!(entries.len(), 31);
        let lines: Vec<_> = entries
            .iter()
            .map(|entry| serde_json::to_string(entry).unwrap())
            .collect();
        let file = directory.path().join("export");
        let of = async |text: String| {
            std::fs::write(&file, text).unwrap();
            let read = of_file(&file).await.map_err(|error| error.to_string())?;
            check(&read, false).map_err(|error| error.to_string())
        };
        assert_eq!(of(lines.join("\n")).await, Ok(()));
        // A part is as good, from its beginning on.
        assert_eq!(of(lines[7..].join("\n")).await, Ok(()));
        let touched = lines.join("\n").replace("incident 7", "incident 8");
        let error = of(touched).await.unwrap_err();
        assert!(error.starts_with("entry 3 does not go with"), "{error}");
        let error = of([&lines[..9], &lines[10..]].concat().join("\n")).await;
        assert!(error.unwrap_err().starts_with("entries from 10 to 10 are"));
        let error = of("{}".to_owned()).await.unwrap_err();
        assert!(error.contains("line 1, is no entry"), "{error}");
    }

    #[tokio::test]
    async fn lines_say_when_what_and_by_whom_in_eighty_columns() {
        let (_directory, entries) = exported().await;
        let moments = entries.iter().filter_map(Moment::read);
        let lines: Vec<_> = moments.map(|moment| line(&moment)).collect();
        let all = lines.join("\n");
        for wanted in [
            "UTC  notes: It began, with data that both sides share.",
            "UTC  all: halted: incident 7. By ada.",
            "contracts: 50% of the clients read from the service.",
            "contracts: The steps went on with step 1. By ada.",
        ] {
            assert!(all.contains(wanted), "{wanted}: {all}");
        }
        assert!(all.lines().all(|line| line.chars().count() <= 80), "{all}");
    }

    #[test]
    fn a_time_is_some_time_ago_or_a_date() {
        assert_eq!(since("2026-11-30"), Ok(1_795_996_800_000));
        assert_eq!(since("2026-11-30T00:00:01Z"), Ok(1_795_996_801_000));
        assert!(since("2h").unwrap() < since("1m").unwrap());
        assert!(since("yesterday").is_err());
    }
}
