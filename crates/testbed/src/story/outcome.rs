//! How the story ended.

use super::report::Report;
use crate::auditor::Audit;
use crate::banyan::answers::Handover;
use crate::banyan::{CommandLine, Plan, Serve};
use crate::scene::Scene;

/// How it ended, with everything still running.
#[derive(Debug)]
pub struct StoryOutcome {
    /// In numbers.
    pub report: Report,
    /// What the numbers do not say.
    pub problems: Vec<String>,
    /// The first failures, in words.
    pub failures: Vec<String>,
    /// The auditor's findings.
    pub audit: Audit,
    /// The hand-overs, in order.
    pub handovers: Vec<Handover>,
    /// The binary under test, running.
    pub serve: Serve,
    /// How to call it.
    pub banyan: CommandLine,
    /// The plan that it runs.
    pub plan: Plan,
    /// What stands around it.
    pub scene: Scene,
}

impl StoryOutcome {
    /// Whether everything is as it must be.
    pub fn is_clean(&self) -> bool {
        self.report.is_clean() && self.problems.is_empty()
    }
}
