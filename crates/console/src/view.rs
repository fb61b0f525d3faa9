//! From the API's JSON to the words and numbers of a page. Pure.

pub(crate) mod checklist;
pub(crate) mod dashboards;
pub(crate) mod decision;
pub(crate) mod differences;
pub(crate) mod extraction;
pub(crate) mod flags;
pub(crate) mod format;
pub(crate) mod log;
pub(crate) mod migrations;
pub(crate) mod next;
pub(crate) mod rail;
pub(crate) mod reasons;
pub(crate) mod rehearsals;
pub(crate) mod retire;
pub(crate) mod sentence;
pub(crate) mod shadow;
pub(crate) mod tables;
pub(crate) mod verbs;
pub(crate) mod waterfall;
