//! Whole sessions at the command line: what a person types, and all that comes back.
//!
//! The files in `snapshots/` are the sessions. What differs between two runs (times,
//! ports, sizes) is replaced by words in brackets. `INSTA_UPDATE=always` writes them anew:
//! read what changed.

use crate::stage::Stage;
use anyhow::Result;
use std::fmt::Write;
use testbed::banyan::CommandLine;

/// What differs between two runs, and what stands for it.
const FILTERS: [(&str, &str); 14] = [
    (
        r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        "[UUID]",
    ),
    (r"\b[0-9a-f]{64}\b", "[HASH]"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d(\.\d+)?)?", "[TIME]"),
    (r"127\.0\.0\.1:\d+", "127.0.0.1:[PORT]"),
    (r"/[^ ]*/banyan\b[^ ]*", "[STATE]"),
    // Where its lines end goes by the directory's name.
    (
        r"directory[\s!]+\[STATE\][\s!]+Start[\s!]+it,[\s!]+or[\s!]+name[\s!]+its[\s!]+directory[\s!]+with",
        "directory [STATE] Start it, or name its directory with",
    ),
    (
        r"\b\d+(\.\d+)? (ms|s|min|h|B|kB|KiB|MiB|bytes|seconds)\b",
        "[N] $2",
    ),
    (r"(?s)steps in ms: .*?open\s+\d+", "steps in ms: [STEPS]"),
    (
        r"(applying|waiting|stopped), \[N\] B\s+behind(\s+\(\[N\] s\))?",
        "$1, [N] B behind",
    ),
    (r"\(for \[N\] (s|min|h)\)", "(for [N] s)"),
    (r"up to row \d+", "up to row [N]"),
    // A table is as wide as its numbers.
    (r"[─═]{2,}", "─"),
    (r"  +", "  "),
    (r"[ \t]+\n", "\n"),
];

/// So wide is all that is printed.
const COLUMNS: usize = 80;

/// Whether a line stays as it is: a command as it was typed, a row of a Markdown table, what
/// clap says of usage, and what has a word, or a command to copy, for which no line is wide
/// enough.
fn is_whole(line: &str) -> bool {
    let text = line.strip_prefix("! ").unwrap_or(line);
    let mut parts = text.split('`').enumerate();
    let too_long = |word: &str| word.chars().count() > COLUMNS / 2;
    text.starts_with("$ ")
        || text.starts_with("| ")
        || text.starts_with("Usage: ")
        || parts.any(|(at, part)| {
            (at % 2 == 1 && too_long(part)) || part.split_whitespace().any(too_long)
        })
}

/// Commands and what they printed.
struct Session<'a> {
    banyan: &'a CommandLine,
    text: String,
}

impl<'a> Session<'a> {
    fn new(banyan: &'a CommandLine) -> Self {
        Self {
            banyan,
            text: String::new(),
        }
    }

    /// Runs a command, whatever comes of it.
    async fn run(&mut self, line: &str) -> Result<()> {
        let mut words = line.split(' ');
        let verb = words.next().unwrap_or_default();
        let arguments: Vec<_> = words.collect();
        let finished = self.banyan.run(verb, &arguments).await?;
        writeln!(self.text, "$ banyan {line}")?;
        self.text.push_str(&finished.stdout);
        // How far it is, is said of what takes seconds on a busy machine.
        let is_progress = |line: &&str| line.starts_with("contracts: ");
        for line in finished.stderr.lines().filter(|line| !is_progress(line)) {
            writeln!(self.text, "! {line}")?;
        }
        if finished.code != 0 {
            writeln!(self.text, "[exit {}]", finished.code)?;
        }
        self.text.push('\n');
        Ok(())
    }

    fn assert(self, name: &str) {
        for line in self.text.lines().filter(|line| !is_whole(line)) {
            let printed = line.strip_prefix("! ").unwrap_or(line);
            assert!(printed.chars().count() <= COLUMNS, "{line}");
        }
        let mut settings = insta::Settings::clone_current();
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        for (pattern, word) in FILTERS {
            settings.add_filter(pattern, word);
        }
        settings.bind(|| insta::assert_snapshot!(name, self.text));
    }
}

/// An extraction that moves by hand, and comes back.
#[tokio::test(flavor = "multi_thread")]
async fn there_and_back_by_hand() -> Result<()> {
    let mut stage = Stage::set(Ok).await?;
    stage.serve(None).await?;
    let banyan = stage.banyan.clone();
    let mut session = Session::new(&banyan);
    for line in ["check", "start contracts", "status"] {
        session.run(line).await?;
    }
    stage.settled("following", "monolith").await?;
    for line in [
        "verify contracts",
        "shift contracts --reads 10%",
        "status",
        "switch contracts --yes",
    ] {
        session.run(line).await?;
    }
    stage.settled("switched", "service").await?;
    for line in ["status", "rollback contracts --yes"] {
        session.run(line).await?;
    }
    stage.settled("following", "monolith").await?;
    for line in [
        "status",
        "withdraw contracts",
        "cancel contracts --yes",
        "status",
        "report",
    ] {
        session.run(line).await?;
    }
    session.assert("there_and_back_by_hand");
    Ok(())
}

/// What cannot be done says why, and what can.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused() -> Result<()> {
    let mut stage = Stage::set(Ok).await?;
    let banyan = stage.banyan.clone();
    let mut session = Session::new(&banyan);
    session.run("status").await?;
    stage.serve(None).await?;
    for line in [
        "switch contracts --yes",
        "shift contracts --reads 10%",
        "shift contracts --reads 110%",
        "shift contracts",
        "verify contract",
        "rollback contracts --yes",
        "finish contracts --yes",
        "approve contracts --by anna",
        "why contracts",
        "start",
        "strat contracts",
        "report contract",
    ] {
        session.run(line).await?;
    }
    session.assert("what_is_refused");
    Ok(())
}
