-- Sessions that another issuer of tokens for the same users knows as well: it
-- is told when one ends.
alter table session add column is_shared boolean not null default false;

-- Used up by the other issuer, which knows what became of it.
alter table refresh_token add column is_claimed boolean not null default false;
