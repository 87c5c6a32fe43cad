-- lock --
-- One migration at a time in a database; the lock is the session's, so that it spans the transactions.
SELECT pg_advisory_lock(%s);

-- create_record --
-- The record of what has been applied.
CREATE TABLE IF NOT EXISTS spanmeter_migrations (
    name text PRIMARY KEY,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);

-- has_record --
-- Whether any migration has ever run here.
SELECT to_regclass('spanmeter_migrations') IS NOT NULL;

-- read_record --
-- What has been applied, and from which text.
SELECT name, checksum FROM spanmeter_migrations ORDER BY name;

-- record --
-- Note a migration, in its own transaction.
INSERT INTO spanmeter_migrations (name, checksum) VALUES (%s, %s);

-- columns --
-- The columns of a table and their types, readable without any privilege on it.
SELECT attname, format_type(atttypid, atttypmod)
FROM pg_attribute
WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped
ORDER BY attnum;
