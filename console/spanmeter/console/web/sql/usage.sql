-- usage --
-- Sums by the dimensions asked for, a page of them: by cost, or by key where periods of time are asked for. Costs of two
-- currencies are never added. What adds up to nothing is left out.
WITH sums AS (
    SELECT
        jsonb_build_array({dimensions}) AS dimensions,
        coalesce(sum(requests), 0)::bigint AS requests,
        {failed} AS failed_requests,
        coalesce(sum(unpriced_requests), 0)::bigint AS unpriced_requests,
        coalesce(sum(input_tokens), 0)::bigint AS input_tokens,
        coalesce(sum(cache_read_input_tokens), 0)::bigint AS cache_read_input_tokens,
        coalesce(sum(cache_write_input_tokens), 0)::bigint AS cache_write_input_tokens,
        coalesce(sum(output_tokens), 0)::bigint AS output_tokens,
        coalesce(sum(reasoning_output_tokens), 0)::bigint AS reasoning_output_tokens,
        sum(cost) AS cost,
        currency
    FROM {relation}
    WHERE {conditions}
    GROUP BY {groups} currency
    HAVING sum(requests) <> 0 OR sum(unpriced_requests) <> 0 OR sum(cost) <> 0
        OR sum(input_tokens) <> 0 OR sum(output_tokens) <> 0
), ranked AS (
    SELECT
        sums.*,
        CASE WHEN %(by_cost)s THEN coalesce(cost, '-infinity') ELSE 0 END AS rank,
        (dimensions || to_jsonb(currency))::text COLLATE "C" AS key
    FROM sums
)
SELECT
    dimensions, requests, failed_requests, unpriced_requests, input_tokens, cache_read_input_tokens,
    cache_write_input_tokens, output_tokens, reasoning_output_tokens, cost, currency, rank, key
FROM ranked
WHERE %(after_key)s::text IS NULL OR rank < %(after_rank)s::numeric
    OR (rank = %(after_rank)s::numeric AND key > %(after_key)s::text COLLATE "C")
ORDER BY rank DESC, key
LIMIT %(limit)s;

-- failed --
-- A rollup counts them.
coalesce(sum(failed_requests), 0)::bigint;

-- failed_of_ledger --
-- Rows of the ledger say how each request ended.
coalesce(sum(requests) FILTER (WHERE status <> 'ok'), 0)::bigint;

-- since_day --
-- Days of the period.
day >= %(first)s AND day < %(end)s;

-- since_hour --
-- Hours of the period.
hour >= %(since)s AND hour < %(until)s;

-- since_time --
-- Rows of the period.
time >= %(since)s AND time < %(until)s;

-- day_of_day --
-- The day of a row by day.
day::text;

-- month_of_day --
-- The month of a row by day.
to_char(day, 'YYYY-MM');

-- hour_of_hour --
-- The hour of a row by hour.
to_char(hour AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"');

-- day_of_hour --
-- The day of a row by hour.
(hour AT TIME ZONE 'UTC')::date::text;

-- month_of_hour --
-- The month of a row by hour.
to_char(hour AT TIME ZONE 'UTC', 'YYYY-MM');

-- hour_of_time --
-- The hour of a call, UTC.
to_char(date_trunc('hour', time, 'UTC') AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"');

-- day_of_time --
-- The day of a call, UTC.
(time AT TIME ZONE 'UTC')::date::text;

-- month_of_time --
-- The month of a call, UTC.
to_char(time AT TIME ZONE 'UTC', 'YYYY-MM');
