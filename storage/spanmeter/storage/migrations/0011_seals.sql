-- Seals: digests of what was booked, each chained to the one before.
-- So a row that is changed, removed or added behind the ledger's back is found; see docs/verify.md.

CREATE TABLE seal_windows (
    number bigint PRIMARY KEY CHECK (number >= 1),
    booked_until timestamptz NOT NULL UNIQUE CHECK (isfinite(booked_until)),
    closed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT seal_windows_are_past CHECK (booked_until < closed_at)
);

COMMENT ON TABLE seal_windows IS
    'Append-only: each covers what was booked after the one before and up to booked_until. Nothing more can be booked in it.';
COMMENT ON COLUMN seal_windows.number IS 'Counted from 1, without a gap.';
COMMENT ON COLUMN seal_windows.booked_until IS 'The last moment in it: of ingested_at of usage, of booked_at of adjustments.';
COMMENT ON COLUMN seal_windows.closed_at IS 'When it was closed.';

CREATE TABLE seals (
    number bigint PRIMARY KEY REFERENCES seal_windows,
    previous bytea NOT NULL CHECK (octet_length(previous) = 32),
    columns jsonb NOT NULL CHECK (jsonb_typeof(columns) = 'object'),
    sealed_at timestamptz NOT NULL,
    sealed_by text NOT NULL,
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    signature bytea CHECK (octet_length(signature) = 32)
);

COMMENT ON TABLE seals IS 'Append-only: the chain. Each seal holds the digests of its window''s days and the digest of the seal before.';
COMMENT ON COLUMN seals.number IS 'The window it seals.';
COMMENT ON COLUMN seals.previous IS 'digest of the seal before; zeros in the first.';
COMMENT ON COLUMN seals.columns IS 'The columns that its days'' digests are over, by table, in order.';
COMMENT ON COLUMN seals.sealed_at IS 'When it was made.';
COMMENT ON COLUMN seals.sealed_by IS 'The database login that made it.';
COMMENT ON COLUMN seals.digest IS 'SHA-256 of all that the seal says, its days included.';
COMMENT ON COLUMN seals.signature IS 'HMAC-SHA-256 of digest by a key that the database does not know. NULL: there was none.';

CREATE TABLE sealed_days (
    number bigint NOT NULL REFERENCES seals DEFERRABLE INITIALLY DEFERRED,
    ledger_table text NOT NULL CHECK (ledger_table IN ('usage_events', 'adjustments')),
    day date NOT NULL,
    currency text NOT NULL,
    rows bigint NOT NULL CHECK (rows >= 1),
    input_tokens numeric,
    output_tokens numeric,
    cost numeric,
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    PRIMARY KEY (day, ledger_table, currency, number)
);
CREATE INDEX sealed_days_number ON sealed_days (number);

COMMENT ON TABLE sealed_days IS 'Append-only: what each seal covers of each day, UTC.';
COMMENT ON COLUMN sealed_days.number IS 'The seal.';
COMMENT ON COLUMN sealed_days.ledger_table IS 'usage_events or adjustments.';
COMMENT ON COLUMN sealed_days.day IS 'The day of service, UTC: of the column time.';
COMMENT ON COLUMN sealed_days.currency IS 'Currency of the rows.';
COMMENT ON COLUMN sealed_days.rows IS 'How many rows.';
COMMENT ON COLUMN sealed_days.input_tokens IS 'Their sum; NULL: none has any.';
COMMENT ON COLUMN sealed_days.output_tokens IS 'Their sum; NULL: none has any.';
COMMENT ON COLUMN sealed_days.cost IS 'Their sum, unrounded; NULL: none has any.';
COMMENT ON COLUMN sealed_days.digest IS 'SHA-256 over the rows in the order of their keys.';

DO $$
DECLARE
    sealed text;
BEGIN
    FOREACH sealed IN ARRAY ARRAY['seal_windows', 'seals', 'sealed_days'] LOOP
        EXECUTE format(
            'CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON %I FOR EACH ROW EXECUTE FUNCTION refuse_change()', sealed
        );
        EXECUTE format(
            'CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()',
            sealed
        );
    END LOOP;
END
$$;

-- The lock waits for all that are booking, and they are committed then; whoever books later is told by the trigger below
-- what is closed. So no row with a time of booking in the window can appear after this. Adjustments first, as those lock
-- who book both. To be committed at once: nobody can book meanwhile.
CREATE FUNCTION close_seal_window(until timestamptz) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    latest seal_windows%ROWTYPE;
BEGIN
    LOCK TABLE ONLY adjustments, ONLY usage_events IN SHARE ROW EXCLUSIVE MODE;
    SELECT * INTO latest FROM seal_windows ORDER BY seal_windows.number DESC LIMIT 1;
    IF until <= latest.booked_until THEN
        RETURN NULL;
    END IF;
    INSERT INTO seal_windows (number, booked_until) VALUES (coalesce(latest.number, 0) + 1, until);
    RETURN coalesce(latest.number, 0) + 1;
END
$$;

COMMENT ON FUNCTION close_seal_window IS
    'Closes the window of what was booked up to this moment; returns its number, or NULL where that is closed already.';

-- The time of booking is when a transaction began: one that began before the end of a closed window begins again.
CREATE FUNCTION refuse_closed_booking() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF now() <= (SELECT max(booked_until) FROM seal_windows) THEN
        RAISE EXCEPTION 'what was booked when this transaction began is sealed by now; begin it again'
            USING ERRCODE = 'serialization_failure';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER not_into_closed BEFORE INSERT ON usage_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_closed_booking();
CREATE TRIGGER not_into_closed BEFORE INSERT ON adjustments
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_closed_booking();

DO $$
BEGIN
    -- Functions with their owner's rights look at no table but ours, whoever calls them.
    EXECUTE format('ALTER FUNCTION close_seal_window SET search_path = %I, pg_temp', current_schema());
    EXECUTE format('ALTER FUNCTION refuse_closed_booking SET search_path = %I, pg_temp', current_schema());
    REVOKE EXECUTE ON FUNCTION close_seal_window FROM PUBLIC;
    IF to_regrole('spanmeter_writer') IS NOT NULL THEN
        -- A collector seals by itself: it reads what it seals.
        GRANT SELECT ON adjustments TO spanmeter_writer;
        GRANT SELECT ON seal_windows TO spanmeter_writer;
        GRANT SELECT, INSERT ON seals, sealed_days TO spanmeter_writer;
        GRANT EXECUTE ON FUNCTION close_seal_window TO spanmeter_writer;
    END IF;
    IF to_regrole('spanmeter_reader') IS NOT NULL THEN
        GRANT SELECT ON seal_windows, seals, sealed_days TO spanmeter_reader;
    END IF;
END
$$;
