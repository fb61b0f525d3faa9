//! The names of everything that Banyan puts into a user's database, and the
//! definitions of its own schema. `cancel` removes exactly this.
//!
//! | object | where | from | to |
//! |---|---|---|---|
//! | schema `banyan` with `owner`, `stream`, `shape`, `fence()`, `count_refusal()` | both | prepare | cancel, finish |
//! | in it `published`, `declared`: what was begun with | both | prepare | cancel, finish |
//! | in it `frozen`: tables whose shape stays as it is | both | freeze | cancel, finish |
//! | in it `keep_shape()`, event triggers `banyan_freeze`, `banyan_freeze_drop` | both | a superuser | cancel, finish |
//! | role `banyan_freeze` | both | a superuser | a superuser |
//! | in it `joining`: tables that were added to it | service | add-table | cancel, finish |
//! | in it `put_off`: indexes that are built when the rows are there | service | copy | the copy's end, cancel |
//! | in it `discarded`, `observation`, `writer`: what was seen | both | prepare | cancel, finish |
//! | in it sequences `refusals_<extraction>`, `first_refusal_…`, `last_refusal_…` | both | prepare | cancel, finish |
//! | publication, slot, origin `banyan_<extraction>` | both | prepare | cancel |
//! | origins `banyan_<extraction>_copy_<worker>` | service | copy, join | the copy's end; cancel, finish where both sides append or tables joined |
//! | trigger `banyan_fence` on each table | the side that is not the owner | prepare or fence | unfence |
//! | the same where both sides append | both | prepare | cancel |
//! | the same where each side keeps its own | service | prepare | unfence |

mod notes;
mod refusals;

use crate::database::sql;
use plan::{ExtractionName, TableName, TableWrites};
use protocol::{Side, owner::Claim, stream::Direction};

/// The schema of our tables, in both databases.
pub const SCHEMA: &str = "banyan";

/// The trigger that refuses writes.
pub const FENCE_TRIGGER: &str = "banyan_fence";

/// What each moved table of a side was made of when both sides agreed last.
pub const SHAPE_TABLE: &str = "create table if not exists banyan.shape (
    extraction text not null,
    relation text not null,
    storage text not null,
    columns text not null,
    kept_at timestamptz not null default now(),
    primary key (extraction, relation)
)";

/// Indexes of the service's tables that are built when the copy's rows are there, as
/// `definition` says; `recreates`: the statement that makes it its constraint's again.
const PUT_OFF_TABLE: &str = "create table if not exists banyan.put_off (
    extraction text not null,
    name text not null,
    definition text not null,
    recreates text,
    primary key (extraction, name)
)";

/// The first half of our advisory locks' keys; the second is the extraction's.
pub const ADVISORY_CLASS: i32 = 0x0BA9_7A90;

/// The same of the lock that a conductor in charge holds.
pub const PRESENCE_CLASS: i32 = ADVISORY_CLASS + 1;

/// The same of the lock that sessions at work hold, shared.
pub const WORK_CLASS: i32 = ADVISORY_CLASS + 2;

/// The setting that shows a fence the claim in whose name a transaction writes.
/// It lasts as long as the transaction, and only what locks the ownership row
/// sets it (`objects::owner::locked`).
pub const CLAIM_SETTING: &str = "banyan.claim";

/// A claim as [`CLAIM_SETTING`] has it. `fence()` makes the same of the row.
pub fn claim_text(claim: Claim) -> String {
    format!("{}/{}", claim.conductor, claim.generation)
}

/// How many workers copy tables at once; each has an origin of its own. Two
/// keep both cores of a small server busy; more take more from the monolith
/// than they give.
pub const COPY_WORKERS: usize = 2;

/// What the fence of one table refuses where the row does not name the side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FenceScope {
    /// Every write.
    Whole,
    /// Updates and deletes; a truncation on either side, whoever owns: it would
    /// take rows of the other side that are still on their way.
    Changes,
    /// As `Changes`, and inserts as well: before the copy has ended, and from
    /// the moment of a cancel on.
    Closed,
    /// Every write, until the service has owned the data once.
    UntilSplit,
}

impl FenceScope {
    /// Of a table that is written like this, once it has been copied.
    pub fn of(writes: TableWrites) -> Self {
        match writes {
            TableWrites::Owner => Self::Whole,
            TableWrites::Append => Self::Changes,
            TableWrites::Split => Self::UntilSplit,
        }
    }

