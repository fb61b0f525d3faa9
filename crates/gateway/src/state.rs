//! What lasts from one request to the next.

pub(crate) mod client_id;
pub(crate) mod collectors;
pub(crate) mod config;
pub(crate) mod connections;
pub(crate) mod failed_answers;
pub(crate) mod features;
pub(crate) mod gateway_state;
pub(crate) mod hold;
pub(crate) mod inflight;
mod lineage;
pub(crate) mod lsn_sampler;
pub(crate) mod old_ways;
pub(crate) mod pin;
pub(crate) mod pins;
pub(crate) mod positions;
pub(crate) mod recorder;
pub(crate) mod release_order;
pub(crate) mod shadow_copies;
pub(crate) mod side_counts;
pub(crate) mod status_pages;
pub(crate) mod under_way;
pub(crate) mod worker;
