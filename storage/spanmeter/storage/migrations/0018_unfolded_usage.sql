-- Keeps what is not folded yet in a table beside the ledger: a sum costs the same however many chunks the ledger has.
-- The statement that books writes to it. New in the sums: audio and image tokens, other units, and whole months by
-- workspace and feature. See docs/rollups.md.

-- What is noted is folded, once and for all; who books meanwhile waits.
SELECT pg_advisory_xact_lock(x'7370616e666f6c64'::bigint);
LOCK TABLE ONLY usage_events, ONLY adjustments IN ACCESS EXCLUSIVE MODE;
SELECT fold_usage(2147483647);

DROP TRIGGER note_booking ON usage_events;
DROP TRIGGER note_booking ON adjustments;
DROP FUNCTION note_booking(), fold_usage(integer), rebuild_usage(date, date), close_days(),
    add_to_rollups(text, timestamptz, timestamptz, timestamptz[], xid8[]);
ALTER VIEW countable_usage RENAME TO countable_before;
ALTER VIEW unfolded_usage RENAME TO unfolded_before;

-- A count of a row is of its own type there; sums of them are numeric. Rows come and go: vacuum has to keep up.
CREATE TABLE unfolded_usage (
    time timestamptz NOT NULL,
    tenant_id text,
    workspace_id text,
    project_id text,
    feature text,
    workflow text,
    account_type text,
    environment text,
    service_name text,
    callsite text,
    provider text NOT NULL,
    model text,
    operation text NOT NULL,
    billable_state text NOT NULL,
    currency text NOT NULL,
    requests bigint NOT NULL,
    failed_requests bigint NOT NULL,
    unpriced_requests bigint NOT NULL,
    input_tokens bigint,
    cache_read_input_tokens bigint,
    cache_write_input_tokens bigint,
    output_tokens bigint,
    reasoning_output_tokens bigint,
    audio_input_tokens bigint,
    audio_output_tokens bigint,
    image_input_tokens bigint,
    image_output_tokens bigint,
    cost numeric,
    unit text,
    quantity numeric CHECK (quantity > '-infinity' AND quantity < 'infinity'),
    CONSTRAINT unfolded_usage_unit_has_quantity CHECK ((unit IS NULL) = (quantity IS NULL))
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_cost_delay = 0);

-- What a row adds to the sums, and for each further unit one line more; the view ledger says the same of each row. Once
-- for what is booked already, and once for what a statement books.
DO $$
DECLARE
    dimensions text := 'time, tenant_id, workspace_id, project_id, feature, workflow, account_type, environment,'
        ' service_name, callsite, provider, coalesce(response_model, request_model) AS model, operation,'
        ' billable_state, currency';
    tokens text := 'input_tokens, cache_read_input_tokens, cache_write_input_tokens, output_tokens,'
        ' reasoning_output_tokens, audio_input_tokens, audio_output_tokens, image_input_tokens, image_output_tokens';
    units text := 'SELECT ' || dimensions || ', 0, 0, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,'
        ' unit, quantity::numeric'
        ' FROM %1$s CROSS JOIN LATERAL jsonb_each_text(quantities) AS other (unit, quantity)'
        ' WHERE quantities <> ''{}''';
    of_usage text := 'SELECT ' || dimensions || ', (duplicate_of_trace_id IS NULL)::int::bigint AS requests,'
        ' (duplicate_of_trace_id IS NULL AND status <> ''ok'')::int::bigint AS failed_requests,'
        ' (cost IS NULL)::int::bigint AS unpriced_requests, ' || tokens || ', cost,'
        ' NULL::text AS unit, NULL::numeric AS quantity FROM %1$s UNION ALL ' || units;
    of_adjustments text := 'SELECT ' || dimensions || ', requests,'
        ' CASE WHEN status = ''ok'' THEN 0 ELSE requests END, unpriced_requests, ' || tokens || ', cost,'
        ' NULL, NULL FROM %1$s UNION ALL ' || units;
