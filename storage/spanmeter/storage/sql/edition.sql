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
-- Needs the right to create in the database; the extension is a trusted one.
CREATE EXTENSION IF NOT EXISTS timescaledb;

-- create_hypertable --
-- Rows written while the table was an ordinary one move into chunks; TimescaleDB then truncates the table, which its
-- trigger refuses, and triggers of a hypertable cannot be disabled. Our own indexes are enough. Seven days is
-- TimescaleDB's default; set_chunk_time_interval() changes it.
DO $$
DECLARE
    refusal text := pg_get_triggerdef(oid) FROM pg_trigger
        WHERE tgrelid = {name}::regclass AND tgname = 'append_only_truncate';
BEGIN
    DROP TRIGGER append_only_truncate ON {table};
    PERFORM create_hypertable(
        {name}, 'time',
        chunk_time_interval => interval '7 days',
        associated_schema_name => {chunk_schema},
        create_default_indexes => false,
        migrate_data => true
    );
    EXECUTE refusal;
END
$$;

-- public_merge_chunks --
-- Before 2.24, any role can crash the whole server with merge_chunks('pg_class', 'pg_proc') under the Apache license.
SELECT
    format('%I.%I(%s)', pronamespace::regnamespace, proname, pg_get_function_identity_arguments(pg_proc.oid)),
    pg_has_role(proowner, 'USAGE')
FROM pg_proc JOIN pg_depend ON pg_depend.objid = pg_proc.oid AND deptype = 'e'
    JOIN pg_extension ON pg_extension.oid = pg_depend.refobjid
WHERE extname = 'timescaledb' AND proname = 'merge_chunks'
    AND string_to_array(substring(extversion FROM '^\d+\.\d+'), '.')::int[] < ARRAY[2, 24]
    AND has_function_privilege('public', pg_proc.oid, 'EXECUTE');

-- revoke_from_public --
-- The owner of the extension keeps it.
REVOKE EXECUTE ON PROCEDURE {procedure} FROM PUBLIC;
