//! How far it is, shown on standard error while an answer is waited for: as a bar on
//! a terminal, else as a line now and then.

use conductor::status::ExtractionStatus;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

/// Without a terminal nothing is said of what takes less, and no more often.
const SILENCE: Duration = Duration::from_secs(3);

/// What is shown, and where.
pub(super) enum ProgressDisplay {
    Bar(ProgressBar),
    Lines { last: Instant },
}

impl ProgressDisplay {
    pub(super) fn new() -> Self {
        if !std::io::stderr().is_terminal() {
            return Self::Lines {
                last: Instant::now(),
            };
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{spinner} {msg:<50} {wide_bar} {percent:>3}%");
        if let Ok(style) = style {
            bar.set_style(style);
        }
        Self::Bar(bar)
    }

    /// This is how it stands.
    pub(super) fn now(&mut self, one: &ExtractionStatus) {
        let Step { text, done, all } = Step::of(one);
        let text = match &one.trouble {
            Some(trouble) => format!("{text}; {trouble}"),
            None => text,
        };
        match self {
            Self::Bar(bar) => {
                bar.set_length(all.max(1));
                bar.set_position(done.min(all));
                bar.set_message(text);
                bar.tick();
            }
            Self::Lines { last } => {
                if last.elapsed() >= SILENCE {
                    *last = Instant::now();
                    eprintln!("{}: {text}", one.name);
                }
            }
        }
    }

    /// The answer has come.
    pub(super) fn end(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

/// What is done at the moment, and how much of it, where that is known.
struct Step {
    text: String,
    done: u64,
    all: u64,
}

impl Step {
    fn of(one: &ExtractionStatus) -> Self {
        if let Some((done, all)) = one.progress.verify {
            return Self {
                text: format!("comparing, {done} rows"),
                done,
                all,
            };
        }
        let copy = &one.progress.copy;
        if one.phase == "copying" {
            return Self {
                text: format!("copying, {} rows", copy.rows_copied),
                done: copy.rows_copied,
                all: copy.rows_total,
            };
        }
        let text = match one.phase.as_str() {
            // Before anything is touched: as `banyan check`.
            "planned" => "checking whether it can be moved".to_owned(),
            "preparing" => "preparing both sides: schema, publication, slots".to_owned(),
            _ => waited_for(one),
        };
        Self {
            text,
            done: 0,
            all: 0,
        }
    }
}

/// The look that has taken the longest, or what a stream lacks.
fn waited_for(one: &ExtractionStatus) -> String {
    let phase = &one.phase;
    if let Some(look) = one.progress.looks.first() {
        let last = look.last.iter().map(|last| format!("; last: {last}"));
        let more = match one.progress.looks.len() {
            1 => String::new(),
            count => format!(" (and {} more)", count - 1),
        };
        let last: String = last.collect();
        return format!(
            "{phase}, looking at {}{more}, {:.0} s{last}",
            look.what, look.seconds
        );
    }
    let streams = one.progress.forward.iter().chain(&one.progress.reverse);
    match streams.max_by_key(|stream| stream.lag_bytes) {
        Some(stream) if stream.lag_bytes > 0 => {
            format!("{phase}, a stream is {} bytes behind", stream.lag_bytes)
        }
        _ => phase.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use conductor::ports::{Look, Progress};

    #[test]
    fn a_start_says_what_it_does_before_it_copies() {
        let of = |phase: &str| {
            let one = ExtractionStatus {
                phase: phase.to_owned(),
                ..ExtractionStatus::default()
            };
            Step::of(&one).text
        };
        assert!(of("planned").starts_with("checking"));
        assert!(of("preparing").starts_with("preparing both sides"));
        assert_eq!(of("copying"), "copying, 0 rows");
    }

    fn status(looks: &[(&str, f64, Option<&str>)]) -> ExtractionStatus {
        let look = |(what, seconds, last): &(&str, f64, Option<&str>)| Look {
            what: (*what).to_owned(),
            seconds: *seconds,
            last: last.map(str::to_owned),
        };
        ExtractionStatus {
            phase: "rolling-back".to_owned(),
            progress: Progress {
                looks: looks.iter().map(look).collect(),
                ..Progress::default()
            },
            ..ExtractionStatus::default()
        }
    }

    #[test]
    fn what_is_waited_for_is_said() {
        let text = |looks: &[_]| Step::of(&status(looks)).text;
        assert_eq!(text(&[]), "rolling-back");
        let health = ("the monolith's health: HEAD http://m/", 4.2, Some("late"));
        assert_eq!(
            text(&[health, ("rows", 1.0, None)]),
            "rolling-back, looking at the monolith's health: HEAD http://m/ (and 1 more), 4 s; \
             last: late"
        );
        let mut verifying = status(&[]);
        verifying.progress.verify = Some((3, 9));
        let step = Step::of(&verifying);
        assert_eq!((step.text.as_str(), step.all), ("comparing, 3 rows", 9));
    }
}
