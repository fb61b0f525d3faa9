//! The report in HTML: a document that stands alone, or the part of a page that has its
//! own head and style. Neither has scripts, nor anything from elsewhere.

use crate::{
    chapter::{Chapter, Lag, StepRecord},
    chart::{Chart, FLAG, HEIGHT, WIDTH},
    clock, markdown,
    report::Report,
};
use askama::Template;

#[derive(Template)]
#[template(path = "document.html")]
struct Document<'a> {
    body: Body<'a>,
}

#[derive(Template)]
#[template(path = "body.html")]
struct Body<'a> {
    report: &'a Report,
    figures: [(&'static str, String); 4],
    chart: Option<Chart>,
}

/// A document that stands alone.
pub fn document(report: &Report) -> Result<String, askama::Error> {
    Document {
        body: Body::new(report),
    }
    .render()
}

/// What goes into a page.
pub fn body(report: &Report) -> Result<String, askama::Error> {
    Body::new(report).render()
}

impl<'a> Body<'a> {
    fn new(report: &'a Report) -> Self {
        Self {
            report,
            figures: markdown::figures(&report.figures),
            chart: Chart::new(report),
        }
    }

    fn owner(chapter: &Chapter) -> String {
        markdown::owner_sentence(chapter)
    }

    fn lag(lag: &Lag) -> String {
        markdown::lag_text(lag)
    }
    fn gates(step: &StepRecord) -> String {
        step.gates()
    }
}
