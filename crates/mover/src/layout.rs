//! The names of everything that Banyan puts into a user's database, and the
//! definitions of its own schema. `cancel` removes exactly this.
//!
//! | object | where | from | to |
//! |---|---|---|---|
//! | schema `banyan` with `owner`, `stream`, `fence()` | both | prepare | cancel, finish |
//! | in it `discarded`, `observation`, `writer`: what was seen | both | prepare | cancel, finish |
//! | publication, slot, origin `banyan_<extraction>` | both | prepare | cancel |
//! | origins `banyan_<extraction>_copy_<worker>` | service | copy | its end, or cancel |
//! | trigger `banyan_fence` on each table | the side that is not the owner | prepare or fence | unfence |

mod notes;

use crate::database::sql;
use plan::{ExtractionName, TableName};
use protocol::{Side, owner::Claim, stream::Direction};

/// The schema of our tables, in both databases.
pub const SCHEMA: &str = "banyan";

/// The trigger that refuses writes.
pub const FENCE_TRIGGER: &str = "banyan_fence";

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
    pub fn create_fence(&self, table: &TableName, side: Side) -> String {
        let table = sql::table(table);
        format!(
            "create or replace trigger {FENCE_TRIGGER} \
             before insert or update or delete or truncate on {table} \
             for each statement execute function {SCHEMA}.fence({}, {}, '{}'); \
             alter table {table} enable always trigger {FENCE_TRIGGER}",
            sql::literal(self.extraction.as_str()),
            sql::literal(side.as_str()),
            self.advisory_key(),
        )
    }

    /// Drops the trigger from one table.
    pub fn drop_fence(&self, table: &TableName) -> String {
        format!(
            "drop trigger if exists {FENCE_TRIGGER} on {}",
            sql::table(table)
        )
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
{notes}
create or replace function {SCHEMA}.fence() returns trigger
    language plpgsql security definer set search_path = pg_catalog, pg_temp as $fence$
declare
    claim text := current_setting('{CLAIM_SETTING}', true);
    holder text;
    allowed text;
begin
    -- Only spares writers an error while a hand-over runs; decides nothing.
    if coalesce(claim, '') = '' then
        perform pg_advisory_xact_lock_shared({ADVISORY_CLASS}, tg_argv[2]::integer);
    end if;
    -- The row decides. FOR SHARE: a snapshot from before the fence fails with
    -- 40001 instead of passing on the old row.
    select o.owner, concat(o.conductor, '/', o.generation) into allowed, holder
        from {SCHEMA}.owner o where o.extraction = tg_argv[0] for share;
    if allowed is distinct from tg_argv[1] and claim is distinct from holder then
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
            notes = notes::tables(),
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
