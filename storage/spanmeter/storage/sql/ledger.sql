-- prepare_session --
-- An answered commit is a durable one, whatever the server's or the role's default; nothing waits for ever. A batch is
-- looked up by index, row by row, however large the tables are: the planner knows nothing of a staging table.
SELECT
    set_config('synchronous_commit', CASE current_setting('synchronous_commit')
        WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, false),
    set_config('statement_timeout', %(statement_timeout)s, false),
    set_config('lock_timeout', %(lock_timeout)s, false),
    set_config('enable_hashjoin', 'off', false),
    set_config('enable_mergejoin', 'off', false),
    set_config('jit', 'off', false),
    -- Which chunks a row can be in is known when the query is planned; looking again for each row costs ten times as much.
    set_config('timescaledb.enable_chunk_append', 'off', false),
    set_config('idle_in_transaction_session_timeout', %(statement_timeout)s, false);

-- unsafe_settings --
-- Server settings under which a commit may be lost with the power, whatever the session asks for.
SELECT name FROM pg_settings WHERE name IN ('fsync', 'full_page_writes') AND setting = 'off' ORDER BY name;

-- commit_later --
-- Not to wait for the disk at the end of this transaction: one that follows does, for both.
SET LOCAL synchronous_commit = off;

-- commit_all --
-- A commit waits for all that was committed before it, but only if it has written something of its own.
SELECT pg_logical_emit_message(true, 'spanmeter', '');

-- create_staging --
-- The session's own table that batches are copied into, without a constraint: the ledger's are what counts.
CREATE TEMPORARY TABLE {staging} ({columns}) ON COMMIT DELETE ROWS;

-- copy --
-- Copy a batch into its staging table, or where nothing is in its way, into the table itself.
COPY {target} ({columns}) FROM STDIN (FORMAT binary);

-- insert_events --
-- Add the staged events that are not booked yet. All writers go by the same order, so that none waits in a circle.
INSERT INTO usage_events ({columns})
SELECT {columns} FROM {staging} ORDER BY time, trace_id, span_id
ON CONFLICT (trace_id, span_id, time) DO NOTHING;

-- insert_rejected --
-- Keep the staged spans that are not kept yet, in the order of their key.
INSERT INTO rejected_spans ({columns})
SELECT {columns} FROM {staging} ORDER BY payload_sha256
ON CONFLICT (payload_sha256) DO NOTHING;