BEGIN
    EXECUTE format('CREATE VIEW countable_usage AS ' || of_usage, 'usage_events')
        || format(' UNION ALL ' || of_adjustments, 'adjustments');
    EXECUTE format(
        'CREATE FUNCTION count_usage() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS %L',
        format('BEGIN INSERT INTO unfolded_usage ' || of_usage || '; RETURN NULL; END', 'booked')
    );
    EXECUTE format(
        'CREATE FUNCTION count_adjustments() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS %L',
        format('BEGIN INSERT INTO unfolded_usage ' || of_adjustments || '; RETURN NULL; END', 'booked')
    );
END
$$;

CREATE TRIGGER count_usage AFTER INSERT ON usage_events
    REFERENCING NEW TABLE AS booked FOR EACH STATEMENT EXECUTE FUNCTION count_usage();
CREATE TRIGGER count_adjustments AFTER INSERT ON adjustments
    REFERENCING NEW TABLE AS booked FOR EACH STATEMENT EXECUTE FUNCTION count_adjustments();

-- How many requests have counts that are not the provider's is asked with every report: few rows of many.
CREATE INDEX usage_events_estimated ON usage_events (time)
    WHERE usage_source IN ('estimate', 'tokenizer') AND duplicate_of_trace_id IS NULL;

CREATE TABLE folded_monthly (
    month date NOT NULL,
    tenant_id text,
    workspace_id text,
    feature text,
    account_type text,
    environment text,
    billable_state text NOT NULL,
    currency text NOT NULL,
    requests numeric NOT NULL,
    failed_requests numeric NOT NULL,
    unpriced_requests numeric NOT NULL,
    input_tokens numeric NOT NULL,
    cache_read_input_tokens numeric NOT NULL,
    cache_write_input_tokens numeric NOT NULL,
    output_tokens numeric NOT NULL,
    reasoning_output_tokens numeric NOT NULL,
    cost numeric
) WITH (fillfactor = 50);
CREATE UNIQUE INDEX folded_monthly_key ON folded_monthly
    (tenant_id, month, workspace_id, feature, account_type, environment, billable_state, currency) NULLS NOT DISTINCT;
CREATE INDEX folded_monthly_month ON folded_monthly USING brin (month);

CREATE TABLE folded_hourly_quantities (
    hour timestamptz NOT NULL, series uuid NOT NULL, unit text NOT NULL, quantity numeric NOT NULL
) WITH (fillfactor = 50);
CREATE UNIQUE INDEX folded_hourly_quantities_key ON folded_hourly_quantities (series, hour, unit);
CREATE INDEX folded_hourly_quantities_hour ON folded_hourly_quantities USING brin (hour);
CREATE TABLE folded_daily_quantities (
    day date NOT NULL, series uuid NOT NULL, unit text NOT NULL, quantity numeric NOT NULL
) WITH (fillfactor = 50);
CREATE UNIQUE INDEX folded_daily_quantities_key ON folded_daily_quantities (series, day, unit);
CREATE INDEX folded_daily_quantities_day ON folded_daily_quantities USING brin (day);

DO $$
DECLARE
    folded text;
BEGIN
    FOREACH folded IN ARRAY ARRAY[
        'folded_open_hours', 'folded_hourly', 'folded_daily', 'folded_daily_by_tenant', 'folded_daily_by_model',
        'folded_daily_unattributed', 'folded_monthly'
    ] LOOP
        EXECUTE format(
            'ALTER TABLE %I ADD audio_input_tokens numeric NOT NULL DEFAULT 0,'
            ' ADD audio_output_tokens numeric NOT NULL DEFAULT 0, ADD image_input_tokens numeric NOT NULL DEFAULT 0,'
            ' ADD image_output_tokens numeric NOT NULL DEFAULT 0',
            folded
        );
    END LOOP;
END
$$;

-- What tells the sums of one hour apart, and what they are sums of.
CREATE FUNCTION usage_dimensions() RETURNS text LANGUAGE sql IMMUTABLE
RETURN 'tenant_id, workspace_id, project_id, feature, workflow, account_type, environment, service_name, provider,'
    ' model, operation, billable_state, currency';
