//! The body of an answer on its way to a client, which keeps its request under way.

use crate::{
    body::Keeping, state::under_way::TalliedRequest, upstream::response_body::ResponseBody,
};

/// The body of an answer on its way to a client. Requests that were not read, and
/// upgraded connections, are not under way by it.
pub(crate) type ClientBody = Keeping<ResponseBody, Option<TalliedRequest>>;
