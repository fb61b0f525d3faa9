-- Everything here lands in the service's own schema: the connection's
-- search_path holds that schema and nothing else.

-- Put on a table `before update or delete or truncate`, it makes the table
-- append-only for everybody, its owner included, until the owner drops the
-- trigger. Where the service's role does not own the table, the migration also
-- leaves it without the right to do either (kit::database::migration).
create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only', tg_table_name
        using errcode = 'restrict_violation',
              hint = 'Append a row that corrects the earlier one.';
end
$$;

create procedure make_append_only(target regclass) language plpgsql as $$
begin
    execute format(
        'create trigger append_only before update or delete or truncate on %s '
        'for each statement execute function refuse_change()', target);
    -- Also under session_replication_role = replica.
    execute format('alter table %s enable always trigger append_only', target);
end
$$;
