create table notes (
    id         bigint generated always as identity primary key,
    text       text not null check (text <> ''),
    created_at timestamp with time zone not null default clock_timestamp()
);
