//! What the story shows while it runs: bars on a terminal, plain lines
//! otherwise. Nothing is wider than 80 columns.

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How often a number on the screen changes.
const TICK: Duration = Duration::from_millis(120);

/// A screen. One line stays for each step that has ended.
#[derive(Debug)]
pub struct Screen {
    kind: Kind,
    began: Instant,
    step: Mutex<Step>,
}

#[derive(Debug)]
enum Kind {
    Bars(Bars),
    Lines,
    /// Lines on standard error.
    Aside,
}

#[derive(Debug)]
struct Bars {
    all: MultiProgress,
    steps: ProgressBar,
    traffic: ProgressBar,
    data: ProgressBar,
}

#[derive(Debug)]
struct Step {
    name: String,
    began: Instant,
}

impl Screen {
    /// Bars if standard output is a terminal.
    pub fn new(steps: usize) -> Self {
        let kind = if std::io::stdout().is_terminal() {
            Kind::Bars(Bars::new(steps))
        } else {
            Kind::Lines
        };
        Self::of(kind)
    }

    /// Lines, wherever they go.
    pub fn lines() -> Self {
        Self::of(Kind::Lines)
    }

    /// Lines on standard error: standard output is for a program.
    pub fn aside() -> Self {
        Self::of(Kind::Aside)
    }

    fn of(kind: Kind) -> Self {
        let now = Instant::now();
        Self {
            kind,
            began: now,
            step: Mutex::new(Step {
                name: String::new(),
                began: now,
            }),
        }
    }

    /// A step begins.
    pub fn begin(&self, name: &str) {
        if let Ok(mut step) = self.step.lock() {
            *step = Step {
                name: name.to_owned(),
                began: Instant::now(),
            };
        }
        if let Kind::Bars(bars) = &self.kind {
            bars.steps.set_message(name.to_owned());
        }
    }

    /// The step ended; `result` says how in a few words.
    pub fn end(&self, result: &str) {
        let (name, took) = match self.step.lock() {
            Ok(step) => (step.name.clone(), step.began.elapsed()),
            Err(_) => (String::new(), Duration::ZERO),
        };
        let at = self.began.elapsed().as_secs_f64();
        let took = took.as_secs_f64();
        self.print(&format!("{at:>6.1} s  {name:<16} {took:>5.1} s  {result}"));
        if let Kind::Bars(bars) = &self.kind {
            bars.steps.inc(1);
        }
    }

    /// A line that stays.
    pub fn print(&self, line: &str) {
        match &self.kind {
            // Its error means that the terminal is gone.
            Kind::Bars(bars) => drop(bars.all.println(line)),
            // Whoever read the lines may have gone; the story goes on.
            Kind::Lines => drop(writeln!(std::io::stdout(), "{line}")),
            Kind::Aside => drop(writeln!(std::io::stderr(), "{line}")),
        }
    }

    /// What the clients see right now.
    pub fn traffic(&self, text: String) {
        if let Kind::Bars(bars) = &self.kind {
            bars.traffic.set_message(text);
        }
    }

    /// Where the data is right now.
    pub fn data(&self, text: String) {
        if let Kind::Bars(bars) = &self.kind {
            bars.data.set_message(text);
        }
    }

    /// How far the copy is; a bar while it is under way.
    pub fn copy(&self, copied: u64, total: u64) {
        if let Kind::Bars(bars) = &self.kind {
            bars.data.set_length(total.max(copied));
            bars.data.set_position(copied);
            bars.data.set_style(if copied > 0 && copied < total {
                style("   data  [{bar:30}] {pos}/{len} rows  {wide_msg}")
            } else {
                style("   data  {wide_msg}")
            });
        }
    }

    /// Nothing moves any more.
    pub fn close(&self) {
        if let Kind::Bars(bars) = &self.kind {
            bars.traffic.finish_and_clear();
            bars.data.finish_and_clear();
            bars.steps.finish_and_clear();
        }
    }
}

impl Bars {
    fn new(steps: usize) -> Self {
        let all = MultiProgress::new();
        let length = u64::try_from(steps).unwrap_or(0);
        let steps = all.add(ProgressBar::new(length).with_style(
            // Fits 80 columns with the longest step's name.
            style("{spinner} step  [{bar:30.green}] {pos}/{len}  {wide_msg}  {elapsed} "),
        ));
        let traffic = all.add(ProgressBar::new(1).with_style(style("   http  {wide_msg}")));
        let data = all.add(ProgressBar::new(1).with_style(style("   data  {wide_msg}")));
        for bar in [&steps, &traffic, &data] {
            bar.enable_steady_tick(TICK);
        }
        Self {
            all,
            steps,
            traffic,
            data,
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    // The templates are constants; a wrong one shows as the default style.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
