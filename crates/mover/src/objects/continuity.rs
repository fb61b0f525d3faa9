//! Whether a stream can go on from where it stands, with nothing left out.
//!
//! PostgreSQL does not say so by itself: asked from a position before that of
//! the slot it begins at the slot's, asked from one that its log has not reached
//! it waits for it, and a table that is not published for a while is simply not
//! in the stream. So the source is compared with what the stream's row says of
//! it, before each start of the stream; the publication also while it streams.
//!
//! Whatever is found stays found: a slot does not go back, what a publication is
//! made of has numbers that are not used again, and of a log that ended too early
//! the row takes a note before the log can grow.

use super::{
    slots::{self, ClusterIdentity},
    stream::StreamRow,
};
use crate::{database::session::Session, error::MoverError, layout::Layout};
use plan::TableName;
use postgres_types::PgLsn;
use protocol::{Lsn, Side, stream::Direction};
use std::{collections::BTreeSet, fmt, time::Duration};

/// Why changes are missing, or may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Gap {
    source: Side,
    what: Missing,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Missing {
    OtherServer {
        now: ClusterIdentity,
        before: ClusterIdentity,
    },
    LogEnds {
        end: Lsn,
        position: Lsn,
    },
    /// It was seen earlier to end before a position.
    LogEnded,
    NoSlot(String),
    LogRemoved(String),
    SlotAhead {
        slot: String,
        at: Lsn,
        stored: Lsn,
    },
    PublicationEdited(String),
}

impl Gap {
    /// Whether it shows for a while only, so that the row must keep it.
    pub(crate) fn passes_from_sight(&self) -> bool {
        matches!(self.what, Missing::LogEnds { .. })
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = self.source;
        match &self.what {
            Missing::OtherServer { now, before } => write!(
                f,
                "the {side}'s server is not the one that it was: system identifier {} timeline {}, \
                 but {} timeline {} before. It was restored, promoted or replaced",
                now.system_identifier, now.timeline, before.system_identifier, before.timeline
            ),
            Missing::LogEnds { end, position } => write!(
                f,
                "the {side}'s log ends at {end}, before {position}, up to which it was followed: its \
                 server was restored from an older backup"
            ),
            Missing::LogEnded => write!(
                f,
                "the {side}'s log was seen to end before the position up to which it had been \
                 followed: its server was restored from an older backup"
            ),
            Missing::NoSlot(slot) => {
                write!(f, "there is no slot {slot} in the {side}'s database")
            }
            Missing::LogRemoved(slot) => write!(
                f,
                "the log that slot {slot} needs was removed by the server, as \
                 `max_slot_wal_keep_size` has it"
            ),
            Missing::SlotAhead { slot, at, stored } => write!(
                f,
                "slot {slot} is at {at}, ahead of {stored}, up to which changes are stored: it was \
                 made again or advanced by somebody, or the other side was restored"
            ),
            Missing::PublicationEdited(publication) => write!(
                f,
                "publication {publication} in the {side}'s database was edited or made again, so \
                 that it may have left out changes"
            ),
        }
    }
}

/// What a stream's target knows of its source.
#[derive(Clone, Copy)]
pub(crate) struct Known<'a> {
    pub(crate) row: &'a StreamRow,
    /// What was published when following began.
    pub(crate) published: &'a str,
    /// Tables that are only being added to the publication.
    pub(crate) joining: &'a [TableName],
    /// Up to where the source was followed, if that is further than the row: the
    /// stream goes back where tables were added.
    pub(crate) had: Lsn,
    /// For how long, at least, nobody has compared them.
    pub(crate) unseen: Duration,
}

/// Compares a stream's source with what is known of it. `cluster`: as the server
/// says it that is read from.
pub(crate) async fn gap(
    source: &Session,
    layout: &Layout,
    known: &Known<'_>,
    cluster: &ClusterIdentity,
) -> Result<Option<Gap>, MoverError> {
    let (side, row) = (source.side(), known.row);
    let found = |what| Ok(Some(Gap { source: side, what }));
    if row.timeline == 0 {
        return found(Missing::LogEnded);
    }
    let before = ClusterIdentity {
        system_identifier: row.system_identifier.clone(),
        timeline: row.timeline,
    };
    if *cluster != before {
        return found(Missing::OtherServer {
            now: cluster.clone(),
            before,
        });
    }
    let position = row.position.max(known.had);
    if let Some(end) = log_ends_before(source, position, known.unseen).await? {
        return found(Missing::LogEnds { end, position });
    }
    let slot = layout.slot(Direction::from_source(side));
    match slots::find(source, &slot).await? {
        None => return found(Missing::NoSlot(slot)),
        Some(one) if one.lost => return found(Missing::LogRemoved(slot)),
        Some(one) if one.confirmed > row.position => {
            return found(Missing::SlotAhead {
                slot,
                at: one.confirmed,
                stored: row.position,
            });
        }
        Some(_) => {}
    }
    edited(source, layout, known.published, known.joining).await
}

/// Whether the publication is another than it was when following began, but for
/// the tables that are being added.
pub(crate) async fn edited(
    source: &Session,
    layout: &Layout,
    published: &str,
    joining: &[TableName],
) -> Result<Option<Gap>, MoverError> {
    let publication = layout.publication();
    let now = fingerprint(source, &publication).await?;
    let new = parts_of(source, &publication, joining).await?;
    let edited =
        now.is_empty() || !published.is_empty() && without(&now, &new) != without(published, &new);
    Ok(edited.then(|| Gap {
        source: source.side(),
        what: Missing::PublicationEdited(publication),
    }))
}

