-- Who is told of what. An event is for those who were subscribed when it was
-- written.
create table outbox_subscriptions (
    consumer text not null,
    topic    text not null,
    primary key (consumer, topic)
);

create table outbox_events (
    -- The order per key: writers of one key take it one after the other.
    id         bigint generated always as identity primary key,
    event      uuid not null unique,
    topic      text not null,
    key        text not null,
    payload    jsonb not null,
    emitted_at timestamptz not null default clock_timestamp()
);

-- What has still to be delivered to a consumer. Delivered rows are deleted.
create table outbox_deliveries (
    consumer   text not null,
    event      bigint not null references outbox_events (id),
    key        text not null,
    attempts   integer not null default 0,
    -- Not before; while it is leased, the end of the lease.
    due_at     timestamptz not null default clock_timestamp(),
    lease      uuid,
    last_error text,
    dead_at    timestamptz,
    primary key (consumer, event)
);

create index outbox_deliveries_order on outbox_deliveries (consumer, key, event)
    where dead_at is null;
create index outbox_deliveries_due on outbox_deliveries (consumer, due_at, event)
    where dead_at is null;
create index outbox_deliveries_dead on outbox_deliveries (dead_at)
    where dead_at is not null;
create index outbox_deliveries_event on outbox_deliveries (event);

-- What a consumer has already applied here: written in the transaction of its
-- effect.
create table inbox (
    consumer    text not null,
    event       uuid not null,
    received_at timestamptz not null default clock_timestamp(),
    primary key (consumer, event)
);

create index inbox_age on inbox (received_at);
