-- Sums that answer at once: rows are folded into rollups moments after they are booked, and read as they are until then.
-- Booking itself only notes its transaction, so that writers share nothing to wait for; see docs/rollups.md.

-- With the time it began, a transaction is told from all others, those of a server this database is restored to included.
ALTER TABLE usage_events ADD COLUMN booked_in xid8;
ALTER TABLE usage_events ALTER COLUMN booked_in SET DEFAULT pg_current_xact_id();
ALTER TABLE adjustments ADD COLUMN booked_in xid8;
ALTER TABLE adjustments ALTER COLUMN booked_in SET DEFAULT pg_current_xact_id();
CREATE INDEX usage_events_ingested ON usage_events (ingested_at);
CREATE INDEX adjustments_booked ON adjustments (booked_at);

COMMENT ON COLUMN usage_events.booked_in IS 'The transaction that wrote the row. NULL: before there were rollups.';
COMMENT ON COLUMN adjustments.booked_in IS 'The transaction that wrote the row. NULL: before there were rollups.';

CREATE TABLE unfolded_bookings (
    booked_at timestamptz NOT NULL,
    booked_in xid8 NOT NULL,
    PRIMARY KEY (booked_at, booked_in)
);

COMMENT ON TABLE unfolded_bookings IS 'Transactions whose rows of the ledger are in no rollup yet.';
COMMENT ON COLUMN unfolded_bookings.booked_at IS 'When the transaction began: ingested_at, or booked_at, of its rows.';
COMMENT ON COLUMN unfolded_bookings.booked_in IS 'The transaction: booked_in of its rows.';

CREATE FUNCTION note_booking() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO unfolded_bookings VALUES (now(), pg_current_xact_id()) ON CONFLICT DO NOTHING;
    RETURN NULL;
END
$$;

CREATE TRIGGER note_booking AFTER INSERT ON usage_events FOR EACH STATEMENT EXECUTE FUNCTION note_booking();
CREATE TRIGGER note_booking AFTER INSERT ON adjustments FOR EACH STATEMENT EXECUTE FUNCTION note_booking();

-- The planner evaluates it, and so knows how few rows are newer. It costs a look-up: that is for the bounds of an index
-- scan to pay once, never for each row.
CREATE FUNCTION unfolded_since() RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER COST 100000
RETURN coalesce((SELECT min(booked_at) FROM unfolded_bookings), 'infinity');

-- All that is booked, as the rollups count it. The view ledger says the same of each row.
CREATE VIEW countable_usage AS
SELECT
    time, ingested_at AS booked_at, booked_in,
    tenant_id, workspace_id, project_id, feature, workflow, account_type, environment, service_name, callsite,
    provider, coalesce(response_model, request_model) AS model, operation, billable_state, currency,
    (duplicate_of_trace_id IS NULL)::int::bigint AS requests,
    (duplicate_of_trace_id IS NULL AND status <> 'ok')::int::bigint AS failed_requests,
    (cost IS NULL)::int::bigint AS unpriced_requests,
    input_tokens, cache_read_input_tokens, cache_write_input_tokens, output_tokens, reasoning_output_tokens, cost
FROM usage_events
UNION ALL
SELECT
    time, booked_at, booked_in,
    tenant_id, workspace_id, project_id, feature, workflow, account_type, environment, service_name, callsite,
    provider, coalesce(response_model, request_model), operation, billable_state, currency,
    requests,
    CASE WHEN status = 'ok' THEN 0 ELSE requests END,
    unpriced_requests,
    input_tokens, cache_read_input_tokens, cache_write_input_tokens, output_tokens, reasoning_output_tokens, cost
FROM adjustments;

CREATE VIEW unfolded_usage AS
SELECT * FROM countable_usage
WHERE booked_at >= unfolded_since()
    AND (booked_at, booked_in) IN (SELECT booked_at, booked_in FROM unfolded_bookings);

CREATE TABLE usage_series (
    series uuid PRIMARY KEY,
    tenant_id text,
    workspace_id text,
    project_id text,
    feature text,
    workflow text,
    account_type text,
    environment text,
    service_name text,
    provider text NOT NULL,
    model text,
    operation text NOT NULL,
    billable_state text NOT NULL,
    currency text NOT NULL
);
CREATE INDEX usage_series_tenant ON usage_series (tenant_id);