    /// The events that the trigger is for.
    fn events(self) -> &'static str {
        match self {
            Self::Changes => "update or delete or truncate",
            Self::Whole | Self::Closed | Self::UntilSplit => {
                "insert or update or delete or truncate"
            }
        }
    }

    /// The trigger's last argument.
    fn writes(self) -> TableWrites {
        match self {
            Self::Whole => TableWrites::Owner,
            Self::Changes | Self::Closed => TableWrites::Append,
            Self::UntilSplit => TableWrites::Split,
        }
    }
}

/// Names of one extraction's objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    extraction: ExtractionName,
}

impl Layout {
    /// The names of this extraction.
    pub fn new(extraction: &ExtractionName) -> Self {
        Self {
            extraction: extraction.clone(),
        }
    }

    /// The extraction, as the rows name it.
    pub fn extraction(&self) -> &str {
        self.extraction.as_str()
    }

    /// The publication on the source of a direction, of its tables there.
    pub fn publication(&self) -> String {
        format!("banyan_{}", self.extraction.slug())
    }

    /// The replication slot on the source of a direction. Slots are named per
    /// cluster, not per database: the two sides may be in one.
    pub fn slot(&self, direction: Direction) -> String {
        format!("banyan_{}_{}", self.extraction.slug(), direction.as_str())
    }

    /// The origin of everything that we write on a side. Origins are named per
    /// cluster as well.
    pub fn origin(&self, side: Side) -> String {
        format!("banyan_{}_{}", self.extraction.slug(), side.as_str())
    }

    /// The origins of everything that we write on a side, the copy included.
    pub fn origins(&self, side: Side) -> Vec<String> {
        let copy = (0..COPY_WORKERS).map(|worker| self.copy_origin(worker));
        match side {
            Side::Monolith => vec![self.origin(side)],
            Side::Service => copy.chain([self.origin(side)]).collect(),
        }
    }

    /// The origin of one worker of the copy: only one session can use an origin.
    pub fn copy_origin(&self, worker: usize) -> String {
        format!("banyan_{}_copy_{worker}", self.extraction.slug())
    }

