//! What a rollout waits for.

use super::moment::UnixMillis;
use std::fmt;

/// A wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// For what; at least one.
    pub for_what: Vec<WaitsFor>,
    /// Until when at least, where that is known.
    pub until: Option<UnixMillis>,
}

/// What a rollout waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WaitsFor {
    /// `banyan start`.
    Start,
    /// The first copy, or a hand-over.
    Work(&'static str),
    /// Other extractions that have to switch first.
    Others(Vec<String>),
    /// The step's time.
    Time,
    /// A gate, in its words.
    Gate {
        /// Its name.
        name: String,
        /// What it finds.
        text: String,
    },
    /// A person's approval.
    Approval {
        /// Of what.
        of: String,
    },
    /// A person who lets the next step begin.
    Promotion,
    /// A person who resumes it.
    Resume {
        /// Why it has stopped.
        why: String,
        /// With which step, from 1, where that is another one than it stopped in.
        step: Option<usize>,
    },
    /// A person who ends the halt.
    HaltEnd {
        /// Who halted, and why.
        why: String,
    },
    /// `banyan retire`.
    Retire,
}

impl fmt::Display for WaitsFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start => f.write_str("`banyan start`"),
            Self::Work(what) => f.write_str(what),
            Self::Others(names) => write!(f, "{} to switch first", names.join(", ")),
            Self::Time => f.write_str("the step's time"),
            Self::Gate { name, text } => write!(f, "gate `{name}`: {text}"),
            Self::Approval { of } => write!(f, "approval of \"{of}\": `banyan approve`"),
            Self::Promotion => f.write_str(
                "a person: the plan says `automatic: { promote: off }`. `banyan approve` lets the \
                 next step begin",
            ),
            Self::Resume { why, step: None } => write!(f, "`banyan resume`: {why}"),
            Self::Resume {
                why,
                step: Some(step),
            } => write!(f, "`banyan resume --step {step}`: {why}"),
            Self::HaltEnd { why } => write!(f, "`banyan halt --off`: {why}"),
            Self::Retire => f.write_str("a person: `banyan finish` ends the way back, `banyan retire` proves that it may go"),
        }
    }
}
