//! End-to-end cases: one directory each, also for what must fail.
//!
//! Every case starts the real binaries on private PostgreSQL clusters of its
//! own, and an auditor that took no part looks at what they left. The binaries
//! must have been built: `./x test` does that.

mod failpoint;
mod seed;
mod stage;

mod a_table_joins;
mod audit_log;
mod auditor_finds_planted_faults;
mod bad_input;
mod begun_is_guarded;
mod brown_out;
mod cancel_leaves_no_trace;
mod checklists;
mod chunked_uploads;
mod console;
mod dashboards;
mod drills;
mod ends_within_its_grace;
mod environment_overrides;
mod finished;
mod first_extraction;
mod forgotten_route;
mod generated_monolith;
mod hold_bounds_503;
mod identity_moves;
mod killed_after_commit_point;
mod killed_after_fence;
mod killed_after_hold;
mod killed_after_opening;
mod killed_at_any_moment;
mod long_transaction_aborts;
mod lost_journal;
mod monolith_own_tests;
mod past_the_fence;
mod planted_difference;
mod reads_that_write;
mod rehearsed_hold;
mod retired;
mod same_answers;
mod second_conductor;
mod sessions;
mod set_checked;
mod set_watched;
mod shared_role;
mod shared_writes;
mod steps;
mod story;
mod stream_fails_and_returns;
mod taken_over;
mod target_killed_during_switch;
mod unhealthy_sides;
mod vanished_host;
mod what_check_prints;
