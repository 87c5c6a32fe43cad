-- How long what is booked is kept: whole chunks leave, when they are older than was laid down, sealed and in the rollups.

CREATE TABLE retention (
    what text PRIMARY KEY CHECK (what IN ('ledger', 'rejected_spans', 'rowstore')),
    keep interval NOT NULL CHECK (keep >= interval '1 day'),
    set_by text NOT NULL DEFAULT session_user,
    set_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE retention IS 'How long is kept what; what is not listed is kept for ever.';
COMMENT ON COLUMN retention.what IS
    'ledger: usage_events and adjustments; rejected_spans; rowstore: rows as rows, before the columnstore of the Community edition.';
COMMENT ON COLUMN retention.keep IS 'For how long.';
COMMENT ON COLUMN retention.set_by IS 'The login that laid it down.';
COMMENT ON COLUMN retention.set_at IS 'When it was laid down.';

CREATE TABLE retention_log (
    entry_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    dropped_at timestamptz NOT NULL DEFAULT now(),
    dropped_from text NOT NULL,
    before timestamptz NOT NULL,
    chunks bigint,
    rows bigint,
    unsealed boolean NOT NULL DEFAULT false,
    actor text NOT NULL DEFAULT session_user
);
COMMENT ON TABLE retention_log IS 'Append-only: what has left the ledger by age.';
COMMENT ON COLUMN retention_log.entry_id IS 'Number of the entry.';
COMMENT ON COLUMN retention_log.dropped_at IS 'When it left.';
COMMENT ON COLUMN retention_log.dropped_from IS 'The table.';
COMMENT ON COLUMN retention_log.before IS 'Rows of before this moment, of service or of rejection, are gone.';
COMMENT ON COLUMN retention_log.chunks IS 'Chunks that left. NULL: the table has none.';
COMMENT ON COLUMN retention_log.rows IS 'Rows that left. NULL: whole chunks are not counted.';
COMMENT ON COLUMN retention_log.unsealed IS 'Whether it was told to drop what was not sealed.';
COMMENT ON COLUMN retention_log.actor IS 'The login that ran it.';

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON retention_log
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON retention_log
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Where there are no chunks to drop, old rows are deleted, by drop_old() alone: it says so for its transaction, runs as
-- the owner of the tables, and what is younger than was laid down stays even then.
CREATE OR REPLACE FUNCTION refuse_ledger_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('spanmeter.dropping', true) = 'on'
        AND pg_has_role((SELECT relowner FROM pg_class WHERE oid = TG_RELID), 'USAGE')
        AND OLD.time < now() - (SELECT keep FROM retention WHERE what = 'ledger')
    THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION '% is append-only: % refused', TG_RELID::regclass, TG_OP
        USING ERRCODE = 'restrict_violation', HINT = 'Book the difference as a row of adjustments.';
END
$$;

-- The whole name of a function of TimescaleDB, whose schema is whoever's that installed it.
CREATE FUNCTION of_timescaledb(function_name text) RETURNS text LANGUAGE sql STABLE
RETURN (
    SELECT format('%I.%I', nspname, function_name)
    FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace WHERE extname = 'timescaledb'
);

-- Whether a table of the ledger has chunks.
CREATE FUNCTION is_chunked(ledger_table text) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
DECLARE
    found boolean;
BEGIN
    IF to_regclass('timescaledb_information.hypertables') IS NULL THEN
        RETURN false;
    END IF;
    EXECUTE 'SELECT EXISTS (SELECT FROM timescaledb_information.hypertables'
        ' WHERE hypertable_schema = current_schema() AND hypertable_name = $1)' INTO found USING ledger_table;
    RETURN found;
END
$$;

-- Why rows of before this moment have to stay for now, NULL if they need not: whoever is asked later has to find them in
-- the rollups, and to see by a seal that they were what they were.
CREATE FUNCTION what_holds(ledger_table text, before timestamptz, unsealed boolean) RETURNS text
LANGUAGE plpgsql STABLE AS $$
DECLARE
    booked text := CASE ledger_table WHEN 'usage_events' THEN 'ingested_at' ELSE 'booked_at' END;
    sealed timestamptz := coalesce(
        (SELECT max(booked_until) FROM seal_windows JOIN seals USING (number)), '-infinity'
    );
    found boolean;
BEGIN
    EXECUTE format('SELECT EXISTS (SELECT FROM %I WHERE time < $1 AND %I >= $2)', ledger_table, booked)
        INTO found USING before, unfolded_since();
    IF found THEN
        RETURN 'it has rows that are in no rollup yet';
    END IF;
    EXECUTE format('SELECT EXISTS (SELECT FROM %I WHERE time < $1 AND %I > $2)', ledger_table, booked)
        INTO found USING before, sealed;
    RETURN CASE WHEN found AND NOT unsealed THEN 'it has rows that are not sealed yet' END;
END
$$;

-- Drops what is older than was laid down, of one table; returns why nothing was dropped, or NULL. Who books waits for
-- as long as chunks are looked at and dropped: moments.
CREATE FUNCTION drop_old(ledger_table text, unsealed boolean DEFAULT false) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    kept interval := keep FROM retention WHERE what = 'ledger';
    before timestamptz := date_trunc('day', now() - kept, 'UTC');
    holds text;
    chunks bigint;
    dropped bigint;
BEGIN
    IF ledger_table NOT IN ('usage_events', 'adjustments') THEN
        RAISE EXCEPTION '% is no table of the ledger', ledger_table USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF kept IS NULL THEN
        RETURN 'it is kept for ever';
    END IF;
    PERFORM fold_usage();
    IF is_chunked(ledger_table) THEN
        EXECUTE format('LOCK TABLE ONLY %I IN SHARE ROW EXCLUSIVE MODE', ledger_table);
        -- A chunk leaves when all of it is old.
        SELECT max(range_end), count(*) INTO before, chunks FROM timescaledb_information.chunks
        WHERE hypertable_schema = current_schema() AND hypertable_name = ledger_table AND range_end <= before;
        IF chunks = 0 THEN
            RETURN 'no chunk of it is that old';
        END IF;
        holds := what_holds(ledger_table, before, unsealed);
        IF holds IS NULL THEN
            EXECUTE format(
                'SELECT count(*) FROM %s(%L::regclass, older_than => $1)', of_timescaledb('drop_chunks'), ledger_table
            ) INTO chunks USING before;
        END IF;
    ELSE
        holds := what_holds(ledger_table, before, unsealed);
        IF holds IS NULL THEN
            PERFORM set_config('spanmeter.dropping', 'on', true);
            EXECUTE format('DELETE FROM %I WHERE time < $1', ledger_table) USING before;
            GET DIAGNOSTICS dropped = ROW_COUNT;
            PERFORM set_config('spanmeter.dropping', 'off', true);
        END IF;
    END IF;
    IF holds IS NULL AND (chunks > 0 OR dropped > 0) THEN
        INSERT INTO retention_log (dropped_from, before, chunks, rows, unsealed)
        VALUES (ledger_table, before, chunks, dropped, unsealed);
    END IF;
    RETURN holds;
END
$$;

-- Drops rejected spans that are older than was laid down; returns how many.
CREATE FUNCTION drop_rejected() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    before timestamptz := now() - keep FROM retention WHERE what = 'rejected_spans';
    dropped bigint;
BEGIN
    DELETE FROM rejected_spans WHERE rejected_at < before;
    GET DIAGNOSTICS dropped = ROW_COUNT;
    IF dropped > 0 THEN
        INSERT INTO retention_log (dropped_from, before, rows) VALUES ('rejected_spans', before, dropped);
    END IF;
    RETURN dropped;
END
$$;

-- Sets how much time a new chunk spans by what a day has come to, so that the indexes of the chunk that is written to
-- stay in a quarter of the memory (effective_cache_size); returns it, NULL where nothing was to be changed. A span that
-- is none of these was set by a person, and stays.
CREATE FUNCTION fit_chunks() RETURNS interval LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    spans interval[] := '{7 days, 3 days, 1 day, 12 hours, 6 hours, 1 hour}';
    room double precision := pg_size_bytes(current_setting('effective_cache_size')) / 4.0;
    now_spans interval;
    a_second double precision;
    fitting interval;
BEGIN
    IF NOT is_chunked('usage_events') THEN
        RETURN NULL;
    END IF;
    SELECT time_interval INTO now_spans FROM timescaledb_information.dimensions
    WHERE hypertable_schema = current_schema() AND hypertable_name = 'usage_events' AND dimension_number = 1;
    -- The latest chunk that is full, or has been written to for a day at least.
    SELECT pg_indexes_size(format('%I.%I', chunk_schema, chunk_name)::regclass)
        / extract(epoch FROM least(range_end, now()) - range_start) INTO a_second
    FROM timescaledb_information.chunks
    WHERE hypertable_schema = current_schema() AND hypertable_name = 'usage_events'
        AND least(range_end, now()) - range_start >= least(interval '1 day', range_end - range_start)
    ORDER BY range_start DESC LIMIT 1;
    IF a_second IS NULL OR now_spans <> ALL (spans) THEN
        RETURN NULL;
    END IF;
    SELECT coalesce(max(span), '1 hour') INTO fitting FROM unnest(spans) AS span
    WHERE a_second * extract(epoch FROM span) <= room * CASE WHEN span > now_spans THEN 0.5 ELSE 1 END;
    IF fitting = now_spans THEN
        RETURN NULL;
    END IF;
    EXECUTE format('SELECT %s(''usage_events'', $1)', of_timescaledb('set_chunk_time_interval')) USING fitting;
    RETURN fitting;
END
$$;

-- Moves old chunks into the columnstore of the Community edition, one at a time; returns the chunk, NULL where none is
-- to be moved. Before 2.30 rows could be lost there by faults of its own (its changelog, 2.26 to 2.30).
CREATE FUNCTION compress_old() RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    kept interval := keep FROM retention WHERE what = 'rowstore';
    chunk text;
BEGIN
    IF kept IS NULL OR current_setting('timescaledb.license', true) IS DISTINCT FROM 'timescale'
        OR (SELECT string_to_array(substring(extversion FROM '^\d+\.\d+'), '.')::int[] < ARRAY[2, 30]
            FROM pg_extension WHERE extname = 'timescaledb')
    THEN
        RETURN NULL;
    END IF;
    SELECT format('%I.%I', chunk_schema, chunk_name) INTO chunk
    FROM timescaledb_information.chunks
    WHERE hypertable_schema = current_schema() AND hypertable_name = 'usage_events'
        AND NOT is_compressed AND range_end < now() - kept
    ORDER BY range_start LIMIT 1;
    IF chunk IS NOT NULL THEN
        IF NOT (
            SELECT compression_enabled FROM timescaledb_information.hypertables
            WHERE hypertable_schema = current_schema() AND hypertable_name = 'usage_events'
        ) THEN
            EXECUTE 'ALTER TABLE usage_events SET (timescaledb.compress, timescaledb.compress_segmentby = ''tenant_id'','
                ' timescaledb.compress_orderby = ''time DESC, trace_id, span_id'')';
        END IF;
        EXECUTE format('SELECT %s(%L::regclass)', of_timescaledb('compress_chunk'), chunk);
    END IF;
    RETURN chunk;
END
$$;

DO $$
DECLARE
    ours text;
BEGIN
    FOREACH ours IN ARRAY ARRAY[
        'refuse_ledger_change()', 'is_chunked(text)', 'what_holds(text, timestamptz, boolean)', 'drop_old(text, boolean)',
        'drop_rejected()', 'fit_chunks()', 'compress_old()'
    ] LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', ours, current_schema());
        IF ours !~ '^(refuse|is)' THEN
            EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', ours);
        END IF;
    END LOOP;
    IF to_regrole('spanmeter_writer') IS NOT NULL THEN
        -- A collector applies what the owner has laid down, and can lay down nothing; nor drop what is not sealed.
        GRANT SELECT ON retention TO spanmeter_writer;
        GRANT EXECUTE ON FUNCTION drop_rejected, fit_chunks, compress_old TO spanmeter_writer;
    END IF;
    IF to_regrole('spanmeter_reader') IS NOT NULL THEN
        GRANT SELECT ON retention, retention_log TO spanmeter_reader;
    END IF;
END
$$;

CREATE FUNCTION drop_sealed(ledger_table text) RETURNS text LANGUAGE sql SECURITY DEFINER
RETURN drop_old(ledger_table, false);

DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION drop_sealed(text) SET search_path = %I, pg_temp', current_schema());
    REVOKE EXECUTE ON FUNCTION drop_sealed FROM PUBLIC;
    IF to_regrole('spanmeter_writer') IS NOT NULL THEN
        GRANT EXECUTE ON FUNCTION drop_sealed TO spanmeter_writer;
    END IF;
END
$$;

COMMENT ON FUNCTION drop_old IS 'Drops what is older than retention says of usage_events or adjustments; returns why it did not.';
COMMENT ON FUNCTION drop_sealed IS 'The same, never of what is not sealed.';
