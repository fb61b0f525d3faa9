#!/bin/sh
# A database, its owner and the service's own role for each service. The
# image's entry point runs it once, on an empty volume.
set -eu
for name in identity notification analytics registry; do
    upper=$(printf '%s' "$name" | tr '[:lower:]' '[:upper:]')
    # An environment variable's value, by its name.
    owner=$(printenv "${upper}_OWNER_PASSWORD")
    app=$(printenv "${upper}_APP_PASSWORD")
    # psql quotes :'x' as a text and :"x" as a name.
    psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname=postgres \
        --set=name="$name" --set=owner="$owner" --set=app="$app" \
        --set=owner_role="${name}_owner" --set=app_role="${name}_app" \
        --set=schema="${name}_service" <<'SQL'
create role :"owner_role" login password :'owner';
create role :"app_role" login password :'app';
-- So that whoever looks with psql finds the tables.
alter role :"app_role" set search_path = :"schema";
create database :"name" owner :"owner_role";
revoke connect on database :"name" from public;
grant connect on database :"name" to :"app_role";
SQL
done
