-- lock --
-- One migration at a time in a database; the lock is the session's, so that it spans the transactions.
SELECT pg_advisory_lock(%s);

-- create_record --
-- The record of what has been applied. Releases were not noted at first.
CREATE TABLE IF NOT EXISTS spanmeter_migrations (
    name text PRIMARY KEY,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE spanmeter_migrations ADD COLUMN IF NOT EXISTS release text;
COMMENT ON TABLE spanmeter_migrations IS 'What made the tables, step by step.';
COMMENT ON COLUMN spanmeter_migrations.name IS 'Name of the step.';
COMMENT ON COLUMN spanmeter_migrations.checksum IS 'Digest of its text.';
COMMENT ON COLUMN spanmeter_migrations.applied_at IS 'When it was taken.';
COMMENT ON COLUMN spanmeter_migrations.release IS 'The release that took it. NULL: one before they were noted.';

-- has_record --
-- Whether any migration has ever run here.
SELECT to_regclass('spanmeter_migrations') IS NOT NULL;

-- read_record --
-- What has been applied, from which text, and by which release. A record that was made before releases were noted is
-- read as it is.
SELECT name, checksum, to_jsonb(applied) ->> 'release' FROM spanmeter_migrations AS applied ORDER BY name;

-- record --
-- Note a migration, in its own transaction.
INSERT INTO spanmeter_migrations (name, checksum, release) VALUES (%s, %s, %s);

-- columns --
-- The columns of a table and their types, readable without any privilege on it.
SELECT attname, format_type(atttypid, atttypmod)
FROM pg_attribute
WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped
ORDER BY attnum;
