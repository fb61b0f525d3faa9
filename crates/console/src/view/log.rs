//! What has happened to an extraction, newest first.

use report::{Moment, Report, clock};

/// The most lines of a page.
const SHOWN_MAX: usize = 12;

/// Something that happened.
#[derive(Debug)]
pub(crate) struct LogLine {
    pub(crate) seq: i64,
    pub(crate) at: String,
    pub(crate) text: String,
    pub(crate) by: Option<String>,
    pub(crate) has_evidence: bool,
}

/// An approval that was given.
#[derive(Debug)]
pub(crate) struct ApprovalLine {
    pub(crate) at: String,
    pub(crate) extraction: String,
    pub(crate) step: usize,
    pub(crate) by: String,
    pub(crate) note: String,
}

/// The last moments of an extraction.
pub(crate) fn log(report: &Report) -> Vec<LogLine> {
    let moments = report.extractions.iter().flat_map(|one| &one.moments);
    let mut lines: Vec<_> = moments.map(line).collect();
    lines.reverse();
    lines.truncate(SHOWN_MAX);
    lines
}

fn line(moment: &Moment) -> LogLine {
    LogLine {
        seq: moment.seq,
        at: clock::minute(moment.at_ms),
        text: moment.text.clone(),
        by: moment.by.clone(),
        has_evidence: !moment.evidence.is_empty(),
    }
}

/// All approvals of a report, newest first.
pub(crate) fn approvals(report: &Report) -> Vec<ApprovalLine> {
    let mut given: Vec<_> = report
        .extractions
        .iter()
        .flat_map(|one| one.approvals.iter().map(move |given| (&one.name, given)))
        .collect();
    given.sort_by_key(|(_, given)| std::cmp::Reverse(given.at_ms));
    let line = |(name, given): (&String, &report::Approval)| ApprovalLine {
        at: clock::minute(given.at_ms),
        extraction: name.clone(),
        step: given.step,
        by: given.by.clone(),
        note: given.note.clone(),
    };
    given.into_iter().map(line).collect()
}
