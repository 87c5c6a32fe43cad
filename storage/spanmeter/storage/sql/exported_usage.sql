-- changed_windows --
-- Hours or days with rows that were booked since a moment.
SELECT DISTINCT {window} AS window_start
FROM ledger
WHERE booked_at >= %(booked_since)s AND time >= %(since)s AND time < %(until)s
ORDER BY window_start;

-- changed_actions --
-- Hours or days with rows of actions that rows were booked for since a moment, or that were refunded since: what comes
-- late may be the first of all.
SELECT DISTINCT {window} AS window_start
FROM ledger
WHERE time >= %(since)s AND time < %(until)s AND (tenant_id, action, idempotency_key) IN (
    SELECT tenant_id, action, idempotency_key FROM ledger
    WHERE booked_at >= %(booked_since)s AND action IS NOT NULL AND idempotency_key IS NOT NULL
    UNION ALL SELECT tenant_id, action, idempotency_key FROM action_refunds WHERE recorded_at >= %(booked_since)s
)
ORDER BY window_start;

-- sums --
-- Usage by window, tenant and the dimensions that are asked for.
SELECT {window} AS window_start, tenant_id, {dimensions} AS dimensions, coalesce(sum({measure}), 0)
FROM ledger
WHERE time >= %(since)s AND time < %(until)s AND {condition}
GROUP BY 1, 2, 3
ORDER BY 1, 2, 3;

-- actions --
-- Actions by the window of their first success: one for each key, or without a key for each trace. A refund ends one
-- generation of a key, which counts no more.
SELECT {window} AS window_start, tenant_id, dimensions, count(*)::numeric
FROM (
    SELECT
        tenant_id, action, coalesce(idempotency_key, encode(trace_id, 'hex')) AS key, generation,
        min(time) FILTER (WHERE requests > 0) AS time,
        (array_agg({dimensions} ORDER BY time, trace_id, span_id) FILTER (WHERE requests > 0))[1] AS dimensions
    FROM ledger CROSS JOIN LATERAL (
        SELECT count(*) AS generation FROM action_refunds AS refunds
        WHERE refunds.tenant_id = ledger.tenant_id AND refunds.action = ledger.action
            AND refunds.idempotency_key = ledger.idempotency_key AND refunds.refunded_at <= ledger.time
    ) AS before
    WHERE time < %(until)s AND action IS NOT NULL AND status = 'ok' AND requests <> 0 AND {condition}
        AND (
            (tenant_id, action, idempotency_key) IN (
                SELECT tenant_id, action, idempotency_key FROM ledger
                WHERE time >= %(since)s AND time < %(until)s AND action IS NOT NULL AND idempotency_key IS NOT NULL
            )
            OR idempotency_key IS NULL AND trace_id IS NOT NULL AND time >= %(since)s::timestamptz - interval '1 day'
        )
    GROUP BY tenant_id, action, key, generation
    HAVING sum(requests) > 0
) AS succeeded
WHERE time >= %(since)s AND NOT EXISTS (
    SELECT FROM action_refunds AS refunds
    WHERE refunds.tenant_id = succeeded.tenant_id AND refunds.action = succeeded.action
        AND refunds.idempotency_key = succeeded.key AND refunds.generation = succeeded.generation
)
GROUP BY 1, 2, 3
ORDER BY 1, 2, 3;

-- hour --
-- The hour, UTC.
date_trunc('hour', time, 'UTC');

-- day --
-- The day, UTC, as the moment it begins at.
date_trunc('day', time, 'UTC');

-- whole --
-- No window: all of the period is one.
%(since)s::timestamptz;

-- uncached --
-- Input tokens that no cache has to do with.
input_tokens - coalesce(cache_read_input_tokens, 0) - coalesce(cache_write_input_tokens, 0);

-- tokens --
-- All tokens.
coalesce(input_tokens, 0) + coalesce(output_tokens, 0);

-- quantity --
-- Usage in a unit that is no column.
(quantities ->> {unit})::numeric;

-- equals --
-- Rows of which a dimension has one value.
{dimension} = {value};