/// What a publication is made of, by numbers that change with each edit and
/// never come back; empty where there is none.
pub(crate) async fn fingerprint(source: &Session, publication: &str) -> Result<String, MoverError> {
    let row = source
        .query_opt(
            "select concat(p.oid, '/', p.xmin, ':', (\
                select string_agg(concat(r.oid, '/', r.xmin), ',' order by r.oid) \
                from pg_publication_rel r where r.prpubid = p.oid)) \
             from pg_publication p where p.pubname = $1",
            &[&publication],
        )
        .await
        .map_err(MoverError::sql(source.side(), "reading the publication"))?;
    Ok(row.map(|row| row.get(0)).unwrap_or_default())
}

/// A fingerprint's parts, but for some.
fn without<'a>(fingerprint: &'a str, parts: &[String]) -> (&'a str, BTreeSet<&'a str>) {
    let (publication, tables) = fingerprint.split_once(':').unwrap_or((fingerprint, ""));
    let kept = tables
        .split(',')
        .filter(|part| !part.is_empty() && !parts.iter().any(|one| one == part));
    (publication, kept.collect())
}

/// A fingerprint with these parts as well.
pub(crate) fn with(fingerprint: &str, parts: &[String]) -> String {
    let (publication, mut tables) = without(fingerprint, parts);
    tables.extend(parts.iter().map(String::as_str));
    let tables: Vec<&str> = tables.into_iter().collect();
    format!("{publication}:{}", tables.join(","))
}

/// What a publication's fingerprint has of these tables.
pub(crate) async fn parts_of(
    source: &Session,
    publication: &str,
    tables: &[TableName],
) -> Result<Vec<String>, MoverError> {
    if tables.is_empty() {
        return Ok(Vec::new());
    }
    let schemas: Vec<&str> = tables.iter().map(|table| table.schema.as_str()).collect();
    let names: Vec<&str> = tables.iter().map(|table| table.table.as_str()).collect();
    let rows = source
        .query(
            "select concat(r.oid, '/', r.xmin) from pg_publication p \
             join pg_publication_rel r on r.prpubid = p.oid join pg_class c on c.oid = r.prrelid \
             join pg_namespace n on n.oid = c.relnamespace \
             where p.pubname = $1 and (n.nspname::text, c.relname::text) in \
                (select * from unnest($2::text[], $3::text[]))",
            &[&publication, &schemas, &names],
        )
        .await
        .map_err(MoverError::sql(source.side(), "reading the publication"))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Where the log ends now; how long the server has run; and where its log ended when
/// it was started. The last is known where it was recovered then, after a crash or from
/// a copy of its files, and after a clean start until the next checkpoint: the one of
/// the clean end is the last record.
const LOG: &str = "select pg_current_wal_insert_lsn(), \
    extract(epoch from clock_timestamp() - pg_postmaster_start_time())::float8, \
    pg_last_wal_replay_lsn()";

const LAST_CHECKPOINT: &str = "select checkpoint_lsn from pg_control_checkpoint() \
    where checkpoint_time < pg_postmaster_start_time()";

/// A checkpoint's record, with a page's header in it, and room for what later
/// versions add.
const CHECKPOINT_BYTES: u64 = 256;

/// Where the log ends or ended, if that is before a position up to which it was
/// followed: now, or when the server was started after anybody looked. Since then it
/// may have grown past the position, with other changes.
async fn log_ends_before(
    source: &Session,
    position: Lsn,
    unseen: Duration,
) -> Result<Option<Lsn>, MoverError> {
    let wrap = || MoverError::sql(source.side(), "asking for the end of the log");
    let row = source.query_one(LOG, &[]).await.map_err(wrap())?;
    let now = Lsn(row.get::<_, PgLsn>(0).into());
    if now < position {
        return Ok(Some(now));
    }
    let run = Duration::try_from_secs_f64(row.get(1)).unwrap_or_default();
    if run > unseen {
        return Ok(None);
    }
    let mut then = row.get::<_, Option<PgLsn>>(2).map(|at| Lsn(at.into()));
    if then.is_none() {
        // Its right can be taken from everybody.
        let right = "select has_function_privilege('pg_control_checkpoint()', 'EXECUTE')";
        if source.query_one(right, &[]).await.map_err(wrap())?.get(0) {
            let last = source.query_opt(LAST_CHECKPOINT, &[]).await;
            then = last.map_err(wrap())?.map(|row| {
                let at: u64 = row.get::<_, PgLsn>(0).into();
                Lsn(at + CHECKPOINT_BYTES)
            });
        }
    }
    Ok(then.filter(|then| *then < position))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_that_are_added_are_no_edit_and_then_part_of_it() {
        let (before, new) = ("16/700:20/701,21/702", ["22/710".to_owned()]);
        let after = "16/700:20/701,21/702,22/710";
        assert_eq!(without(after, &new), without(before, &new));
        assert_eq!(with(before, &new), after);
        assert_eq!(with(after, &new), after);
        for edited in [
            "16/700:20/701",
            "16/700:20/701,21/703,22/710",
            "17/9:20/701,21/702",
        ] {
            assert_ne!(without(edited, &new), without(before, &new), "{edited}");
        }
    }
}
