#!/bin/sh
# Run once by the image, when it makes the database.
set -eu
psql --no-psqlrc --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" \
    --set=collector_password="$COLLECTOR_PASSWORD" --set=grafana_password="$GRAFANA_DB_PASSWORD" \
    --file=/etc/spanmeter/logins.sql
