//! An error as a finding.

use crate::error::MoverError;
use protocol::{
    Side,
    finding::{Finding, FindingId as Id},
};
use std::fmt;

/// An error while reading a side is itself a finding.
pub(super) fn of_error(side: Side, database: &impl fmt::Display, error: &MoverError) -> Finding {
    let object = format!("the {side}'s database {database}");
    match error {
        MoverError::Connect { reason, remedy, .. } => Finding::refuse(
            Id::Unreachable,
            object,
            format!("it cannot be used: {reason}"),
            *remedy,
        ),
        MoverError::Data {
            object,
            problem,
            remedy,
        } => Finding::refuse(
            Id::Unreadable,
            object.as_str(),
            problem.as_str(),
            remedy.as_str(),
        ),
        MoverError::Blocked { .. } => Finding::refuse(
            Id::Unreadable,
            object,
            error.to_string(),
            "Let it end, then check again",
        ),
        error => Finding::refuse(
            Id::Unreadable,
            object,
            error.to_string(),
            "Give the role of the plan the rights that this needs, then check again",
        ),
    }
}