CREATE FUNCTION usage_measures() RETURNS text LANGUAGE sql IMMUTABLE
RETURN 'requests, failed_requests, unpriced_requests, input_tokens, cache_read_input_tokens,'
    ' cache_write_input_tokens, output_tokens, reasoning_output_tokens, cost, audio_input_tokens,'
    ' audio_output_tokens, image_input_tokens, image_output_tokens';
CREATE FUNCTION usage_sums() RETURNS text LANGUAGE sql IMMUTABLE
RETURN (
    SELECT string_agg(
        CASE name WHEN 'cost' THEN 'sum(cost) AS cost' ELSE format('coalesce(sum(%1$I), 0) AS %1$I', name) END, ', '
    )
    FROM regexp_split_to_table(usage_measures(), ', ') AS name
);

-- Adds the chosen rows to every rollup but the months', or to those too; returns how many they were. One statement sees
-- one moment, so what it takes out of unfolded_usage is what it adds. For the functions below, of which one runs at a time.
CREATE FUNCTION add_to_rollups(chosen text, since timestamptz, until timestamptz, most integer, months boolean)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    increased text := (
        SELECT string_agg(
            CASE name WHEN 'cost' THEN 'cost = coalesce(kept.cost + excluded.cost, kept.cost, excluded.cost)'
                ELSE format('%1$I = kept.%1$I + excluded.%1$I', name) END, ', '
        )
        FROM regexp_split_to_table(usage_measures(), ', ') AS name
    );
    by_tenant text := 'day, tenant_id, account_type, environment, billable_state, currency';
    by_model text := 'day, feature, account_type, environment, service_name, provider, model, operation,'
        ' billable_state, currency';
    by_place text := 'day, callsite, service_name, provider, model, currency';
    by_month text := 'month, tenant_id, workspace_id, feature, account_type, environment, billable_state, currency';
    added bigint;
BEGIN
    EXECUTE format(
        $insert$
        WITH %1$s, delta AS MATERIALIZED (
            SELECT
                series_of(%2$s) AS series, (hour AT TIME ZONE 'UTC')::date AS day,
                (date_trunc('month', hour, 'UTC') AT TIME ZONE 'UTC')::date AS month, *
            FROM (
                SELECT date_trunc('hour', time, 'UTC') AS hour, count(*) AS lines, %2$s, %4$s
                FROM chosen GROUP BY 1, %2$s
            ) AS hourly
        ), known AS (
            INSERT INTO usage_series (series, %2$s) SELECT DISTINCT series, %2$s FROM delta
            WHERE NOT EXISTS (SELECT FROM usage_series AS known WHERE known.series = delta.series)
        ), hourly AS (
            INSERT INTO folded_hourly AS kept (hour, series, %3$s) SELECT hour, series, %3$s FROM delta WHERE day < $4
            ON CONFLICT (series, hour) DO UPDATE SET %5$s
        ), daily AS (
            INSERT INTO folded_daily AS kept (day, series, %3$s)
            SELECT day, series, %4$s FROM delta WHERE day < $4 GROUP BY day, series
            ON CONFLICT (series, day) DO UPDATE SET %5$s
        ), open_hours AS (
            INSERT INTO folded_open_hours AS kept (hour, series, %3$s)
            SELECT hour, series, %3$s FROM delta WHERE day >= $4
            ON CONFLICT (series, hour) DO UPDATE SET %5$s
        ), daily_by_tenant AS (
            INSERT INTO folded_daily_by_tenant AS kept (%6$s, %3$s) SELECT %6$s, %4$s FROM delta GROUP BY %6$s
            ON CONFLICT (%6$s) DO UPDATE SET %5$s
        ), daily_by_model AS (
            INSERT INTO folded_daily_by_model AS kept (%7$s, %3$s) SELECT %7$s, %4$s FROM delta GROUP BY %7$s
            ON CONFLICT (%7$s) DO UPDATE SET %5$s
        ), daily_unattributed AS (
            INSERT INTO folded_daily_unattributed AS kept (%8$s, first_seen, last_seen, %3$s)
            SELECT %8$s, min(time), max(time), %4$s
            FROM (SELECT (time AT TIME ZONE 'UTC')::date AS day, * FROM chosen WHERE tenant_id IS NULL) AS nobody
            GROUP BY %8$s
            ON CONFLICT (%8$s) DO UPDATE SET %5$s,
                first_seen = least(kept.first_seen, excluded.first_seen),
                last_seen = greatest(kept.last_seen, excluded.last_seen)
        ), monthly AS (
            INSERT INTO folded_monthly AS kept (%9$s, %3$s) SELECT %9$s, %4$s FROM delta WHERE $5 GROUP BY %9$s
            ON CONFLICT (%9$s) DO UPDATE SET %5$s
        ), units AS MATERIALIZED (
            SELECT series_of(%2$s) AS series, (hour AT TIME ZONE 'UTC')::date AS day, hour, unit, quantity
            FROM (
                SELECT date_trunc('hour', time, 'UTC') AS hour, %2$s, unit, sum(quantity) AS quantity
                FROM chosen WHERE unit IS NOT NULL GROUP BY 1, %2$s, unit
            ) AS hourly
        ), hourly_quantities AS (
            INSERT INTO folded_hourly_quantities AS kept SELECT hour, series, unit, quantity FROM units
            ON CONFLICT (series, hour, unit) DO UPDATE SET quantity = kept.quantity + excluded.quantity
        ), daily_quantities AS (
            INSERT INTO folded_daily_quantities AS kept
            SELECT day, series, unit, sum(quantity) FROM units GROUP BY day, series, unit
            ON CONFLICT (series, day, unit) DO UPDATE SET quantity = kept.quantity + excluded.quantity
        )
        SELECT coalesce(sum(lines), 0) FROM delta
        $insert$,
        chosen, usage_dimensions(), usage_measures(), usage_sums(), increased, by_tenant, by_model, by_place, by_month
    )
    INTO added USING since, until, most, (SELECT before FROM closed_days), months;
    RETURN added;
