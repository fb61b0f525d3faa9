//! The whole migration on one axis: shares as areas, holds as ticks, decisions as flags.
//! Geometry alone; the page draws it.

use crate::{
    chapter::Chapter,
    clock,
    moment::{Kind, Moment},
    report::Report,
};
use std::fmt::Write;

/// The drawing's own units.
pub(crate) const WIDTH: f64 = 1000.0;
/// Of a lane, without its label.
pub(crate) const HEIGHT: f64 = 48.0;
const LABEL: f64 = 22.0;
/// Flags of a lane: the last ones. More would be a bar.
const FLAGS_MAX: usize = 200;
/// A hold is milliseconds of weeks: it is drawn as wide as this at least.
const TICK_MIN: f64 = 2.0;

/// The drawing.
pub(crate) struct Chart {
    pub(crate) height: f64,
    pub(crate) from: String,
    pub(crate) until: String,
    pub(crate) lanes: Vec<Lane>,
}

/// An extraction's.
pub(crate) struct Lane {
    pub(crate) name: String,
    /// Where its label stands.
    pub(crate) label: f64,
    pub(crate) top: f64,
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
        let mut top = 0.0;
        let lanes = drawn.map(|chapter| {
            let lane = Lane::new(chapter, top, &axis);
            top += LABEL + HEIGHT;
            lane
        });
        let lanes: Vec<_> = lanes.collect();
        Some(Self {
            height: top,
            from: clock::minute(from),
            until: clock::minute(until),
            lanes,
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
    fn new(chapter: &Chapter, top: f64, axis: &Axis) -> Self {
        let bottom = top + LABEL + HEIGHT;
        let y = |percent: f64| bottom - HEIGHT * percent.clamp(0.0, 100.0) / 100.0;
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
        point(WIDTH, bottom);
        let holds = chapter.handovers.iter().filter_map(|one| {
            let held = one.held_ms?;
            let until = one.ended_ms?;
            let (x, end) = (axis.x(until - held), axis.x(until));
            let outcome = one.outcome.as_deref().unwrap_or_default();
            Some(Mark {
                x,
                width: (end - x).max(TICK_MIN),
                title: format!("{}, {outcome}, held {}", one.kind, clock::length(held)),
            })
        });
        let is_flag = |one: &&Moment| one.kind == Kind::Decision;
        let decisions = chapter.moments.iter().rev().filter(is_flag);
        let flags = decisions.take(FLAGS_MAX).map(|one| Mark {
            x: axis.x(one.at_ms),
            width: TICK_MIN,
            title: format!("{}: {}", clock::minute(one.at_ms), one.text),
        });
        Self {
            name: chapter.name.clone(),
            label: top + LABEL - 8.0,
            top: top + LABEL,
            area: area.trim_end().to_owned(),
            ticks: holds.collect(),
            flags: flags.collect(),
        }
    }
}
