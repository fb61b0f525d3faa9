//! Settings that decide how long a server keeps what a stream needs.

use crate::{database::session::Session, error::MoverError};

/// Values of `pg_settings` in the units that it has them in: megabytes,
/// milliseconds, kilobytes; the timeout of version 18 may be in seconds.
const SETTINGS: &str = "select \
    coalesce((select setting::bigint from pg_settings where name = 'max_slot_wal_keep_size'), -1), \
    coalesce((select extract(epoch from current_setting(name)::interval)::bigint from pg_settings \
        where name = 'idle_replication_slot_timeout' and setting <> '0'), 0), \
    coalesce((select setting::bigint from pg_settings where name = 'wal_sender_timeout'), 0), \
    coalesce((select setting::bigint from pg_settings where name = 'logical_decoding_work_mem'), 65536), \
    (select count(*) from pg_stat_replication where application_name not like 'banyan%' \
        and state in ('streaming', 'catchup')), \
    (select count(*) from pg_replication_slots where slot_type = 'physical' and active)";

/// What one server keeps, and for whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Retention {
    /// Megabytes; -1 without a bound.
    pub(super) slot_keeps: i64,
    /// Seconds; 0 for never.
    pub(super) idle_slot: i64,
    /// Milliseconds; 0 for never.
    pub(super) sender_timeout: i64,
    /// Kilobytes.
    pub(super) decoding_memory: i64,
    /// Others that stream from it.
    pub(super) standbys: i64,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            slot_keeps: -1,
            idle_slot: 0,
            sender_timeout: 60_000,
            decoding_memory: 65_536,
            standbys: 0,
        }
    }
}

pub(super) async fn read(session: &Session) -> Result<Retention, MoverError> {
    let wrap = MoverError::sql(session.side(), "reading the server's settings");
    let row = session.query_one(SETTINGS, &[]).await.map_err(wrap)?;
    let (streaming, slots): (i64, i64) = (row.get(4), row.get(5));
    Ok(Retention {
        slot_keeps: row.get(0),
        idle_slot: row.get(1),
        sender_timeout: row.get(2),
        decoding_memory: row.get(3),
        standbys: streaming.max(slots),
    })
}
