-- alone --
-- Whether this session is the one that keeps house now; to be asked in a transaction, whose end lets another.
SELECT pg_try_advisory_xact_lock(%s);

-- patience --
-- Whoever books waits behind a lock that is waited for: not long. Rows of plain PostgreSQL take longer to delete.
SELECT set_config('lock_timeout', '1s', true), set_config('statement_timeout', '15min', true);

-- retention --
-- What is kept for how long, and who laid that down.
SELECT what, keep, set_by, set_at FROM retention ORDER BY what;

-- set_retention --
-- Lay down for how long something is kept.
INSERT INTO retention (what, keep) VALUES (%(what)s, %(keep)s)
ON CONFLICT (what) DO UPDATE SET keep = excluded.keep, set_by = session_user, set_at = now();

-- keep_for_ever --
-- Nothing of it leaves any more.
DELETE FROM retention WHERE what = %s;

-- drop_sealed --
-- Drop what is old of a table; why it was not, where it was not.
SELECT drop_sealed(%s);

-- drop_unsealed --
-- The same, of what is not sealed too.
SELECT drop_old(%s, true);

-- drop_rejected --
-- Drop old rejected spans; how many.
SELECT drop_rejected();

-- fit_chunks --
-- Fit the span of new chunks to what is booked; the new one, if it was changed.
SELECT fit_chunks();

-- compress_old --
-- Move the oldest chunk that is due into the columnstore; which it was.
SELECT compress_old();

-- dropped --
-- What has left lately, the latest first.
SELECT dropped_at, dropped_from, before, chunks, rows, unsealed, actor
FROM retention_log ORDER BY entry_id DESC LIMIT %s;

-- chunks --
-- Chunks of a hypertable: how many, of which time, how many in the columnstore, and how much time a new one spans.
SELECT
    count(*), min(range_start), max(range_end), count(*) FILTER (WHERE is_compressed),
    (SELECT time_interval FROM timescaledb_information.dimensions
        WHERE hypertable_schema = current_schema() AND hypertable_name = %(table)s AND dimension_number = 1)
FROM timescaledb_information.chunks
WHERE hypertable_schema = current_schema() AND hypertable_name = %(table)s;
