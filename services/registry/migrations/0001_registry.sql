-- Instances of services. Each registration is a row of its own: who registers
-- twice is there twice until the first one expires.
create table instances (
    id            uuid primary key,
    name          text not null,
    url           text not null,
    tags          text[] not null,
    health        text not null,
    version       text not null,
    ttl_seconds   integer not null,
    registered_at timestamptz not null default clock_timestamp(),
    -- Without an index, so that heartbeats change no index.
    expires_at    timestamptz not null
) with (fillfactor = 50);

create index instances_name on instances (name);

-- What was added and removed, for those who watch. Whoever takes the next
-- number holds the row until its transaction ends, so numbers appear in order
-- and without gaps.
create table changes (
    number   bigint primary key,
    kind     text not null check (kind in ('added', 'removed')),
    instance jsonb not null
);

create table last_change (
    number bigint not null
);
insert into last_change values (0);

create function note_changes() returns trigger language plpgsql as $$
declare
    many bigint := (select count(*) from touched);
    last bigint;
begin
    if many > 0 then
        update last_change set number = number + many returning number into last;
        insert into changes (number, kind, instance)
            select last - many + row_number() over (order by id), tg_argv[0],
                to_jsonb(touched) - 'expires_at'
            from touched;
        perform pg_notify('registry_' || tg_table_schema, 'changed');
    end if;
    return null;
end
$$;

create trigger added after insert on instances
    referencing new table as touched
    for each statement execute function note_changes('added');

create trigger removed after delete on instances
    referencing old table as touched
    for each statement execute function note_changes('removed');

-- When somebody last looked for instances that have expired.
create table last_sweep (
    at timestamptz not null
);
insert into last_sweep values (clock_timestamp());

create table external_services (
    id                    uuid primary key,
    name                  text not null unique,
    url                   text not null,
    kind                  text not null,
    health_path           text not null,
    check_interval_seconds integer not null,
    -- None: it has no reference panels.
    sync_interval_seconds integer,
    slow_milliseconds     integer not null,
    unhealthy_after       integer not null,
    healthy_after         integer not null,
    state                 text not null default 'unknown'
        check (state in ('unknown', 'healthy', 'degraded', 'unhealthy')),
    state_since           timestamptz not null default clock_timestamp(),
    -- Checks in a row that ended the same way.
    passes                integer not null default 0,
    failures              integer not null default 0,
    -- Of the catalogue; 0 before the first one.
    panels_version        integer not null default 0,
    registered_at         timestamptz not null default clock_timestamp()
);

-- What is to be done, when, and who does it until when.
create table tasks (
    service      uuid not null references external_services (id) on delete cascade,
    work         text not null check (work in ('check', 'sync')),
    due_at       timestamptz not null default clock_timestamp(),
    -- Somebody asked for it after it was begun.
    asked        boolean not null default false,
    lease        uuid,
    leased_until timestamptz,
    primary key (service, work)
);

create index tasks_due on tasks (due_at);

create table checks (
    number       bigint generated always as identity primary key,
    service      uuid not null references external_services (id) on delete cascade,
    at           timestamptz not null default clock_timestamp(),
    outcome      text not null check (outcome in ('passed', 'slow', 'failed')),
    milliseconds integer not null,
    reason       text
);

create index checks_service on checks (service, number desc);

create table transitions (
    number     bigint generated always as identity primary key,
    service    uuid not null references external_services (id) on delete cascade,
    at         timestamptz not null default clock_timestamp(),
    from_state text not null,
    to_state   text not null,
    reason     text
);

create index transitions_service on transitions (service, number desc);

-- The reference panels of a service as they were found, one row per version,
-- with what has changed since the version before.
create table catalogues (
    service    uuid not null references external_services (id) on delete cascade,
    version    integer not null,
    taken_at   timestamptz not null default clock_timestamp(),
    panels     jsonb not null,
    difference jsonb not null,
    primary key (service, version)
);

create table syncs (
    number       bigint generated always as identity primary key,
    service      uuid not null references external_services (id) on delete cascade,
    at           timestamptz not null default clock_timestamp(),
    outcome      text not null check (outcome in ('changed', 'unchanged', 'failed')),
    milliseconds integer not null,
    version      integer,
    reason       text
);

create index syncs_service on syncs (service, number desc);
