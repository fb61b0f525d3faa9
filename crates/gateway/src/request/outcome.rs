//! How a request ended.

use crate::{base::refusal::Refusal, upstream::response_body::ResponseBody};
use http::Response;
use protocol::Side;

/// How a request ended, and at which side. No side: it was sent nowhere.
pub(crate) struct Outcome {
    pub(crate) side: Option<Side>,
    pub(crate) answer: Result<Response<ResponseBody>, Refusal>,
}

impl Outcome {
    /// Sent nowhere.
    pub(crate) fn refused(refusal: Refusal) -> Self {
        Self {
            side: None,
            answer: Err(refusal),
        }
    }

    /// Answered here.
    pub(crate) fn answered(response: Response<ResponseBody>) -> Self {
        Self {
            side: None,
            answer: Ok(response),
        }
    }

    pub(crate) fn at(side: Side, answer: Result<Response<ResponseBody>, Refusal>) -> Self {
        Self {
            side: Some(side),
            answer,
        }
    }
}
