//! The freeze of a side's tables: while its row stands, event triggers refuse what
//! would change their shape.
//!
//! Only a superuser can make event triggers, and everybody's changes run their
//! function. So it belongs to nobody who could put another in its place: to a role
//! without rights that cannot log in. It goes with the schema `banyan`.

use super::{notes::TIME, schema};
use crate::{error::MoverError, layout::SCHEMA};
use plan::ExtractionName;
use protocol::Side;
use std::time::Duration;
use tokio_postgres::GenericClient;

/// The role to which the event triggers' function belongs.
const OWNER: &str = "banyan_freeze";

const READY: &str = "select count(*) = 2 from pg_event_trigger e \
    join pg_proc p on p.oid = e.evtfoid join pg_namespace n on n.oid = p.pronamespace \
    where e.evtname in ('banyan_freeze', 'banyan_freeze_drop') and e.evtenabled in ('O', 'A') \
      and n.nspname = $1 and p.proname = 'keep_shape' and pg_get_userbyid(p.proowner) = $2";

/// Whether tables of this database can be frozen.
pub(crate) async fn is_possible(
    client: &impl GenericClient,
    side: Side,
) -> Result<bool, MoverError> {
    let row = client
        .query_one(READY, &[&SCHEMA, &OWNER])
        .await
        .map_err(MoverError::sql(side, "looking for the event triggers"))?;
    Ok(row.get(0))
}

/// What a superuser runs in a database, once, before its tables can be frozen. May
/// be repeated.
///
/// What does not change how rows look or where they go passes: indexes, comments,
/// grants. Banyan's role passes: a hand-over puts up fences.
pub fn script() -> String {
    format!(
        r#"begin;
do $role$ begin
    if not exists (select from pg_roles where rolname = '{OWNER}') then
        create role {OWNER} nologin;
    end if;
end $role$;
drop function if exists {SCHEMA}.keep_shape() cascade;
create function {SCHEMA}.keep_shape() returns event_trigger
    language plpgsql security definer set search_path = pg_catalog, pg_temp as $keep$
declare
    owner oid := (select n.nspowner from pg_namespace n where n.nspname = '{SCHEMA}');
    name text;
    ends timestamptz;
    what text;
begin
    -- Nobody's change is refused by what is missing here.
    if to_regclass('{SCHEMA}.frozen') is null then
        return;
    end if;
    if not exists (select from {SCHEMA}.frozen f where f.until > clock_timestamp()) then
        return;
    end if;
    if session_user = pg_get_userbyid(owner) or pg_has_role(session_user, owner, 'member')
        and not (select r.rolsuper from pg_roles r where r.rolname = session_user)
    then
        return;
    end if;
    if tg_event = 'sql_drop' then
        -- Columns have their table's number, and what else belongs to it its name.
        select f.extraction, f.until, d.object_identity into name, ends, what
            from pg_event_trigger_dropped_objects() d
            join {SCHEMA}.frozen f on f.until > clock_timestamp()
            where (d.classid = 'pg_class'::regclass and d.objid = any(f.relations))
               or (d.object_type in ('trigger', 'rule', 'policy', 'table constraint',
                        'publication relation')
                   and exists (select from pg_class c
                        join pg_namespace n on n.oid = c.relnamespace
                        where c.oid = any(f.relations) and n.nspname = d.address_names[1]
                          and c.relname = d.address_names[2]))
            limit 1;
    else
        select f.extraction, f.until, d.object_identity into name, ends, what
            from pg_event_trigger_ddl_commands() d
            join {SCHEMA}.frozen f on f.until > clock_timestamp()
            where d.command_tag not in ('COMMENT', 'GRANT', 'REVOKE', 'SECURITY LABEL',
                    'CREATE INDEX', 'CREATE STATISTICS')
              and case d.classid
                when 'pg_class'::regclass then d.objid = any(f.relations)
                when 'pg_namespace'::regclass then exists (select from pg_class c
                    where c.relnamespace = d.objid and c.oid = any(f.relations))
                when 'pg_trigger'::regclass then exists (select from pg_trigger t
                    where t.oid = d.objid and t.tgrelid = any(f.relations))
                when 'pg_rewrite'::regclass then exists (select from pg_rewrite r
                    where r.oid = d.objid and r.ev_class = any(f.relations))
                when 'pg_policy'::regclass then exists (select from pg_policy p
                    where p.oid = d.objid and p.polrelid = any(f.relations))
                when 'pg_publication_rel'::regclass then exists (select from pg_publication_rel r
                    where r.oid = d.objid and r.prrelid = any(f.relations))
                when 'pg_type'::regclass then exists (select from pg_attribute a
                    where a.atttypid = d.objid and a.attrelid = any(f.relations)
                      and not a.attisdropped)
                else false end
            limit 1;
    end if;
    if name is not null then
        raise exception 'extraction "%" keeps the shape of its tables until %: not changing %',
            name, to_char(ends at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS UTC'), what
            using errcode = 'object_not_in_prerequisite_state',
                  hint = format('Run the migration after that, or end the freeze: '
                      'banyan freeze %s --off', name);
    end if;
end
$keep$;
alter function {SCHEMA}.keep_shape() owner to {OWNER};
grant usage on schema {SCHEMA} to {OWNER};
create event trigger banyan_freeze on ddl_command_end execute function {SCHEMA}.keep_shape();
create event trigger banyan_freeze_drop on sql_drop execute function {SCHEMA}.keep_shape();
commit;
"#
    )
}

/// Freezes these tables for so long from now; says until when, in UTC.
pub(crate) async fn begin(
    client: &impl GenericClient,
    side: Side,
    extraction: &ExtractionName,
    tables: &[String],
    lasts: Duration,
) -> Result<String, MoverError> {
    let write = format!(
        "insert into {SCHEMA}.frozen (extraction, relations, until) \
         values ($1, array(select r::regclass::oid from unnest($2::text[]) r), \
            now() + make_interval(secs => $3)) \
         on conflict (extraction) do update \
            set relations = excluded.relations, until = excluded.until \
         returning to_char(until at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
    );
    let row = client
        .query_one(
            &write,
            &[&extraction.as_str(), &tables, &lasts.as_secs_f64()],
        )
        .await
        .map_err(MoverError::sql(side, "freezing the tables"))?;
    Ok(row.get(0))
}

/// Ends the freeze; whether there was one.
pub(crate) async fn end(
    client: &impl GenericClient,
    side: Side,
    extraction: &ExtractionName,
) -> Result<bool, MoverError> {
    let delete = format!("delete from {SCHEMA}.frozen where extraction = $1 and until > now()");
    let ended = client
        .execute(&delete, &[&extraction.as_str()])
        .await
        .map_err(MoverError::sql(side, "ending the freeze"))?;
    Ok(ended > 0)
}

/// Until when the tables of a side are frozen, in UTC, if they are.
pub(crate) async fn until(
    client: &impl GenericClient,
    side: Side,
    extraction: &ExtractionName,
) -> Result<Option<String>, MoverError> {
    if !schema::has(client, side, "frozen").await? {
        return Ok(None);
    }
    let select = format!(
        "select to_char(until at time zone 'UTC', {TIME}) from {SCHEMA}.frozen \
         where extraction = $1 and until > now()"
    );
    let row = client
        .query_opt(&select, &[&extraction.as_str()])
        .await
        .map_err(MoverError::sql(side, "reading whether tables are frozen"))?;
    Ok(row.map(|row| row.get(0)))
}
