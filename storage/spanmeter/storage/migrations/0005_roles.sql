-- Least privilege: one role that may only add rows, one that may only read. A login is granted one of them.
-- Neither is granted the schema of the chunks, so that no rule on a table can be passed by at its chunks.

DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['spanmeter_writer', 'spanmeter_reader'] LOOP
        IF to_regrole(wanted) IS NULL THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
        END IF;
    END LOOP;
EXCEPTION
    -- Roles belong to the server: a migration of another database may have made them a moment ago.
    WHEN duplicate_object OR unique_violation THEN NULL;
    WHEN insufficient_privilege THEN
        RAISE NOTICE 'roles spanmeter_writer and spanmeter_reader were not created: %', SQLERRM;
END
$$;

DO $$
BEGIN
    IF to_regrole('spanmeter_writer') IS NOT NULL THEN
        GRANT INSERT ON usage_events, adjustments, rejected_spans TO spanmeter_writer;
        -- The columns that ON CONFLICT compares, and no other.
        GRANT SELECT (time, trace_id, span_id) ON usage_events TO spanmeter_writer;
        GRANT SELECT (time, adjustment_id) ON adjustments TO spanmeter_writer;
        GRANT SELECT (payload_sha256) ON rejected_spans TO spanmeter_writer;
        GRANT SELECT ON spanmeter_migrations TO spanmeter_writer;
    END IF;
    IF to_regrole('spanmeter_reader') IS NOT NULL THEN
        GRANT SELECT ON
            usage_events, adjustments, rejected_spans, spanmeter_migrations,
            ledger, usage_hourly, usage_daily, unattributed_usage
        TO spanmeter_reader;
    END IF;
END
$$;
