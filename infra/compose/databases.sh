#!/bin/sh
# Runs once, when the PostgreSQL volume is empty: a role and a database of its own for Prefect and for the key table.
set -eu
for name in prefect keys; do
    psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres \
        --set name="$name" --set password="$(cat "${SECRETS:-/run/secrets}/postgres-$name-password")" <<'SQL'
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
REVOKE CONNECT ON DATABASE :"name" FROM PUBLIC;
SQL
done
