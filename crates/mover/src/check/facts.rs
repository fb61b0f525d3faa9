//! The facts of a side's server and role, as the rules of `check` need them.

use super::{
    functions::{self, CalledFunction},
    relations::{self, BoundaryFacts, Emptiness, TableFacts},
    settings::{self, Retention},
    shared_facts::{self, SharedFacts},
    staying_facts::{self, StayingFacts},
};
use crate::{
    catalog::sequences::{self, Sequence},
    database::{
        lock_retry::{self, LockRetry},
        replication::ReplicationConnection,
        session::Session,
    },
    error::MoverError,
    extraction::Mover,
    objects::{
        owner,
        publication::{self, Publication},
    },
};
use plan::DatabaseUrl;
use protocol::{
    Side,
    stream::{Direction, is_split},
};
use std::time::Duration;

/// How long the probe of a replication connection may take.
const PROBE_LIMIT: Duration = Duration::from_secs(5);

/// Functions that only a superuser may call unless they are granted.
pub(super) const FUNCTIONS: [&str; 8] = [
    "pg_replication_origin_create(text)",
    "pg_replication_origin_drop(text)",
    "pg_replication_origin_oid(text)",
    "pg_replication_origin_session_setup(text)",
    "pg_replication_origin_session_reset()",
    "pg_replication_origin_xact_setup(pg_lsn,timestamp with time zone)",
    "pg_replication_origin_xact_reset()",
    "pg_control_system()",
];

const SERVER: &str = "select current_setting('server_version_num')::integer, \
        current_setting('server_version'), current_setting('wal_level'), \
        current_setting('server_encoding'), current_database()::text, pg_is_in_recovery(), \
        current_setting('max_replication_slots')::bigint, \
        (select count(*) from pg_replication_slots where slot_name <> $1), \
        coalesce((select case when database = current_database() then 'ours' else 'theirs' end \
            from pg_replication_slots where slot_name = $1), 'none'), \
        current_setting('max_wal_senders')::bigint, \
        (select count(*) from pg_stat_replication where application_name not like 'banyan%'), \
        coalesce(current_setting('max_active_replication_origins', true), \
            current_setting('max_replication_slots'))::bigint, \
        (select count(*) from pg_replication_origin where roname <> $2), \
        (select count(*) from pg_prepared_xacts where database = current_database()), \
        pg_postmaster_start_time()::text, \
        (select concat(case coalesce(j ->> 'datlocprovider', 'c') when 'i' then 'icu ' \
                when 'b' then 'builtin ' else 'libc ' end, \
            coalesce(j ->> 'datlocale', j ->> 'daticulocale', j ->> 'datcollate'), \
            ' ' || (j ->> 'daticurules')) \
            from pg_database d, to_jsonb(d) j where d.datname = current_database())";

/// Amazon RDS and Aurora give the right to replicate by a role of theirs.
const ROLE: &str = "select r.rolname::text, r.rolsuper, \
        r.rolreplication or exists (select from pg_roles m \
            where m.rolname = 'rds_replication' and pg_has_role(r.oid, m.oid, 'member')), \
        has_database_privilege(current_database(), 'CREATE'), \
        array(select f from unnest($1::text[]) f \
            where to_regprocedure('pg_catalog.' || f) is not null \
              and not has_function_privilege('pg_catalog.' || f, 'EXECUTE')) \
    from pg_roles r where r.rolname = session_user";

/// From version 15 on the right to set it can be granted.
const REPLICA_ROLE: &str = "select has_parameter_privilege('session_replication_role', 'SET')";

/// Sessions that log in as we do but are not ours.
const OTHER_SESSIONS: &str = "select distinct coalesce(nullif(application_name, ''), '(no name)') \
    from pg_stat_activity \
    where usename = session_user and datname = current_database() \
      and backend_type = 'client backend' and application_name not like 'banyan%' order by 1";

/// Of whom the server does not show what they do, and what ends that. Ours is
/// read as it is; of others only what is set for a role or the database is known.
const HIDDEN: &str = "select concat_ws(' in ', \
            case when s.setrole <> 0 then concat('role ', quote_ident(r.rolname)) end, \
            case when s.setdatabase <> 0 then concat('database ', quote_ident(d.datname)) end), \
        array[concat('alter ', case when s.setrole <> 0 then concat('role ', quote_ident(r.rolname), \
                case when s.setdatabase <> 0 \
                    then concat(' in database ', quote_ident(d.datname)) end) \
            when s.setdatabase <> 0 then concat('database ', quote_ident(d.datname)) \
            else 'role all' end, ' reset track_activities')] \
    from pg_db_role_setting s left join pg_roles r on r.oid = s.setrole \
    left join pg_database d on d.oid = s.setdatabase \
    where (s.setdatabase = 0 or d.datname = current_database()) \
      and exists (select from unnest(s.setconfig) c where c like 'track\\_activities=%' \
          and not split_part(c, '=', 2)::boolean) \
    union all select 'the server', \
        array['alter system set track_activities = on', 'select pg_reload_conf()'] \
    from pg_settings where name = 'track_activities' and setting = 'off' \
      and source not in ('database', 'user', 'database user') order by 1";

