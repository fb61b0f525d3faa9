//! What the event triggers of a freeze execute.

/// Makes the function, in our schema. May be repeated.
///
/// What does not change how rows look or where they go passes: indexes, comments,
/// grants. Our own role passes: a hand-over puts up fences.
pub(super) fn keep_shape(schema: &str) -> String {
    format!(
        r#"
create or replace function {schema}.keep_shape() returns event_trigger
    language plpgsql security definer set search_path = pg_catalog, pg_temp as $keep$
declare
    name text;
    ends timestamptz;
    what text;
begin
    if not exists (select from {schema}.frozen f where f.until > now()) or session_user =
        (select pg_get_userbyid(n.nspowner) from pg_namespace n where n.nspname = '{schema}')
    then
        return;
    end if;
    if tg_event = 'sql_drop' then
        -- Columns have their table's number, and what else belongs to it its name.
        select f.extraction, f.until, d.object_identity into name, ends, what
            from pg_event_trigger_dropped_objects() d join {schema}.frozen f on f.until > now()
            where (d.classid = 'pg_class'::regclass and d.objid = any(f.relations))
               or (d.object_type in ('trigger', 'rule', 'policy', 'table constraint',
                        'publication relation')
                   and to_regclass(format('%I.%I', d.address_names[1], d.address_names[2]))::oid
                       = any(f.relations))
            limit 1;
    else
        select f.extraction, f.until, d.object_identity into name, ends, what
            from pg_event_trigger_ddl_commands() d join {schema}.frozen f on f.until > now()
            where d.command_tag not in ('COMMENT', 'GRANT', 'REVOKE', 'SECURITY LABEL',
                    'CREATE INDEX', 'CREATE STATISTICS')
              and case d.classid
                when 'pg_class'::regclass then d.objid = any(f.relations)
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
"#
    )
}
