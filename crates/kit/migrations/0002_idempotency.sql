-- One row per request that carried a key and had its effect. It is written in
-- the effect's own transaction, so there is no row for work under way.
create table idempotency_records (
    scope        text not null,
    key          text not null,
    fingerprint  bytea not null,
    status       smallint not null,
    content_type text not null,
    body         bytea not null,
    created_at   timestamptz not null default clock_timestamp(),
    expires_at   timestamptz not null,
    primary key (scope, key)
);

create index idempotency_records_expiry on idempotency_records (expires_at);
