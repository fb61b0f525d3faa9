-- What a user wants. A user without a row wants everything.
create table preferences (
    user_id    text primary key,
    email      text,
    -- Channels that are off, and categories that are not wanted at all.
    off        text[] not null default '{}',
    muted      text[] not null default '{}',
    updated_at timestamptz not null default clock_timestamp()
);

-- What was to be told, as it was written from its template.
create table notifications (
    id         uuid primary key,
    user_id    text not null,
    category   text not null,
    template   text not null,
    subject    text not null,
    body       text not null,
    html       text,
    created_at timestamptz not null default clock_timestamp()
);

create index notifications_user on notifications (user_id, created_at desc, id desc);
create index notifications_age on notifications (created_at);

create table webhooks (
    id         uuid primary key,
    user_id    text not null,
    url        text not null,
    secret     bytea not null,
    created_at timestamptz not null default clock_timestamp(),
    -- The receiver said that it is gone.
    gone_at    timestamptz
);

create index webhooks_user on webhooks (user_id);

-- One per channel, and per web-hook.
create table deliveries (
    id           uuid primary key,
    notification uuid not null references notifications (id) on delete cascade,
    channel      text not null check (channel in ('email', 'push', 'webhook')),
    -- The mail address, for e-mail.
    address      text,
    webhook      uuid references webhooks (id) on delete set null,
    state        text not null check (state in
        ('queued', 'retrying', 'sent', 'rejected', 'dead', 'suppressed')),
    attempts     integer not null default 0,
    -- Why it is not sent.
    reason       text,
    -- In the outbox; none for what never was there.
    event        uuid,
    updated_at   timestamptz not null default clock_timestamp()
);

create index deliveries_notification on deliveries (notification);
create index deliveries_webhook on deliveries (webhook);
create index deliveries_dead on deliveries (updated_at desc, id desc)
    where state in ('rejected', 'dead');

-- The last number given per user. Whoever takes the next one holds the row
-- until its transaction ends, so numbers appear in order and without gaps.
create table push_heads (
    user_id text primary key,
    last    bigint not null
);

create table push_messages (
    user_id    text not null,
    number     bigint not null,
    message    jsonb not null,
    created_at timestamptz not null default clock_timestamp(),
    primary key (user_id, number)
);

create index push_messages_age on push_messages (created_at);

-- When a user's allowance on a channel will be whole again (GCRA).
create table allowances (
    user_id  text not null,
    channel  text not null,
    whole_at timestamptz not null,
    primary key (user_id, channel)
);
