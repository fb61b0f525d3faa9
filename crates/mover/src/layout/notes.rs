//! The tables that keep what was seen while an extraction ran: it outlasts
//! every process of ours, and goes with the extraction.

/// Makes the tables of what was seen, in our schema. May be repeated.
pub(super) fn tables(schema: &str) -> String {
    format!(
        "
-- Rows of a stream's source that were written past its fence, until a verify
-- has found both sides equal. In the database of the stream's target.
create table if not exists {schema}.discarded (
    extraction text primary key,
    rows bigint not null,
    first_at timestamptz not null default now(),
    last_at timestamptz not null default now()
);
-- For how long it was looked who writes the tables. In the monolith's database.
create table if not exists {schema}.observation (
    extraction text primary key,
    since timestamptz not null default now(),
    seconds double precision not null
);
-- Who was seen to write them.
create table if not exists {schema}.writer (
    extraction text not null,
    application text not null,
    role text not null,
    address text not null,
    tables text[] not null,
    together_with text[] not null,
    sightings bigint not null,
    first_at timestamptz not null default now(),
    last_at timestamptz not null default now(),
    primary key (extraction, application, role, address)
);
"
    )
}
