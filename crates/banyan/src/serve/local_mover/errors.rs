//! The mover's errors, as the conductor distinguishes them.

use conductor::ports::WorkError;
use mover::MoverError;

pub(super) fn work_error(error: MoverError) -> WorkError {
    match error {
        MoverError::Superseded { .. } => WorkError::Superseded(error.to_string()),
        MoverError::WentBack { .. } | MoverError::Overtaken { .. } => {
            WorkError::RowChanged(error.to_string())
        }
        MoverError::InCharge { .. } => WorkError::InCharge(error.to_string()),
        error if error.is_transient() => WorkError::Transient(error.to_string()),
        error => WorkError::Permanent(error.to_string()),
    }
}
