-- one_at_a_time --
-- Whether this session is the one that seals; others need not wait, as all of it gets sealed.
SELECT pg_try_advisory_lock(%s);

-- done --
-- The next one may seal.
SELECT pg_advisory_unlock(%s);

-- patience --
-- Whoever books waits behind a lock that is waited for: not long.
SELECT set_config('lock_timeout', '500ms', true);

-- close_window --
-- Nothing more can be booked up to this moment.
SELECT close_seal_window(%s);

-- windows --
-- All windows: number, and the moments they are after and until.
SELECT number, lag(booked_until) OVER (ORDER BY number) AS booked_after, booked_until
FROM seal_windows ORDER BY number;

-- seals --
-- The chain.
SELECT number, previous, columns, sealed_at, sealed_by, digest, signature FROM seals ORDER BY number;

-- sealed_days --
-- What the seals cover of the days of a period.
SELECT number, ledger_table, day, currency, rows, input_tokens, output_tokens, cost, digest
FROM sealed_days
WHERE day >= coalesce(%(first)s::date, '-infinity') AND day <= coalesce(%(last)s::date, 'infinity')
    AND (%(number)s::bigint IS NULL OR number = %(number)s)
ORDER BY number, day, ledger_table, currency;

-- add_seal --
-- The next seal of the chain.
INSERT INTO seals (number, previous, columns, sealed_at, sealed_by, digest, signature)
VALUES (
    %(number)s, %(previous)s, %(columns)s, %(sealed_at)s, %(sealed_by)s, %(digest)s, %(signature)s
);

-- add_day --
-- What it covers of a day.
INSERT INTO sealed_days (
    number, ledger_table, day, currency, rows, input_tokens, output_tokens, cost, digest
) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s);

-- login --
-- Who seals, and when.
SELECT session_user, clock_timestamp();

-- encoding --
-- Text is hashed in the encoding of the client.
SELECT set_config('client_encoding', 'UTF8', false);

-- columns --
-- The columns of a table, in their order.
SELECT attname FROM pg_attribute
WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped ORDER BY attnum;

-- days_booked --
-- The days of service, UTC, of what was booked in a window.
SELECT DISTINCT (time AT TIME ZONE 'UTC')::date FROM {table}
WHERE {booked} > coalesce(%(after)s::timestamptz, '-infinity') AND {booked} <= %(until)s
ORDER BY 1;

-- days_with_rows --
-- The days of service, UTC, that have rows.
SELECT DISTINCT (time AT TIME ZONE 'UTC')::date FROM {table}
WHERE time >= coalesce(%(since)s::timestamptz, '-infinity') AND time < coalesce(%(until)s::timestamptz, 'infinity');

-- dropped --
-- Before which moment retention has let rows of the ledger's tables go.
SELECT dropped_from, max(before) FROM retention_log GROUP BY dropped_from;

-- digests --
-- Digests and sums of a day's rows, by window (its place among their ends) and currency. A row is hashed in PostgreSQL's
-- binary form, which no setting changes but the encoding of the client. By the minute first: a value has at most 1 GiB.
WITH hashed AS (
    SELECT
        width_bucket({booked}, %(ends)s::timestamptz[]) AS place,
        date_trunc('minute', time, 'UTC') AS minute, currency,
        {key}, input_tokens, output_tokens, cost,
        pg_catalog.sha256(pg_catalog.record_send(ROW({columns}))) AS hash
    FROM {table}
    WHERE time >= %(since)s AND time < %(until)s
        AND {booked} > coalesce(%(after)s::timestamptz, '-infinity') AND {booked} <= %(last)s
),
minutes AS (
    SELECT
        place, minute, currency,
        count(*) AS rows, sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens, sum(cost) AS cost,
        pg_catalog.sha256(string_agg(hash, ''::bytea ORDER BY {key}, hash)) AS hash
    FROM hashed
    GROUP BY place, minute, currency
)
SELECT
    place, currency,
    sum(rows)::bigint, sum(input_tokens), sum(output_tokens), sum(cost),
    pg_catalog.sha256(string_agg(hash, ''::bytea ORDER BY minute))
FROM minutes
GROUP BY place, currency
ORDER BY place, currency;