-- A digest needs no look-up, and takes NULL for another value than ''.
CREATE FUNCTION series_of(VARIADIC dimensions text[]) RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
RETURN encode(substr(sha256(convert_to(dimensions::text, 'UTF8')), 1, 16), 'hex')::uuid;

-- Hours of days that are not over lie apart: their rows change again and again, so that there is room on their pages.
CREATE TABLE folded_open_hours (hour timestamptz NOT NULL, series uuid NOT NULL) WITH (fillfactor = 50);
CREATE TABLE folded_hourly (hour timestamptz NOT NULL, series uuid NOT NULL);
CREATE TABLE folded_daily (day date NOT NULL, series uuid NOT NULL);
CREATE TABLE folded_daily_by_tenant (
    day date NOT NULL,
    tenant_id text,
    account_type text,
    environment text,
    billable_state text NOT NULL,
    currency text NOT NULL
) WITH (fillfactor = 50);
CREATE TABLE folded_daily_by_model (
    day date NOT NULL,
    feature text,
    account_type text,
    environment text,
    service_name text,
    provider text NOT NULL,
    model text,
    operation text NOT NULL,
    billable_state text NOT NULL,
    currency text NOT NULL
) WITH (fillfactor = 50);
CREATE TABLE folded_daily_unattributed (
    day date NOT NULL,
    callsite text,
    service_name text,
    provider text NOT NULL,
    model text,
    currency text NOT NULL,
    first_seen timestamptz NOT NULL,
    last_seen timestamptz NOT NULL
) WITH (fillfactor = 50);

DO $$
DECLARE
    folded text;
BEGIN
    FOREACH folded IN ARRAY ARRAY[
        'folded_open_hours', 'folded_hourly', 'folded_daily', 'folded_daily_by_tenant', 'folded_daily_by_model',
        'folded_daily_unattributed'
    ] LOOP
        EXECUTE format(
            'ALTER TABLE %I ADD requests numeric NOT NULL, ADD failed_requests numeric NOT NULL,'
            ' ADD unpriced_requests numeric NOT NULL, ADD input_tokens numeric NOT NULL,'
            ' ADD cache_read_input_tokens numeric NOT NULL, ADD cache_write_input_tokens numeric NOT NULL,'
            ' ADD output_tokens numeric NOT NULL, ADD reasoning_output_tokens numeric NOT NULL, ADD cost numeric',
            folded
        );
    END LOOP;
END
$$;

-- A day that is over is summed from its hours, once; what comes late is added to both.
CREATE TABLE closed_days (before date NOT NULL);
CREATE UNIQUE INDEX closed_days_one ON closed_days ((true));
INSERT INTO closed_days VALUES ((now() AT TIME ZONE 'UTC')::date);

-- By a series first, for one tenant's months; BRIN, a few kB, for everybody's days.
CREATE UNIQUE INDEX folded_open_hours_key ON folded_open_hours (series, hour);
CREATE UNIQUE INDEX folded_hourly_key ON folded_hourly (series, hour);
CREATE INDEX folded_hourly_hour ON folded_hourly USING brin (hour);
CREATE UNIQUE INDEX folded_daily_key ON folded_daily (series, day);
CREATE INDEX folded_daily_day ON folded_daily USING brin (day);
CREATE UNIQUE INDEX folded_daily_by_tenant_key ON folded_daily_by_tenant
    (tenant_id, day, account_type, environment, billable_state, currency) NULLS NOT DISTINCT;
CREATE INDEX folded_daily_by_tenant_day ON folded_daily_by_tenant USING brin (day);
CREATE UNIQUE INDEX folded_daily_by_model_key ON folded_daily_by_model
    (day, feature, account_type, environment, service_name, provider, model, operation, billable_state, currency)
    NULLS NOT DISTINCT;
CREATE UNIQUE INDEX folded_daily_unattributed_key ON folded_daily_unattributed
    (day, callsite, service_name, provider, model, currency) NULLS NOT DISTINCT;

