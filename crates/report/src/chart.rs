//! The whole migration on one axis: shares as areas, holds as ticks, decisions as flags.
//! Geometry alone; the page draws it.

use crate::{
    chapter::Chapter,
    clock,
    moment::{Kind, Moment},
    report::Report,
};
use std::fmt::Write;

/// The drawing's own units: a page stretches each lane to its width, and keeps its height.
pub(crate) const WIDTH: f64 = 1000.0;
pub(crate) const HEIGHT: f64 = 48.0;
/// Of a flag.
pub(crate) const FLAG: f64 = 10.0;
/// Flags of a lane: the last ones. More would be a bar.
const FLAGS_MAX: usize = 200;
/// A hold is milliseconds of weeks: it is drawn as wide as this at least, which a narrow
/// page shows still.
const TICK_MIN: f64 = 4.0;

/// The drawing.
pub(crate) struct Chart {
    pub(crate) from: String,
    pub(crate) until: String,
    pub(crate) lanes: Vec<Lane>,
}

/// An extraction's.
pub(crate) struct Lane {
    pub(crate) name: String,
    /// The share of the reads that are the service's, as a polygon.
    pub(crate) area: String,
    pub(crate) ticks: Vec<Mark>,
    pub(crate) flags: Vec<Mark>,
}

/// Something at a moment.
pub(crate) struct Mark {
    pub(crate) x: f64,
    pub(crate) width: f64,
    pub(crate) title: String,
}

impl Mark {
    /// Wide enough to be seen, and within the drawing.
    fn new(from: f64, until: f64, title: String) -> Self {
        let width = (until - from).max(TICK_MIN);
        let x = from.min(WIDTH - width);
        Self { x, width, title }
    }
}

impl Chart {
    /// None where nothing has begun.
    pub(crate) fn new(report: &Report) -> Option<Self> {
        let began = report.extractions.iter().filter_map(|one| one.began_ms);
        let from = began.min()?;
        let until = report.made_at_ms.max(from + 1);
        let axis = Axis { from, until };
        let drawn = report
            .extractions
            .iter()
            .filter(|one| one.began_ms.is_some());
        Some(Self {
            from: clock::minute(from),
            until: clock::minute(until),
            lanes: drawn.map(|chapter| Lane::new(chapter, &axis)).collect(),
        })
    }
}

struct Axis {
    from: i64,
    until: i64,
}

impl Axis {
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    fn x(&self, at_ms: i64) -> f64 {
        let whole = (self.until - self.from) as f64;
        ((at_ms - self.from) as f64 / whole).clamp(0.0, 1.0) * WIDTH
    }
}

impl Lane {
    fn new(chapter: &Chapter, axis: &Axis) -> Self {
        let y = |percent: f64| HEIGHT - HEIGHT * percent.clamp(0.0, 100.0) / 100.0;
        let mut area = String::new();
        let mut point = |x: f64, y: f64| {
            // Writing to a string does not fail.
            let _ = write!(area, "{x:.1},{y:.1} ");
        };
        let mut height = 0.0;
        for change in &chapter.shares {
            let x = axis.x(change.at_ms);
            point(x, y(height));
            height = change.reads_percent;
            point(x, y(height));
        }
        point(WIDTH, y(height));
        point(WIDTH, HEIGHT);
        let holds = chapter.handovers.iter().filter_map(|one| {
            let held = one.held_ms?;
            let until = one.ended_ms?;
            let (x, end) = (axis.x(until - held), axis.x(until));
            let outcome = one.outcome.as_deref().unwrap_or_default();
            let title = format!("{}, {outcome}, held {}", one.kind, clock::length(held));
            Some(Mark::new(x, end, title))
        });
        let is_flag = |one: &&Moment| one.kind == Kind::Decision;
        let decisions = chapter.moments.iter().rev().filter(is_flag);
        let flags = decisions.take(FLAGS_MAX).map(|one| {
            let x = axis.x(one.at_ms);
            let title = format!("{}: {}", clock::minute(one.at_ms), one.text);
            Mark::new(x, x, title)
        });
        Self {
            name: chapter.name.clone(),
            area: area.trim_end().to_owned(),
            ticks: holds.collect(),
            flags: flags.collect(),
        }
    }
}