END
$$;

-- Closes the days that have been over for an hour.
CREATE FUNCTION close_days() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    over date := ((now() - interval '1 hour') AT TIME ZONE 'UTC')::date;
    until timestamptz := over::timestamp AT TIME ZONE 'UTC';
BEGIN
    IF over > (SELECT before FROM closed_days) THEN
        INSERT INTO folded_hourly SELECT * FROM folded_open_hours WHERE hour < until;
        EXECUTE format(
            'INSERT INTO folded_daily (day, series, %s) SELECT (hour AT TIME ZONE ''UTC'')::date, series, %s'
            ' FROM folded_open_hours WHERE hour < $1 GROUP BY 1, 2',
            usage_measures(), usage_sums()
        ) USING until;
        DELETE FROM folded_open_hours WHERE hour < until;
        UPDATE closed_days SET before = over;
    END IF;
END
$$;

-- Folds what is booked and not folded yet, up to so many rows; returns how many, 0 while another one folds.
-- "spanfold" as a number: advisory locks of all programs share one namespace per database.
CREATE FUNCTION fold_usage(most integer DEFAULT 1000000) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET work_mem = '64MB' SET jit = off AS $$
BEGIN
    IF NOT pg_try_advisory_xact_lock(x'7370616e666f6c64'::bigint) THEN
        RETURN 0;
    END IF;
    PERFORM close_days();
    IF NOT EXISTS (SELECT FROM unfolded_usage) THEN
        RETURN 0;
    END IF;
    RETURN add_to_rollups(
        'chosen AS ('
        ' DELETE FROM unfolded_usage WHERE ctid = ANY (ARRAY(SELECT ctid FROM unfolded_usage LIMIT $3)) RETURNING *)',
        NULL, NULL, most, true
    );
END
$$;

