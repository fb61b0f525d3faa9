-- Events of aggregates. The payload is text: the digest is over its bytes, and
-- jsonb would rewrite them.
create table ledger (
    stream   text not null,
    version  bigint not null check (version > 0),
    kind     text not null,
    payload  text not null,
    -- Microseconds since 1970, as the digest has it.
    at       bigint not null,
    previous bytea not null,
    digest   bytea not null,
    primary key (stream, version)
);

call make_append_only('ledger');
