create table sagas (
    id         uuid primary key,
    kind       text not null,
    input      jsonb not null,
    stage      text not null
        check (stage in ('forward', 'backward', 'completed', 'compensated', 'stuck')),
    -- The step that is next, or is stuck.
    step       integer not null check (step >= 0),
    -- Of that step, the one under way included.
    attempts   integer not null default 0,
    due_at     timestamptz not null default clock_timestamp(),
    lease      uuid,
    last_error text,
    started_at timestamptz not null default clock_timestamp(),
    changed_at timestamptz not null default clock_timestamp()
);

create index sagas_due on sagas (kind, due_at) where stage in ('forward', 'backward');
create index sagas_stuck on sagas (changed_at) where stage = 'stuck';

create table saga_steps (
    saga    uuid not null references sagas (id) on delete cascade,
    step    integer not null,
    name    text not null,
    output  jsonb not null,
    done_at timestamptz not null default clock_timestamp(),
    undone_at timestamptz,
    primary key (saga, step)
);
