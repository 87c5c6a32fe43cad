-- versions --
-- The server's version, TimescaleDB's version and license; the latter two are NULL without the extension.
SELECT
    current_setting('server_version'),
    (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'),
    current_setting('timescaledb.license', true);

-- hypertables --
-- The hypertables in the schema that unqualified names resolve to.
SELECT hypertable_name::text FROM timescaledb_information.hypertables
WHERE hypertable_schema = current_schema() ORDER BY 1;

-- offers_timescaledb --
-- Whether the extension can be created: it is installed, and loaded at start (only then does its setting exist;
-- creating it otherwise would end the session).
SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'timescaledb')
    AND current_setting('timescaledb.disable_load', true) IS NOT NULL;

-- create_timescaledb --
-- Needs a superuser, or a host that lets the role do it.
CREATE EXTENSION IF NOT EXISTS timescaledb;

-- create_hypertable --
-- Rows written while the table was an ordinary one move into chunks. Our own indexes are enough. Seven days is
-- TimescaleDB's default and holds some ten million rows in memory; set_chunk_time_interval() changes it.
SELECT create_hypertable(
    {table}, 'time',
    chunk_time_interval => interval '7 days',
    associated_schema_name => {chunk_schema},
    create_default_indexes => false,
    migrate_data => true
);

-- public_merge_chunks --
-- Before 2.24, any role can crash the whole server with merge_chunks('pg_class', 'pg_proc') under the Apache license.
SELECT format('%I.%I(%s)', pronamespace::regnamespace, proname, pg_get_function_identity_arguments(pg_proc.oid))
FROM pg_proc JOIN pg_depend ON pg_depend.objid = pg_proc.oid AND deptype = 'e'
    JOIN pg_extension ON pg_extension.oid = pg_depend.refobjid
WHERE extname = 'timescaledb' AND proname = 'merge_chunks'
    AND string_to_array(substring(extversion FROM '^\d+\.\d+'), '.')::int[] < ARRAY[2, 24]
    AND has_function_privilege('public', pg_proc.oid, 'EXECUTE')
    AND pg_has_role(proowner, 'USAGE');

-- revoke_from_public --
-- The owner of the extension keeps it.
REVOKE EXECUTE ON PROCEDURE {procedure} FROM PUBLIC;
