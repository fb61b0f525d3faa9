-- One request that a service answered. Kept by the day it was answered.
create table metrics (
    at            timestamptz not null,
    -- As the reporter has named it, so that it counts once.
    id            uuid,
    service       text not null,
    endpoint      text not null,
    method        text not null,
    status        smallint not null,
    -- In milliseconds.
    response_time double precision not null,
    -- The cell of the histogram that response_time falls into.
    cell          smallint not null,
    unique (at, id)
) partition by range (at);

-- What one instance of a service used at one moment.
create table resources (
    at           timestamptz not null,
    id           uuid,
    service      text not null,
    instance     text not null,
    cpu_cores    double precision not null,
    memory_bytes bigint not null,
    unique (at, id)
) partition by range (at);

create table events (
    at         timestamptz not null,
    id         uuid,
    service    text not null,
    name       text not null,
    user_id    text,
    properties jsonb not null,
    unique (at, id)
) partition by range (at);

-- Minutes that have got rows since they were rolled up: one row per batch, kind
-- and minute, written with the rows. Never shared between batches, so that a
-- batch that commits late brings its own.
create table arrivals (
    minute timestamptz not null,
    kind   text not null check (kind in ('request', 'resource', 'event'))
);

create index arrivals_minute on arrivals (minute);

create table requests_by_minute (
    begins        timestamptz not null,
    service       text not null,
    -- Both empty in the row of the whole service, which spares adding up its
    -- endpoints whenever somebody looks.
    endpoint      text not null,
    method        text not null,
    requests      bigint not null,
    -- 4xx, 5xx, and of these 502, 503 and 504.
    client_errors bigint not null,
    server_errors bigint not null,
    unavailable   bigint not null,
    time_sum      double precision not null,
    time_max      double precision not null,
    -- The histogram: cells that are not empty, ascending, and what is in them.
    cells         smallint[] not null,
    counts        bigint[] not null,
    primary key (begins, service, endpoint, method)
) partition by range (begins);

create index requests_by_minute_whole on requests_by_minute (begins, service)
    where endpoint = '';

create table requests_by_hour (like requests_by_minute including all);

create table resources_by_minute (
    begins         timestamptz not null,
    service        text not null,
    instance       text not null,
    -- Minutes in which the instance has reported, and the sum of their means.
    minutes        bigint not null,
    cpu_minutes    double precision not null,
    cpu_max        double precision not null,
    memory_minutes double precision not null,
    memory_max     bigint not null,
    primary key (begins, service, instance)
) partition by range (begins);

create table resources_by_hour (like resources_by_minute including all);

create table events_by_minute (
    begins  timestamptz not null,
    service text not null,
    name    text not null,
    events  bigint not null,
    primary key (begins, service, name)
) partition by range (begins);

create table events_by_hour (like events_by_minute including all);

-- Makes the days' partitions, from the oldest day that is taken to some days
-- ahead, and drops those that are over: rows after raw_days, minutes after
-- minute_days. Runs as the owner: the service's role owns no table.
-- A day whose rows are not all rolled up stays. How many were dropped.
create function keep_partitions(raw_days integer, minute_days integer, ahead_days integer)
    returns integer
    language plpgsql
    security definer
    -- The owner's rights are not for tables that somebody puts before ours.
    set search_path = analytics_service, pg_temp
    set timezone = 'UTC'
as $$
declare
    today     date := now()::date;
    -- Nothing older can still come or still be rolled up.
    first_day date := least(today - raw_days, (select min(minute)::date from arrivals));
    parent    record;
    old       record;
    day       date;
    made      text;
    dropped   integer := 0;
begin
    if raw_days < 2 or minute_days < raw_days or ahead_days < 1 then
        raise exception 'no such retention';
    end if;
    perform pg_advisory_xact_lock(hashtextextended('analytics:partitions', 0));
    for parent in
        select name, last_day from (values
            ('metrics', today - raw_days),
            ('resources', today - raw_days),
            ('events', today - raw_days),
            ('requests_by_minute', today - minute_days),
            ('resources_by_minute', today - minute_days),
            ('events_by_minute', today - minute_days)
        ) as parents (name, last_day)
    loop
        for day in select generate_series(first_day, today + ahead_days, '1 day')::date loop
            made := parent.name || '_' || to_char(day, 'YYYYMMDD');
            if to_regclass(format('analytics_service.%I', made)) is null then
                -- Attached after it was made: that stops no reader and no writer.
                execute format('create table %I (like %I including all)', made, parent.name);
                execute format('alter table %I attach partition %I for values from (%L) to (%L)',
                    parent.name, made, day::timestamptz, (day + 1)::timestamptz);
            end if;
        end loop;
        for old in
            select child.relname as name
            from pg_inherits
            join pg_class child on child.oid = inhrelid
            where inhparent = to_regclass('analytics_service.' || parent.name)
                and to_date(right(child.relname, 8), 'YYYYMMDD') < parent.last_day
                and to_date(right(child.relname, 8), 'YYYYMMDD') < first_day
        loop
            execute format('drop table %I', old.name);
            dropped := dropped + 1;
        end loop;
    end loop;
    return dropped;
end
$$;