-- Adds the chosen rows to every rollup. Each is in the ledger for good, so no snapshot matters. For the functions below,
-- which see to it that only one of them runs.
CREATE FUNCTION add_to_rollups(
    chosen text, since timestamptz, until timestamptz, booked_at timestamptz[], booked_in xid8[]
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    dimensions text := 'tenant_id, workspace_id, project_id, feature, workflow, account_type, environment,'
        ' service_name, provider, model, operation, billable_state, currency';
    measures text := 'requests, failed_requests, unpriced_requests, input_tokens, cache_read_input_tokens,'
        ' cache_write_input_tokens, output_tokens, reasoning_output_tokens, cost';
    sums text := 'sum(requests) AS requests, sum(failed_requests) AS failed_requests,'
        ' sum(unpriced_requests) AS unpriced_requests, coalesce(sum(input_tokens), 0) AS input_tokens,'
        ' coalesce(sum(cache_read_input_tokens), 0) AS cache_read_input_tokens,'
        ' coalesce(sum(cache_write_input_tokens), 0) AS cache_write_input_tokens,'
        ' coalesce(sum(output_tokens), 0) AS output_tokens,'
        ' coalesce(sum(reasoning_output_tokens), 0) AS reasoning_output_tokens, sum(cost) AS cost';
    increased text := (
        SELECT string_agg(format('%1$s = kept.%1$s + excluded.%1$s', name), ', ')
        FROM regexp_split_to_table(measures, ', ') AS name WHERE name <> 'cost'
    ) || ', cost = coalesce(kept.cost + excluded.cost, kept.cost, excluded.cost)';
    by_tenant text := 'day, tenant_id, account_type, environment, billable_state, currency';
    by_model text := 'day, feature, account_type, environment, service_name, provider, model, operation,'
        ' billable_state, currency';
    by_place text := 'day, callsite, service_name, provider, model, currency';
BEGIN
    EXECUTE format(
        $insert$
        WITH delta AS MATERIALIZED (
            SELECT series_of(%2$s) AS series, (hour AT TIME ZONE 'UTC')::date AS day, *
            FROM (
                SELECT date_trunc('hour', time, 'UTC') AS hour, %2$s, %4$s
                FROM countable_usage WHERE %1$s GROUP BY 1, %2$s
            ) AS hourly
        ), known AS (
            INSERT INTO usage_series (series, %2$s) SELECT DISTINCT series, %2$s FROM delta
            WHERE NOT EXISTS (SELECT FROM usage_series AS known WHERE known.series = delta.series)
        ), hourly AS (
            INSERT INTO folded_hourly AS kept (hour, series, %3$s) SELECT hour, series, %3$s FROM delta WHERE day < $5
            ON CONFLICT (series, hour) DO UPDATE SET %5$s
        ), daily AS (
            INSERT INTO folded_daily AS kept (day, series, %3$s)
            SELECT day, series, %4$s FROM delta WHERE day < $5 GROUP BY day, series
            ON CONFLICT (series, day) DO UPDATE SET %5$s
        ), open_hours AS (
            INSERT INTO folded_open_hours AS kept (hour, series, %3$s)
            SELECT hour, series, %3$s FROM delta WHERE day >= $5
            ON CONFLICT (series, hour) DO UPDATE SET %5$s
        ), daily_by_tenant AS (
            INSERT INTO folded_daily_by_tenant AS kept (%6$s, %3$s) SELECT %6$s, %4$s FROM delta GROUP BY %6$s
            ON CONFLICT (%6$s) DO UPDATE SET %5$s
        ), daily_by_model AS (
            INSERT INTO folded_daily_by_model AS kept (%7$s, %3$s) SELECT %7$s, %4$s FROM delta GROUP BY %7$s
            ON CONFLICT (%7$s) DO UPDATE SET %5$s
        )
        INSERT INTO folded_daily_unattributed AS kept (%8$s, first_seen, last_seen, %3$s)
        SELECT %8$s, min(time), max(time), %4$s
        FROM (
            SELECT (time AT TIME ZONE 'UTC')::date AS day, * FROM countable_usage WHERE tenant_id IS NULL AND %1$s
        ) AS nobody
        GROUP BY %8$s
        ON CONFLICT (%8$s) DO UPDATE SET %5$s,
            first_seen = least(kept.first_seen, excluded.first_seen),
            last_seen = greatest(kept.last_seen, excluded.last_seen)
        $insert$,
        chosen, dimensions, measures, sums, increased, by_tenant, by_model, by_place
    )
    USING since, until, booked_at, booked_in, (SELECT before FROM closed_days);
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
        INSERT INTO folded_daily
        SELECT
            (hour AT TIME ZONE 'UTC')::date, series,
            sum(requests), sum(failed_requests), sum(unpriced_requests), sum(input_tokens),
            sum(cache_read_input_tokens), sum(cache_write_input_tokens), sum(output_tokens),
            sum(reasoning_output_tokens), sum(cost)
        FROM folded_open_hours WHERE hour < until
        GROUP BY 1, 2;
        DELETE FROM folded_open_hours WHERE hour < until;
        UPDATE closed_days SET before = over;
    END IF;
END
$$;

-- Folds what is booked and not folded yet, of up to so many transactions; returns how many, 0 while another one folds.
-- "spanfold" as a number: advisory locks of all programs share one namespace per database.
CREATE FUNCTION fold_usage(transactions integer DEFAULT 10000) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET work_mem = '64MB' SET jit = off AS $$
DECLARE
    folding record;
BEGIN
    IF NOT pg_try_advisory_xact_lock(x'7370616e666f6c64'::bigint) THEN
        RETURN 0;
    END IF;
    PERFORM close_days();
    WITH folded AS (
        DELETE FROM unfolded_bookings WHERE (booked_at, booked_in) IN (
            SELECT booked_at, booked_in FROM unfolded_bookings ORDER BY booked_at LIMIT transactions
        )
        RETURNING booked_at, booked_in
    )
    SELECT
        min(booked_at) AS since, max(booked_at) AS until, count(*),
        array_agg(booked_at) AS booked_at, array_agg(booked_in) AS booked_in
    INTO folding FROM folded;
    IF folding.count > 0 THEN
        PERFORM add_to_rollups(
            'booked_at BETWEEN $1 AND $2'
            ' AND (booked_at, booked_in) IN (SELECT * FROM unnest($3::timestamptz[], $4::xid8[]))',
            folding.since, folding.until, folding.booked_at, folding.booked_in
        );
    END IF;
    RETURN folding.count;
END
$$;

-- Makes the rollups of a range of days anew from the ledger.
CREATE FUNCTION rebuild_usage(first_day date, end_day date) RETURNS void
LANGUAGE plpgsql SET work_mem = '256MB' SET jit = off AS $$
DECLARE
    since timestamptz := first_day::timestamp AT TIME ZONE 'UTC';
    until timestamptz := end_day::timestamp AT TIME ZONE 'UTC';
    had date[];
    lost date;
BEGIN
    PERFORM pg_advisory_xact_lock(x'7370616e666f6c64'::bigint);
    had := ARRAY(SELECT DISTINCT day FROM folded_daily_by_tenant WHERE day >= first_day AND day < end_day);
    DELETE FROM folded_open_hours WHERE hour >= since AND hour < until;
    DELETE FROM folded_hourly WHERE hour >= since AND hour < until;
    DELETE FROM folded_daily WHERE day >= first_day AND day < end_day;
    DELETE FROM folded_daily_by_tenant WHERE day >= first_day AND day < end_day;
    DELETE FROM folded_daily_by_model WHERE day >= first_day AND day < end_day;
    DELETE FROM folded_daily_unattributed WHERE day >= first_day AND day < end_day;
    -- What is not folded yet is still to be: here it is left out, by the snapshot that it is seen in.
    PERFORM add_to_rollups(
        'time >= $1 AND time < $2 AND NOT EXISTS ('
        ' SELECT FROM unfolded_bookings AS unfolded'
        ' WHERE (unfolded.booked_at, unfolded.booked_in) = (countable_usage.booked_at, countable_usage.booked_in))',
        since, until, NULL, NULL
    );
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
    measures text := 'requests, failed_requests, unpriced_requests, input_tokens, cache_read_input_tokens,'
        ' cache_write_input_tokens, output_tokens, reasoning_output_tokens, cost';
    sums text := 'sum(requests) AS requests, sum(failed_requests) AS failed_requests,'
        ' sum(unpriced_requests) AS unpriced_requests, coalesce(sum(input_tokens), 0) AS input_tokens,'
        ' coalesce(sum(cache_read_input_tokens), 0) AS cache_read_input_tokens,'
        ' coalesce(sum(cache_write_input_tokens), 0) AS cache_write_input_tokens,'
        ' coalesce(sum(output_tokens), 0) AS output_tokens,'
        ' coalesce(sum(reasoning_output_tokens), 0) AS reasoning_output_tokens, sum(cost) AS cost';
    hour text := 'date_trunc(''hour'', time, ''UTC'')';
    day text := '(time AT TIME ZONE ''UTC'')::date';
BEGIN
    EXECUTE format(
        'CREATE OR REPLACE VIEW usage_hourly AS SELECT hour, %1$s, %3$s, service_name FROM ('
        ' SELECT hour, service_name, %1$s, %2$s FROM folded_hourly JOIN usage_series USING (series) UNION ALL'
        ' SELECT hour, service_name, %1$s, %2$s FROM folded_open_hours JOIN usage_series USING (series) UNION ALL'
        ' SELECT %4$s, service_name, %1$s, %2$s FROM unfolded_usage) AS hourly GROUP BY hour, %1$s, service_name',
        dimensions, measures, sums, hour
    );
    EXECUTE format(
        'CREATE OR REPLACE VIEW usage_daily AS SELECT day, %1$s, %3$s, service_name FROM ('
        ' SELECT day, service_name, %1$s, %2$s FROM folded_daily JOIN usage_series USING (series) UNION ALL'
        ' SELECT (hour AT TIME ZONE ''UTC'')::date, service_name, %1$s, %2$s'
        ' FROM folded_open_hours JOIN usage_series USING (series) UNION ALL'
        ' SELECT %4$s, service_name, %1$s, %2$s FROM unfolded_usage) AS daily GROUP BY day, %1$s, service_name',
        dimensions, measures, sums, day
    );
    EXECUTE format(
        'CREATE VIEW usage_daily_by_tenant AS SELECT day, %1$s, %3$s FROM ('
        ' SELECT day, %1$s, %2$s FROM folded_daily_by_tenant UNION ALL'
        ' SELECT %4$s, %1$s, %2$s FROM unfolded_usage) AS daily GROUP BY day, %1$s',
        by_tenant, measures, sums, day
    );
    EXECUTE format(
        'CREATE VIEW usage_daily_by_model AS SELECT day, %1$s, %3$s FROM ('
        ' SELECT day, %1$s, %2$s FROM folded_daily_by_model UNION ALL'
        ' SELECT %4$s, %1$s, %2$s FROM unfolded_usage) AS daily GROUP BY day, %1$s',
        by_model, measures, sums, day
    );
    EXECUTE format(
        'CREATE VIEW usage_daily_unattributed AS'
        ' SELECT day, %1$s, %3$s, min(first_seen) AS first_seen, max(last_seen) AS last_seen FROM ('
        ' SELECT day, %1$s, %2$s, first_seen, last_seen FROM folded_daily_unattributed UNION ALL'
        ' SELECT %4$s, %1$s, %2$s, time, time FROM unfolded_usage WHERE tenant_id IS NULL) AS daily GROUP BY day, %1$s',
        by_place, measures, sums, day
    );
END
$$;

-- A place whose rows all describe calls that others count has used nothing.
CREATE OR REPLACE VIEW unattributed_usage AS
SELECT
    callsite, service_name, provider, model, currency,
    sum(requests) AS requests,
    sum(unpriced_requests) AS unpriced_requests,
    sum(input_tokens) AS input_tokens,
    sum(output_tokens) AS output_tokens,
    sum(place.cost) AS cost,
    round(sum(place.cost) / nullif(total.cost, 0), 6) AS share_of_cost,
    min(first_seen) AS first_seen,
    max(last_seen) AS last_seen
FROM usage_daily_unattributed AS place
    JOIN (SELECT currency, sum(cost) AS cost FROM usage_daily_by_model GROUP BY currency) AS total USING (currency)
GROUP BY callsite, service_name, provider, model, currency, total.cost
HAVING sum(requests) <> 0 OR sum(unpriced_requests) <> 0 OR sum(place.cost) <> 0
    OR sum(input_tokens) <> 0 OR sum(output_tokens) <> 0;

SELECT rebuild_usage('-infinity', 'infinity');

COMMENT ON VIEW countable_usage IS 'Each row of the ledger with what it adds to the rollups.';
COMMENT ON COLUMN countable_usage.booked_in IS 'The transaction that wrote the row.';
COMMENT ON VIEW unfolded_usage IS 'The rows of the ledger that are in no rollup yet: those of the last moments.';
COMMENT ON TABLE usage_series IS 'Each combination of dimensions that usage was booked for, once.';
COMMENT ON COLUMN usage_series.series IS 'Digest of the others: see series_of().';
COMMENT ON TABLE closed_days IS 'Which days folded_hourly and folded_daily have; later ones are in folded_open_hours.';
COMMENT ON COLUMN closed_days.before IS 'The first day, UTC, that is not over.';
COMMENT ON TABLE folded_open_hours IS 'What is folded of usage_hourly, for days that are not over; query that.';
COMMENT ON COLUMN folded_open_hours.series IS 'The combination of dimensions, in usage_series.';
COMMENT ON TABLE folded_hourly IS 'What is folded of usage_hourly; query that.';
COMMENT ON TABLE folded_daily IS 'What is folded of usage_daily; query that.';
COMMENT ON TABLE folded_daily_by_tenant IS 'What is folded of usage_daily_by_tenant; query that.';
COMMENT ON TABLE folded_daily_by_model IS 'What is folded of usage_daily_by_model; query that.';
COMMENT ON TABLE folded_daily_unattributed IS 'What is folded of usage_daily_unattributed; query that.';
COMMENT ON COLUMN folded_hourly.series IS 'The combination of dimensions, in usage_series.';
COMMENT ON COLUMN folded_daily.series IS 'The combination of dimensions, in usage_series.';
COMMENT ON VIEW usage_daily_by_tenant IS 'Sums over the ledger by day, UTC, and tenant: quick however many there are.';
COMMENT ON VIEW usage_daily_by_model IS 'Sums over the ledger by day, UTC, feature and model, of all tenants together.';
COMMENT ON VIEW usage_daily_unattributed IS 'Usage without a tenant by day, UTC, and the place in the code that caused it.';

-- A column that has no comment yet means what it means in the relation the sums are read from.
DO $$
DECLARE
    named record;
BEGIN
    FOR named IN
        SELECT ours.attrelid::regclass AS relation, ours.attname AS name, (
            SELECT col_description(theirs.attrelid, theirs.attnum)
            FROM unnest(ARRAY['usage_hourly', 'usage_daily', 'unattributed_usage', 'ledger', 'usage_events'])
                WITH ORDINALITY AS source(name, rank)
                JOIN pg_attribute AS theirs ON theirs.attrelid = source.name::regclass
            WHERE theirs.attname = ours.attname AND col_description(theirs.attrelid, theirs.attnum) IS NOT NULL
            ORDER BY source.rank LIMIT 1
        ) AS meaning
        FROM unnest(ARRAY[
            'countable_usage', 'unfolded_usage', 'usage_series', 'folded_open_hours', 'folded_hourly', 'folded_daily',
            'folded_daily_by_tenant', 'folded_daily_by_model', 'folded_daily_unattributed', 'usage_hourly',
            'usage_daily', 'usage_daily_by_tenant', 'usage_daily_by_model', 'usage_daily_unattributed'
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
    FOREACH ours IN ARRAY ARRAY['note_booking()', 'fold_usage(integer)'] LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', ours, current_schema());
    END LOOP;
END
$$;
REVOKE EXECUTE ON FUNCTION fold_usage, rebuild_usage, add_to_rollups, close_days FROM PUBLIC;

DO $$
BEGIN
    IF to_regrole('spanmeter_writer') IS NOT NULL THEN
        GRANT EXECUTE ON FUNCTION fold_usage TO spanmeter_writer;
    END IF;
    IF to_regrole('spanmeter_reader') IS NOT NULL THEN
        GRANT SELECT ON
            usage_daily_by_tenant, usage_daily_by_model, usage_daily_unattributed
        TO spanmeter_reader;
    END IF;
END
$$;