    /// The second half of the advisory lock's key: FNV-1a of the name.
    #[expect(clippy::cast_possible_wrap, reason = "a key is any 32 bits")]
    pub fn advisory_key(&self) -> i32 {
        let hash = self
            .extraction
            .as_str()
            .bytes()
            .fold(0x811C_9DC5_u32, |hash, byte| {
                (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
            });
        hash as i32
    }

    /// Creates the trigger on one table of a side.
    pub fn create_fence(&self, table: &TableName, side: Side, scope: FenceScope) -> String {
        let table = sql::table(table);
        format!(
            "create or replace trigger {FENCE_TRIGGER} \
             before {} on {table} \
             for each statement execute function {SCHEMA}.fence({}, {}, '{}', '{}'); \
             alter table {table} enable always trigger {FENCE_TRIGGER}",
            scope.events(),
            sql::literal(self.extraction.as_str()),
            sql::literal(side.as_str()),
            self.advisory_key(),
            scope.writes(),
        )
    }

    /// Drops the trigger from one table.
    pub fn drop_fence(&self, table: &TableName) -> String {
        format!(
            "drop trigger if exists {FENCE_TRIGGER} on {}",
            sql::table(table)
        )
    }

    /// The sequences in which the fence counts: how many statements it has refused,
    /// when the first, when the last.
    pub(crate) fn refusal_counters(&self) -> [String; 3] {
        refusals::counters(SCHEMA, &self.extraction.slug())
    }

    /// Makes them where they are missing.
    pub(crate) fn create_refusal_counters(&self) -> String {
        refusals::create(self.refusal_counters())
    }

    /// Takes them away.
    pub(crate) fn drop_refusal_counters(&self) -> String {
        let names = self.refusal_counters().join(", ");
        format!("drop sequence if exists {names}")
    }

    /// The schema of one side. Run inside a transaction; may be repeated. It
    /// locks nothing of the users', and of ours only what it makes.
    ///
    /// Nothing in it is secret: whoever dumps the database reads all of it, and
    /// `pg_dump` fails on a table that it may not read.
    pub fn schema() -> String {
        format!(
            r#"
create schema if not exists {SCHEMA};
create table if not exists {SCHEMA}.owner (
    extraction text primary key,
    owner text not null check (owner in ('monolith', 'service', 'nobody')),
    epoch bigint not null,
    generation bigint not null,
    conductor uuid not null,
    instance uuid not null,
    nonce uuid not null,
    changed_at timestamptz not null default now()
);
create table if not exists {SCHEMA}.stream (
    extraction text primary key,
    state text not null check (state in ('applying', 'stopped', 'waiting', 'copying')),
    epoch bigint not null,
    position pg_lsn not null,
    system_identifier text not null,
    timeline integer not null,
    changed_at timestamptz not null default now()
);
-- The source's publication as it was when following began. A column of `stream`
-- would wait for whoever dumps that, where an earlier version has made it.
create table if not exists {SCHEMA}.published (
    extraction text primary key,
    parts text not null
);
-- How the plan had each table written when the extraction began.
create table if not exists {SCHEMA}.declared (
    extraction text not null,
    relation text not null,
    writes text not null,
    primary key (extraction, relation)
);
-- Tables that were added when the extraction had begun, in the service's database.
-- `position`: null while they are only allowed to join, 0/0 while they are copied,
-- then from where their changes are followed; `others_from`: from where those of
-- the other tables are, which had been followed further.
create table if not exists {SCHEMA}.joining (
    extraction text not null,
    relation text not null,
    position pg_lsn,
    others_from pg_lsn not null default '0/0',
    primary key (extraction, relation)
);
-- Tables whose shape stays as it is for a while.
create table if not exists {SCHEMA}.frozen (
    extraction text primary key,
    relations oid[] not null,
    until timestamptz not null
);
{notes}
{SHAPE_TABLE}; {PUT_OFF_TABLE};
{refusals}
create or replace function {SCHEMA}.fence() returns trigger
    language plpgsql security definer set search_path = pg_catalog, pg_temp as $fence$
declare
    claim text := current_setting('{CLAIM_SETTING}', true);
    holder text;
    allowed text;
    since bigint;
begin
    -- Only spares writers an error while a hand-over runs; decides nothing.
    if coalesce(claim, '') = '' then
        perform pg_advisory_xact_lock_shared({ADVISORY_CLASS}, tg_argv[2]::integer);
    end if;
    -- The row decides. FOR SHARE: a snapshot from before the fence fails with
    -- 40001 instead of passing on the old row.
    select o.owner, o.epoch, concat(o.conductor, '/', o.generation)
        into allowed, since, holder
        from {SCHEMA}.owner o where o.extraction = tg_argv[0] for share;
    if tg_op = 'TRUNCATE' and tg_argv[3] = 'append' and coalesce(claim, '') is distinct from holder
    then
        perform {SCHEMA}.count_refusal(tg_argv[0]);
        raise exception 'table "%" has rows of both sides of extraction "%": it cannot be truncated',
            tg_table_name, tg_argv[0]
            using errcode = 'object_not_in_prerequisite_state',
                  table = tg_table_name, schema = tg_table_schema,
                  hint = 'Delete its rows, on the side that owns the extraction.';
    end if;
    -- Where each side keeps its own, it does since the first switch.
    if allowed is distinct from tg_argv[1] and coalesce(claim, '') is distinct from holder
        and (tg_argv[3] is distinct from 'split' or coalesce(since, 0) = 0) then
        perform {SCHEMA}.count_refusal(tg_argv[0]);
        raise exception 'extraction "%" does not take writes here: its owner is %',
            tg_argv[0], coalesce(allowed, 'unknown')
            using errcode = 'read_only_sql_transaction',
                  table = tg_table_name, schema = tg_table_schema,
                  hint = 'Send the write through the Banyan gateway.';
    end if;
    return null;
end
$fence$;
grant usage on schema {SCHEMA} to public;
grant select on all tables in schema {SCHEMA} to public;
"#,
            notes = notes::tables(SCHEMA),
            refusals = refusals::function(SCHEMA),
        )
    }

    /// What the schema's comment says where its definition is this one.
    pub fn schema_version() -> String {
        let hash = Self::schema()
            .bytes()
            .fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
            });
        format!("Made by Banyan (definition {hash:016x})")
    }
}
