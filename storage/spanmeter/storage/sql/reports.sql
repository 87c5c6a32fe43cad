-- usage --
-- Sums over the ledger by the dimensions asked for. Costs of two currencies are never added. What adds up to nothing is
-- left out: further descriptions of calls that are counted elsewhere, and what was superseded.
SELECT {dimensions}
    sum(requests),
    sum(failed_requests),
    sum(unpriced_requests),
    coalesce(sum(input_tokens), 0),
    coalesce(sum(cache_read_input_tokens), 0),
    coalesce(sum(cache_write_input_tokens), 0),
    coalesce(sum(output_tokens), 0),
    coalesce(sum(reasoning_output_tokens), 0),
    sum(cost) AS cost,
    currency
FROM ({parts}) AS booked
GROUP BY {groups} currency
HAVING sum(requests) <> 0 OR sum(unpriced_requests) <> 0 OR sum(cost) <> 0
    OR sum(input_tokens) <> 0 OR sum(output_tokens) <> 0
ORDER BY {order} cost DESC NULLS LAST, {groups} currency;

-- part --
-- What a rollup, or the ledger, has of them.
SELECT {dimensions}
    {failed_requests}, requests, unpriced_requests, input_tokens, cache_read_input_tokens, cache_write_input_tokens,
    output_tokens, reasoning_output_tokens, cost, currency
FROM {relation}
WHERE {period} >= {since} AND {period} < {until} {of_tenant};

-- of_tenant --
-- Only one tenant's.
AND tenant_id = %(tenant)s;

-- failed_requests --
-- Those of a row of the ledger.
CASE WHEN status = 'ok' THEN 0 ELSE requests END AS failed_requests;

-- day_of_hour --
-- The day that an hour is of, UTC.
(hour AT TIME ZONE 'UTC')::date;

-- estimated --
-- Requests that a tokenizer or an estimate counted, and that no better description has taken the place of. The ledger
-- does not tell who counted.
SELECT count(*) FROM usage_events AS booked
WHERE time >= coalesce(%(since)s::timestamptz, '-infinity')
    AND time < coalesce(%(until)s::timestamptz, 'infinity')
    AND (%(tenant)s::text IS NULL OR tenant_id = %(tenant)s)
    AND usage_source IN ('estimate', 'tokenizer') AND duplicate_of_trace_id IS NULL
    AND NOT EXISTS (
        SELECT FROM adjustments
        WHERE adjustments.time = booked.time AND adjusted_span_id = booked.span_id
            AND adjusted_trace_id = booked.trace_id AND reason = 'superseded'
    );

-- hour --
-- The hour of the call, UTC.
date_trunc('hour', time, 'UTC');

-- day --
-- The day of the call, UTC.
(time AT TIME ZONE 'UTC')::date;

-- own_dimension --
-- A dimension of the application's own.
dimensions ->> {name};
