//! Where a rollout is, and what events make of that.

use super::{
    event::Event,
    moment::UnixMillis,
    stop::{StopReason, Undo},
};
use serde::{Deserialize, Serialize};

/// Where a rollout is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum Rollout {
    /// It has not begun.
    #[default]
    Idle,
    /// It is in a step.
    Running(Position),
    /// It has stopped in a step, until a person resumes it.
    Stopped {
        /// In which.
        position: Position,
        /// Why.
        why: StopReason,
        /// What takes back what the step has done, and is still due.
        undo: Option<Undo>,
    },
    /// All steps are behind it.
    Done,
}

/// In which step a rollout is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Position {
    /// Its place, from 0.
    pub step: usize,
    /// Since when what it wants is so; `None`: it is not yet.
    pub entered: Option<UnixMillis>,
    /// When all was found to be so that it waits for before it begins.
    pub permitted: Option<UnixMillis>,
    /// Whether a person has approved it.
    pub is_approved: bool,
    /// Whether a person had it go on here: what is so may be anything less.
    pub is_resumed: bool,
}

impl Position {
    fn at(step: usize) -> Self {
        Self {
            step,
            entered: None,
            permitted: None,
            is_approved: false,
            is_resumed: false,
        }
    }
}

impl Rollout {
    /// Where it is, unless it has not begun or is done.
    pub fn position(&self) -> Option<&Position> {
        match self {
            Self::Idle | Self::Done => None,
            Self::Running(position) | Self::Stopped { position, .. } => Some(position),
        }
    }

    /// The state after an event. Events that do not fit change nothing.
    #[must_use]
    pub fn evolve(self, event: &Event) -> Self {
        match (self, event) {
            (Self::Idle | Self::Done, Event::Began { .. }) => Self::Running(Position::at(0)),
            (Self::Running(position), Event::Permitted { step, at, .. })
                if position.step == *step =>
            {
                Self::Running(Position {
                    permitted: Some(*at),
                    ..position
                })
            }
            (Self::Running(position), Event::Entered { step, at, .. })
                if position.step == *step =>
            {
                Self::Running(Position {
                    entered: Some(*at),
                    ..position
                })
            }
            (Self::Running(position), Event::Passed { step, .. }) if position.step == *step => {
                Self::Running(Position::at(step + 1))
            }
            (_, Event::Ended) => Self::Done,
            (
                Self::Running(position) | Self::Stopped { position, .. },
                Event::Stopped { why, undo },
            ) => Self::Stopped {
                position,
                why: why.clone(),
                undo: *undo,
            },
            (Self::Stopped { position, why, .. }, Event::Undone { .. }) => Self::Stopped {
                position,
                why,
                undo: None,
            },
            (Self::Idle | Self::Stopped { .. } | Self::Done, Event::Resumed { step, .. }) => {
                Self::Running(Position {
                    is_resumed: true,
                    ..Position::at(*step)
                })
            }
            (Self::Running(position), Event::Approved { step, .. }) if position.step == *step => {
                Self::Running(Position {
                    is_approved: true,
                    ..position
                })
            }
            (Self::Running(position), Event::ApprovalLapsed { step }) if position.step == *step => {
                Self::Running(Position {
                    is_approved: false,
                    ..position
                })
            }
            // What was permitted was so by another plan.
            (Self::Running(position), Event::PlanRead { .. }) => Self::Running(Position {
                permitted: None,
                ..position
            }),
            // What was approved is not what comes now.
            (Self::Running(position), Event::StepsChanged { first, .. }) => {
                let is_other = position.entered.is_none() && *first <= position.step;
                Self::Running(Position {
                    permitted: None,
                    is_approved: position.is_approved && !is_other,
                    ..position
                })
            }
            // The extraction was cancelled, or it is finished.
            (_, Event::Forgotten) => Self::Idle,
            (state, _) => state,
        }
    }
}