-- The sums of whole months, from those of their days and hours.
CREATE FUNCTION sum_months(first_month date, end_month date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    by_month text := 'tenant_id, workspace_id, feature, account_type, environment, billable_state, currency';
BEGIN
    DELETE FROM folded_monthly WHERE month >= first_month AND month < end_month;
    EXECUTE format(
        'INSERT INTO folded_monthly (month, %1$s, %2$s) SELECT date_trunc(''month'', day::timestamp)::date, %1$s, %3$s'
        ' FROM ('
        ' SELECT day, series, %2$s FROM folded_daily WHERE day >= $1 AND day < $2 UNION ALL'
        ' SELECT (hour AT TIME ZONE ''UTC'')::date, series, %2$s FROM folded_open_hours'
        ' WHERE hour >= $1::timestamp AT TIME ZONE ''UTC'' AND hour < $2::timestamp AT TIME ZONE ''UTC'''
        ' ) AS daily JOIN usage_series USING (series) GROUP BY 1, %1$s',
        by_month, usage_measures(), usage_sums()
    ) USING first_month, end_month;
END
$$;

-- Makes the rollups of a range of days anew from the ledger, day by day.
CREATE FUNCTION rebuild_usage(first_day date, end_day date) RETURNS void
LANGUAGE plpgsql SET work_mem = '256MB' SET jit = off AS $$
DECLARE
    had date[];
    lost date;
    rebuilt date;
    since timestamptz;
    until timestamptz;
BEGIN
    PERFORM pg_advisory_xact_lock(x'7370616e666f6c64'::bigint);
    -- Bookings go on, and make no chunk: one that a statement is planned without would be missing in its sums alone.
    LOCK TABLE ONLY usage_events, ONLY adjustments IN SHARE UPDATE EXCLUSIVE MODE;
    had := ARRAY(SELECT DISTINCT day FROM folded_daily_by_tenant WHERE day >= first_day AND day < end_day);
    FOR rebuilt IN SELECT day::date FROM generate_series(first_day, end_day - 1, interval '1 day') AS day LOOP
        since := rebuilt::timestamp AT TIME ZONE 'UTC';
        until := (rebuilt + 1)::timestamp AT TIME ZONE 'UTC';
        DELETE FROM folded_open_hours WHERE hour >= since AND hour < until;
        DELETE FROM folded_hourly WHERE hour >= since AND hour < until;
        DELETE FROM folded_daily WHERE day = rebuilt;
        DELETE FROM folded_daily_by_tenant WHERE day = rebuilt;
        DELETE FROM folded_daily_by_model WHERE day = rebuilt;
        DELETE FROM folded_daily_unattributed WHERE day = rebuilt;
        DELETE FROM folded_hourly_quantities WHERE hour >= since AND hour < until;
        DELETE FROM folded_daily_quantities WHERE day = rebuilt;
        PERFORM add_to_rollups(
            'counted AS (DELETE FROM unfolded_usage WHERE time >= $1 AND time < $2),'
            ' chosen AS NOT MATERIALIZED (SELECT * FROM countable_usage WHERE time >= $1 AND time < $2)',
            since, until, NULL, false
        );
    END LOOP;
    PERFORM sum_months(date_trunc('month', first_day)::date, (date_trunc('month', end_day - 1) + interval '1 month')::date);
    SELECT min(day) INTO lost FROM unnest(had) AS before (day)
    WHERE NOT EXISTS (SELECT FROM folded_daily_by_tenant AS kept WHERE kept.day = before.day);
    IF lost IS NOT NULL THEN
        RAISE EXCEPTION 'the ledger has no row of % any more', lost USING ERRCODE = 'no_data_found';
    END IF;
END
$$;

-- The sums as they are at this moment: what is folded, and what is not yet.
DO $$
DECLARE
    dimensions text := 'tenant_id, workspace_id, project_id, feature, workflow, account_type, environment, provider,'
        ' model, operation, billable_state, currency';
    by_tenant text := 'tenant_id, account_type, environment, billable_state, currency';
    by_model text := 'feature, account_type, environment, service_name, provider, model, operation, billable_state,'
        ' currency';
    by_place text := 'callsite, service_name, provider, model, currency';
    by_month text := 'tenant_id, workspace_id, feature, account_type, environment, billable_state, currency';
    measures text := usage_measures();
    -- The columns that a view has keep their places.
    sums text := split_part(usage_sums(), ', coalesce(sum(audio_input_tokens)', 1);
    later_sums text := 'coalesce(sum(audio_input_tokens)' || split_part(usage_sums(), ', coalesce(sum(audio_input_tokens)', 2);
    hour text := 'date_trunc(''hour'', time, ''UTC'')';
    day text := '(time AT TIME ZONE ''UTC'')::date';
    month text := '(date_trunc(''month'', time, ''UTC'') AT TIME ZONE ''UTC'')::date';
BEGIN
    EXECUTE format(
        'CREATE OR REPLACE VIEW usage_hourly AS SELECT hour, %1$s, %3$s, service_name, %4$s FROM ('
        ' SELECT hour, service_name, %1$s, %2$s FROM folded_hourly JOIN usage_series USING (series) UNION ALL'
        ' SELECT hour, service_name, %1$s, %2$s FROM folded_open_hours JOIN usage_series USING (series) UNION ALL'
        ' SELECT %5$s, service_name, %1$s, %2$s FROM unfolded_usage) AS hourly GROUP BY hour, %1$s, service_name',
        dimensions, measures, sums, later_sums, hour
    );
    EXECUTE format(
        'CREATE OR REPLACE VIEW usage_daily AS SELECT day, %1$s, %3$s, service_name, %4$s FROM ('
        ' SELECT day, service_name, %1$s, %2$s FROM folded_daily JOIN usage_series USING (series) UNION ALL'
        ' SELECT (hour AT TIME ZONE ''UTC'')::date, service_name, %1$s, %2$s'
        ' FROM folded_open_hours JOIN usage_series USING (series) UNION ALL'
        ' SELECT %5$s, service_name, %1$s, %2$s FROM unfolded_usage) AS daily GROUP BY day, %1$s, service_name',
        dimensions, measures, sums, later_sums, day
    );
    EXECUTE format(
        'CREATE OR REPLACE VIEW usage_daily_by_tenant AS SELECT day, %1$s, %3$s, %4$s FROM ('
        ' SELECT day, %1$s, %2$s FROM folded_daily_by_tenant UNION ALL'
        ' SELECT %5$s, %1$s, %2$s FROM unfolded_usage) AS daily GROUP BY day, %1$s',
        by_tenant, measures, sums, later_sums, day
    );
    EXECUTE format(
        'CREATE OR REPLACE VIEW usage_daily_by_model AS SELECT day, %1$s, %3$s, %4$s FROM ('
        ' SELECT day, %1$s, %2$s FROM folded_daily_by_model UNION ALL'
        ' SELECT %5$s, %1$s, %2$s FROM unfolded_usage) AS daily GROUP BY day, %1$s',
        by_model, measures, sums, later_sums, day
    );
    EXECUTE format(
        'CREATE OR REPLACE VIEW usage_daily_unattributed AS'
        ' SELECT day, %1$s, %3$s, min(first_seen) AS first_seen, max(last_seen) AS last_seen, %4$s FROM ('
        ' SELECT day, %1$s, %2$s, first_seen, last_seen FROM folded_daily_unattributed UNION ALL'
        ' SELECT %5$s, %1$s, %2$s, time, time FROM unfolded_usage WHERE tenant_id IS NULL) AS daily GROUP BY day, %1$s',
        by_place, measures, sums, later_sums, day
    );
    EXECUTE format(
        'CREATE VIEW usage_monthly AS SELECT month, %1$s, %3$s FROM ('
        ' SELECT month, %1$s, %2$s FROM folded_monthly UNION ALL'
        ' SELECT %4$s, %1$s, %2$s FROM unfolded_usage) AS monthly GROUP BY month, %1$s',
        by_month, measures, usage_sums(), month
    );
    EXECUTE format(
        'CREATE VIEW usage_hourly_quantities AS SELECT hour, %1$s, unit, sum(quantity) AS quantity FROM ('
        ' SELECT hour, %1$s, unit, quantity FROM folded_hourly_quantities JOIN usage_series USING (series) UNION ALL'
        ' SELECT %2$s, %1$s, unit, quantity FROM unfolded_usage WHERE unit IS NOT NULL) AS hourly'
        ' GROUP BY hour, %1$s, unit',
        usage_dimensions(), hour
    );
    EXECUTE format(
        'CREATE VIEW usage_daily_quantities AS SELECT day, %1$s, unit, sum(quantity) AS quantity FROM ('
        ' SELECT day, %1$s, unit, quantity FROM folded_daily_quantities JOIN usage_series USING (series) UNION ALL'
        ' SELECT %2$s, %1$s, unit, quantity FROM unfolded_usage WHERE unit IS NOT NULL) AS daily'
        ' GROUP BY day, %1$s, unit',
        usage_dimensions(), day
    );
END
$$;

-- Months are summed from their days. Audio, images and other units of what is booked already are still to be folded.
SELECT sum_months('-infinity', 'infinity');
INSERT INTO unfolded_usage
SELECT
    time, tenant_id, workspace_id, project_id, feature, workflow, account_type, environment, service_name, callsite,
    provider, model, operation, billable_state, currency, 0, 0, 0, NULL, NULL, NULL, NULL, NULL,
    audio_input_tokens, audio_output_tokens, image_input_tokens, image_output_tokens, NULL, unit, quantity
FROM countable_usage
WHERE unit IS NOT NULL
    OR num_nonnulls(audio_input_tokens, audio_output_tokens, image_input_tokens, image_output_tokens) > 0;

-- Why rows of before this moment have to stay for now, NULL if they need not: whoever is asked later has to find them in
-- the rollups, and to see by a seal that they were what they were.
CREATE OR REPLACE FUNCTION what_holds(ledger_table text, before timestamptz, unsealed boolean) RETURNS text
LANGUAGE plpgsql STABLE AS $$
DECLARE
    booked text := CASE ledger_table WHEN 'usage_events' THEN 'ingested_at' ELSE 'booked_at' END;
    sealed timestamptz := coalesce(
        (SELECT max(booked_until) FROM seal_windows JOIN seals USING (number)), '-infinity'
    );
    found boolean;
BEGIN
    IF EXISTS (SELECT FROM unfolded_usage WHERE time < before) THEN
        RETURN 'it has rows that are in no rollup yet';
    END IF;
    EXECUTE format('SELECT EXISTS (SELECT FROM %I WHERE time < $1 AND %I > $2)', ledger_table, booked)
        INTO found USING before, sealed;
    RETURN CASE WHEN found AND NOT unsealed THEN 'it has rows that are not sealed yet' END;
END
$$;

DROP VIEW unfolded_before, countable_before;
DROP FUNCTION unfolded_since();
DROP TABLE unfolded_bookings;

CREATE OR REPLACE VIEW own_usage_hourly WITH (security_barrier) AS
    SELECT * FROM usage_hourly WHERE tenant_id = (SELECT own_tenant());
CREATE OR REPLACE VIEW own_usage_daily WITH (security_barrier) AS
    SELECT * FROM usage_daily WHERE tenant_id = (SELECT own_tenant());
CREATE VIEW own_usage_monthly WITH (security_barrier) AS
    SELECT * FROM usage_monthly WHERE tenant_id = (SELECT own_tenant());
CREATE VIEW own_usage_hourly_quantities WITH (security_barrier) AS
    SELECT * FROM usage_hourly_quantities WHERE tenant_id = (SELECT own_tenant());
CREATE VIEW own_usage_daily_quantities WITH (security_barrier) AS
    SELECT * FROM usage_daily_quantities WHERE tenant_id = (SELECT own_tenant());

COMMENT ON VIEW countable_usage IS 'Each row of the ledger with what it adds to the rollups, and a line for each further unit of it.';
COMMENT ON COLUMN countable_usage.unit IS 'images, audio_seconds, pages ... NULL: the line has the counts of the row.';
COMMENT ON COLUMN countable_usage.quantity IS 'How many of the unit.';
COMMENT ON TABLE unfolded_usage IS 'What the rows of the last moments add to the rollups, until it is folded into them.';
COMMENT ON TABLE folded_monthly IS 'What is folded of usage_monthly; query that.';
COMMENT ON TABLE folded_hourly_quantities IS 'What is folded of usage_hourly_quantities; query that.';
COMMENT ON TABLE folded_daily_quantities IS 'What is folded of usage_daily_quantities; query that.';
COMMENT ON COLUMN folded_hourly_quantities.series IS 'The combination of dimensions, in usage_series.';
COMMENT ON COLUMN folded_daily_quantities.series IS 'The combination of dimensions, in usage_series.';
COMMENT ON VIEW usage_monthly IS 'Sums over the ledger by month, UTC, tenant, workspace and feature.';
COMMENT ON COLUMN usage_monthly.month IS 'First day of the month, UTC.';
COMMENT ON VIEW usage_hourly_quantities IS 'Usage in units other than tokens by hour, UTC: images, seconds, pages, searches.';
COMMENT ON VIEW usage_daily_quantities IS 'Usage in units other than tokens by day, UTC: images, seconds, pages, searches.';
COMMENT ON VIEW own_usage_monthly IS 'The rows of usage_monthly that are of the session''s tenant.';
COMMENT ON VIEW own_usage_hourly_quantities IS 'The rows of usage_hourly_quantities that are of the session''s tenant.';
COMMENT ON VIEW own_usage_daily_quantities IS 'The rows of usage_daily_quantities that are of the session''s tenant.';

-- A column that has no comment yet means what it means in the relation the sums are read from.
DO $$
DECLARE
    named record;
BEGIN
    FOR named IN
        SELECT ours.attrelid::regclass AS relation, ours.attname AS name, (
            SELECT col_description(theirs.attrelid, theirs.attnum)
            FROM unnest(ARRAY['usage_hourly', 'usage_daily', 'usage_monthly', 'ledger', 'usage_events', 'countable_usage'])
                WITH ORDINALITY AS source(name, rank)
                JOIN pg_attribute AS theirs ON theirs.attrelid = source.name::regclass
            WHERE theirs.attname = ours.attname AND col_description(theirs.attrelid, theirs.attnum) IS NOT NULL
            ORDER BY source.rank LIMIT 1
        ) AS meaning
        FROM unnest(ARRAY[
            'countable_usage', 'unfolded_usage', 'folded_open_hours', 'folded_hourly', 'folded_daily',
            'folded_daily_by_tenant', 'folded_daily_by_model', 'folded_daily_unattributed', 'folded_monthly',
            'folded_hourly_quantities', 'folded_daily_quantities', 'usage_hourly', 'usage_daily',
            'usage_daily_by_tenant', 'usage_daily_by_model', 'usage_daily_unattributed', 'usage_monthly',
            'usage_hourly_quantities', 'usage_daily_quantities', 'own_usage_hourly', 'own_usage_daily',
            'own_usage_monthly', 'own_usage_hourly_quantities', 'own_usage_daily_quantities'
        ]) AS relation
            JOIN pg_attribute AS ours ON ours.attrelid = relation::regclass
        WHERE ours.attnum > 0 AND col_description(ours.attrelid, ours.attnum) IS NULL
    LOOP
        EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', named.relation, named.name, named.meaning);
    END LOOP;
END
$$;

-- What runs with its owner's rights finds these tables and no others of their names.
DO $$
DECLARE
    ours text;
BEGIN
    FOREACH ours IN ARRAY ARRAY['count_usage()', 'count_adjustments()', 'fold_usage(integer)'] LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', ours, current_schema());
    END LOOP;
END
$$;
REVOKE EXECUTE ON FUNCTION fold_usage, rebuild_usage, add_to_rollups, close_days, sum_months FROM PUBLIC;

DO $$
BEGIN
    IF to_regrole('spanmeter_writer') IS NOT NULL THEN
        GRANT EXECUTE ON FUNCTION fold_usage TO spanmeter_writer;
    END IF;
    IF to_regrole('spanmeter_reader') IS NOT NULL THEN
        GRANT SELECT ON usage_monthly, usage_hourly_quantities, usage_daily_quantities TO spanmeter_reader;
    END IF;
    IF to_regrole('spanmeter_tenant') IS NOT NULL THEN
        GRANT SELECT ON
            own_usage_monthly, own_usage_hourly_quantities, own_usage_daily_quantities
        TO spanmeter_tenant;
    END IF;
END
$$;