/// Everything that is known of one side.
#[derive(Debug, Clone)]
pub(super) struct SideFacts {
    pub(super) server: ServerFacts,
    pub(super) role: RoleFacts,
    /// `application_name`s of sessions of our role that are not ours.
    pub(super) other_sessions: Vec<String>,
    /// Whether the extraction has been prepared before.
    pub(super) prepared: bool,
    /// Whether each side keeps its own of the split tables by now, as the
    /// service's row says.
    pub(super) split: bool,
    /// In the plan's order; `None` where there is no such relation.
    pub(super) tables: Vec<Option<TableFacts>>,
    /// Called by them, without a `search_path` of their own.
    pub(super) functions: Vec<CalledFunction>,
    pub(super) boundary: BoundaryFacts,
    pub(super) shared: SharedFacts,
    pub(super) staying: StayingFacts,
    /// Behind the moved columns.
    pub(super) sequences: Vec<Sequence>,
    /// The one that bears the name of ours.
    pub(super) publication: Option<Publication>,
    pub(super) retention: Retention,
}

impl SideFacts {
    /// Whether the tables have rows, or the extraction has begun.
    pub(super) fn in_use(&self) -> bool {
        let has_rows = |table: &TableFacts| table.empty == Emptiness::HasRows;
        self.prepared || self.tables.iter().flatten().any(has_rows)
    }
}

/// The server, by its settings and views.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServerFacts {
    pub(super) version_number: i32,
    pub(super) version: String,
    pub(super) wal_level: String,
    pub(super) encoding: String,
    /// The database's own: provider, locale and rules.
    pub(super) collation: String,
    pub(super) database: String,
    /// The running server: its system identifier, which a clone shares, and
    /// the moment of its start.
    pub(super) identity: String,
    pub(super) is_standby: bool,
    /// Without the slot of this extraction.
    pub(super) slots: Capacity,
    pub(super) own_slot: OwnSlot,
    /// Without those of ours.
    pub(super) senders: Capacity,
    /// Without the origin of this extraction's side.
    pub(super) origins: Capacity,
    pub(super) prepared_transactions: i64,
    /// Of whom it does not show what they do.
    pub(super) hidden: Vec<Hidden>,
    /// Why a replication connection was refused, if it was.
    pub(super) replication_refused: Option<String>,
}

/// Whose activity the server does not show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hidden {
    pub(super) whose: String,
    /// What ends that.
    pub(super) statements: Vec<String>,
}

/// A bounded number of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Capacity {
    pub(super) most: i64,
    pub(super) used: i64,
}

impl Capacity {
    pub(super) fn free(self) -> i64 {
        self.most - self.used
    }
}

/// The slot that bears our name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OwnSlot {
    None,
    /// Of this database.
    Ours,
    /// Of another database in the cluster.
    Theirs,
}

/// The role that we log in as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RoleFacts {
    pub(super) name: String,
    pub(super) may_replicate: bool,
    /// `CREATE` on the database.
    pub(super) may_create: bool,
    /// Whether it may set `session_replication_role`.
    pub(super) may_be_replica: bool,
    /// Functions that it may not call.
    pub(super) functions_missing: Vec<String>,
}

/// Gathers all of one side, in a read-only transaction. It has read some tables
/// when it comes to the next, so it may stand in the way of a migration that
/// changes several: it waits for no lock longer than a moment, and begins again.
pub(super) async fn gather(session: &Session, mover: &Mover) -> Result<SideFacts, MoverError> {
    let mut retry = LockRetry::new("looking at the tables");
    loop {
        let error = match look(session, mover).await {
            Ok(facts) => return Ok(facts),
            Err(error) => error,
        };
        if session.batch_execute("rollback").await.is_err() {
            return Err(error);
        }
        retry.wait_after(session, error).await?;
    }
}

