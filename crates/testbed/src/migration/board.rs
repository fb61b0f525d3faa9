//! The demo on a screen: sentences that stay, and below them a line for the traffic and
//! one for each extraction. Without a terminal only the sentences.

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// How often the clock of a line moves.
const TICK: Duration = Duration::from_millis(200);

/// The width that sentences are made for.
const WIDTH: usize = 80;

/// Before each sentence: when, and of whom.
const MARGIN: usize = 21;

/// Where sentences go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Standard output, with lines that move if that is a terminal.
    Screen,
    /// Standard error: standard output is for a program.
    Aside,
}

/// The screen of a migration.
#[derive(Debug)]
pub struct Board {
    output: Output,
    began: Instant,
    live: Option<Live>,
}

#[derive(Debug)]
struct Live {
    all: MultiProgress,
    lines: Vec<(String, ProgressBar)>,
}

impl Board {
    /// With a line for each of these.
    pub fn new(output: Output, lines: &[&str]) -> Self {
        let is_live = output == Output::Screen && io::stdout().is_terminal();
        Self {
            output,
            began: Instant::now(),
            live: is_live.then(|| Live::new(lines)),
        }
    }

    /// A sentence that stays.
    pub fn say(&self, who: &str, sentence: &str) {
        self.print(&written(self.began.elapsed().as_secs_f64(), who, sentence));
    }

    /// What something else has printed, as it is.
    pub fn quote(&self, printed: &str) {
        self.print(&format!("\n{printed}\n"));
    }

    fn print(&self, text: &str) {
        match (&self.live, self.output) {
            // Its error means that the terminal is gone.
            (Some(live), _) => drop(live.all.println(text)),
            // Whoever read the lines may have gone; the migration goes on.
            (None, Output::Screen) => drop(writeln!(io::stdout(), "{text}")),
            (None, Output::Aside) => drop(writeln!(io::stderr(), "{text}")),
        }
    }

    /// What is so right now.
    pub fn show(&self, line: &str, text: String) {
        let Some(Live { lines, .. }) = &self.live else {
            return;
        };
        if let Some((_, bar)) = lines.iter().find(|(name, _)| name == line) {
            bar.set_message(text);
        }
    }

    /// Since it was made.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Nothing moves any more.
    pub fn close(&self) {
        for (_, bar) in self.live.iter().flat_map(|live| &live.lines) {
            bar.finish_and_clear();
        }
    }
}

impl Live {
    fn new(lines: &[&str]) -> Self {
        let all = MultiProgress::new();
        let line = |name: &&str| {
            let style = ProgressStyle::with_template("{spinner} {prefix:9}  {wide_msg}");
            // The template is a constant; a wrong one shows as the default style.
            let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
            let bar = all.add(ProgressBar::new(1).with_style(style));
            bar.set_prefix((*name).to_owned());
            bar.enable_steady_tick(TICK);
            ((*name).to_owned(), bar)
        };
        let lines = lines.iter().map(line).collect();
        Self { all, lines }
    }
}

/// A sentence in lines that fit, each begun below the first one's text.
fn written(at_seconds: f64, who: &str, sentence: &str) -> String {
    let mut text = format!("{at_seconds:>6.1} s  {who:<9}  ");
    let mut column = MARGIN;
    for (index, word) in sentence.split_whitespace().enumerate() {
        let length = word.chars().count();
        if index > 0 && column + 1 + length > WIDTH {
            let _ = write!(text, "\n{:MARGIN$}", "");
            column = MARGIN;
        } else if index > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += length;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_fit_the_width_and_lose_no_word() {
        let sentence = "Stopped by itself: gate `p95` failed: the service takes 812 ms where \
                        the monolith takes 60 ms, over 410 and 398 requests of the same window.";
        let text = written(123.45, "contracts", sentence);
        assert!(
            text.lines().all(|line| line.chars().count() <= WIDTH),
            "{text}"
        );
        assert!(
            text.starts_with(" 123.5 s  contracts  Stopped by"),
            "{text}"
        );
        let words: Vec<&str> = text.split_whitespace().skip(3).collect();
        assert_eq!(words.join(" "), sentence);
    }

    #[test]
    fn a_word_that_is_too_long_stays_whole() {
        let text = written(1.0, "users", &"x".repeat(90));
        assert_eq!(text.lines().count(), 1);
    }
}