async fn look(session: &Session, mover: &Mover) -> Result<SideFacts, MoverError> {
    let side = session.side();
    let wrap = || MoverError::sql(side, "looking at the server");
    let begin = format!(
        "begin isolation level repeatable read read only; {}",
        lock_retry::LOCK_TIMEOUT
    );
    session.batch_execute(&begin).await.map_err(wrap())?;
    let role = role(session).await?;
    let mut server = server(session, mover, &role).await?;
    if role.may_replicate {
        server.replication_refused = replication_refusal(side, mover.database(side)).await;
    }
    let other_sessions = session.query(OTHER_SESSIONS, &[]).await.map_err(wrap())?;
    let owner = owner::read(&**session, side, &mover.extraction.name).await?;
    let tables = relations::tables(session, &mover.extraction, &mover.layout()).await?;
    let functions = functions::read(session, mover.extraction.tables(side)).await?;
    let boundary = relations::boundary(session, &mover.extraction, &tables).await?;
    let shared = shared_facts::gather(session, &mover.extraction, &tables).await?;
    let sequences = sequences::read(session, mover.tables(side)).await?;
    let name = mover.layout().publication();
    let publication = publication::read(&**session, side, &name).await?;
    let retention = settings::read(session).await?;
    session.batch_execute("rollback").await.map_err(wrap())?;
    // Up to hundreds of tables that are none of ours: none is held while the next
    // is read.
    let staying = staying_facts::gather(session, &mover.extraction, &tables).await?;
    Ok(SideFacts {
        server,
        role,
        other_sessions: other_sessions.iter().map(|row| row.get(0)).collect(),
        prepared: owner.is_some(),
        split: side == Side::Service && owner.as_ref().is_some_and(is_split),
        tables,
        functions,
        boundary,
        shared,
        staying,
        sequences,
        publication,
        retention,
    })
}

async fn server(
    session: &Session,
    mover: &Mover,
    role: &RoleFacts,
) -> Result<ServerFacts, MoverError> {
    let side = session.side();
    let wrap = || MoverError::sql(side, "looking at the server");
    let layout = mover.layout();
    let slot = layout.slot(Direction::from_source(side));
    let row = session
        .query_one(SERVER, &[&slot, &layout.origin(side)])
        .await
        .map_err(wrap())?;
    let control = "pg_control_system()";
    let system = if role.functions_missing.iter().any(|name| name == control) {
        String::new()
    } else {
        let select = format!("select system_identifier::text from {control}");
        session
            .query_one(&select, &[])
            .await
            .map_err(wrap())?
            .get(0)
    };
    let started: String = row.get(14);
    let hidden = session.query(HIDDEN, &[]).await.map_err(wrap())?;
    Ok(ServerFacts {
        version_number: row.get(0),
        version: row.get(1),
        wal_level: row.get(2),
        encoding: row.get(3),
        collation: row.get(15),
        database: row.get(4),
        identity: format!("{system} since {started}"),
        is_standby: row.get(5),
        slots: Capacity {
            most: row.get(6),
            used: row.get(7),
        },
        own_slot: match row.get::<_, &str>(8) {
            "ours" => OwnSlot::Ours,
            "theirs" => OwnSlot::Theirs,
            _ => OwnSlot::None,
        },
        senders: Capacity {
            most: row.get(9),
            used: row.get(10),
        },
        origins: Capacity {
            most: row.get(11),
            used: row.get(12),
        },
        prepared_transactions: row.get(13),
        hidden: hidden
            .iter()
            .map(|row| Hidden {
                whose: row.get(0),
                statements: row.get(1),
            })
            .collect(),
        replication_refused: None,
    })
}

async fn role(session: &Session) -> Result<RoleFacts, MoverError> {
    let side = session.side();
    let wrap = || MoverError::sql(side, "looking at the role");
    let row = session
        .query_one(ROLE, &[&FUNCTIONS.as_slice()])
        .await
        .map_err(wrap())?;
    let is_superuser: bool = row.get(1);
    let grantable = "select current_setting('server_version_num')::integer >= 150000";
    let grantable: bool = session
        .query_one(grantable, &[])
        .await
        .map_err(wrap())?
        .get(0);
    let may_be_replica = is_superuser
        || (grantable
            && session
                .query_one(REPLICA_ROLE, &[])
                .await
                .map_err(wrap())?
                .get(0));
    Ok(RoleFacts {
        name: row.get(0),
        may_replicate: is_superuser || row.get(2),
        may_create: row.get(3),
        may_be_replica,
        functions_missing: row.get(4),
    })
}

/// Opens a replication session, which pg_hba.conf, a full server or a pooler
/// may refuse.
async fn replication_refusal(side: Side, database: &DatabaseUrl) -> Option<String> {
    let opening = ReplicationConnection::open(side, database);
    match tokio::time::timeout(PROBE_LIMIT, opening).await {
        Ok(Ok(_)) => None,
        Ok(Err(MoverError::Connect { reason, .. })) => Some(reason),
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some(format!("no answer within {PROBE_LIMIT:?}")),
    }
}

/// The name of a server in findings.
pub(super) fn server_name(side: Side) -> String {
    format!("the {side}'s database server")
}
