-- rows --
-- A tenant's usage of a period, row by row, in an order that is always the same.
SELECT time, billable_state, currency, requests, unpriced_requests, coalesce(cost, 0){wanted}
FROM ledger
WHERE tenant_id = %(tenant)s AND time >= %(since)s AND time < %(until)s
    AND booked_at <= coalesce(%(as_of)s::timestamptz, 'infinity')
ORDER BY
    time, kind DESC, trace_id, span_id, booked_at, reference, requests, cost, input_tokens, output_tokens,
    billable_state;

-- sums --
-- The same, added up by all that matters: between the moments at which something changes, by the columns that are
-- looked at.
SELECT
    min(time), billable_state, currency, sum(requests)::bigint, sum(unpriced_requests)::bigint, coalesce(sum(cost), 0)
    {wanted}
FROM ledger
WHERE tenant_id = %(tenant)s AND time >= %(since)s AND time < %(until)s
    AND booked_at <= coalesce(%(as_of)s::timestamptz, 'infinity')
GROUP BY width_bucket(time, %(cuts)s::timestamptz[]), {groups}billable_state, currency
ORDER BY 1, {groups}billable_state, currency;

-- hours --
-- The same from the rollups, where they tell it: by columns that they have, between whole hours, as of now.
SELECT
    min(hour), billable_state, currency, sum(requests)::bigint, sum(unpriced_requests)::bigint, coalesce(sum(cost), 0)
    {wanted}
FROM usage_hourly
WHERE tenant_id = %(tenant)s AND hour >= %(since)s AND hour < %(until)s
GROUP BY width_bucket(hour, %(cuts)s::timestamptz[]), {groups}billable_state, currency
ORDER BY 1, {groups}billable_state, currency;

-- unit --
-- Usage in a unit that is a column.
coalesce({unit}, 0);

-- unit_sum --
-- The sum of it.
coalesce(sum({unit}), 0);

-- quantity --
-- Usage in a unit that is none.
coalesce((quantities ->> {unit})::numeric, 0);

-- quantity_sum --
-- The sum of it.
coalesce(sum((quantities ->> {unit})::numeric), 0);

-- has_included --
-- Whether some of a tenant's usage of these days is included.
SELECT EXISTS (
    SELECT FROM usage_daily_by_tenant
    WHERE tenant_id = %(tenant)s AND billable_state = 'included'
        AND day BETWEEN (%(since)s::timestamptz AT TIME ZONE 'UTC')::date
            AND (%(until)s::timestamptz AT TIME ZONE 'UTC')::date
);

-- actions --
-- Actions that first succeeded in a period, each with the kinds of its successful calls: of a key in the period all its
-- calls before are looked at, so that it is charged once. What has no key is an action for each trace, which may have
-- begun a day before. A refund ends one generation of a key.
WITH refunds AS (
    SELECT action, idempotency_key, generation, refunded_at FROM action_refunds
    WHERE tenant_id = %(tenant)s AND recorded_at <= coalesce(%(as_of)s::timestamptz, 'infinity')
), calls AS (
    SELECT action, idempotency_key, trace_id, time, billable_state, requests, {columns}true AS counts
    FROM ledger
    WHERE tenant_id = %(tenant)s AND action = ANY (%(actions)s) AND time < %(until)s
        AND status = 'ok' AND billable_state <> 'ignored' AND requests <> 0
        AND booked_at <= coalesce(%(as_of)s::timestamptz, 'infinity')
        AND (
            (action, idempotency_key) IN (
                SELECT action, idempotency_key FROM ledger
                WHERE tenant_id = %(tenant)s AND action = ANY (%(actions)s) AND idempotency_key IS NOT NULL
                    AND time >= %(since)s AND time < %(until)s
            )
            OR idempotency_key IS NULL AND trace_id IS NOT NULL
                AND time >= %(since)s::timestamptz - interval '1 day'
        )
), successes AS (
    SELECT
        action, coalesce(idempotency_key, encode(trace_id, 'hex')) AS key, generation, billable_state,
        min(time) FILTER (WHERE requests > 0) AS first, sum(requests)::bigint AS made, {names}true
    FROM calls, LATERAL (
        SELECT count(*) AS generation FROM refunds
        WHERE refunds.action = calls.action AND refunds.idempotency_key = calls.idempotency_key
            AND refunded_at <= calls.time
    ) AS before
    GROUP BY 1, 2, 3, {names}4
    HAVING sum(requests) > 0
)
SELECT
    succeeded_at, action, key, made, EXISTS (
        SELECT FROM refunds
        WHERE refunds.action = successes.action AND idempotency_key = key
            AND refunds.generation = successes.generation
    ), billable_state, {names}generation
FROM (
    SELECT *, min(first) OVER (PARTITION BY action, key, generation) AS succeeded_at FROM successes
) AS successes
WHERE succeeded_at >= %(since)s
ORDER BY succeeded_at, action, key, generation, {names}billable_state;

-- now --
-- The moment that this transaction sees.
SELECT now();

-- clock --
-- The moment that it is.
SELECT clock_timestamp();

-- late --
-- Of closed periods, those that something was booked for since a moment.
SELECT DISTINCT month
FROM unnest(%(months)s::date[], %(sinces)s::timestamptz[], %(untils)s::timestamptz[]) AS closed (month, since, until)
    JOIN ledger ON time >= closed.since AND time < closed.until
WHERE tenant_id = %(tenant)s AND time >= %(since)s AND time < %(until)s
    AND booked_at > %(after)s AND booked_at <= coalesce(%(as_of)s::timestamptz, 'infinity')
ORDER BY month;

-- defined_since --
-- Whether something was recorded since a moment that may change what a tenant is charged for closed periods.
SELECT EXISTS (
    SELECT FROM plans WHERE recorded_at > %(after)s
        AND recorded_at <= coalesce(%(as_of)s::timestamptz, 'infinity') AND effective_from < %(until)s
) OR EXISTS (
    SELECT FROM plan_assignments WHERE (tenant_id = %(tenant)s OR tenant_id IS NULL) AND recorded_at > %(after)s
        AND recorded_at <= coalesce(%(as_of)s::timestamptz, 'infinity') AND effective_from < %(until)s
) OR EXISTS (
    SELECT FROM grants WHERE tenant_id = %(tenant)s AND recorded_at > %(after)s
        AND recorded_at <= coalesce(%(as_of)s::timestamptz, 'infinity') AND effective_at < %(until)s
) OR EXISTS (
    SELECT FROM grant_voids AS voids JOIN grants USING (grant_id)
    WHERE tenant_id = %(tenant)s AND voids.recorded_at > %(after)s
        AND voids.recorded_at <= coalesce(%(as_of)s::timestamptz, 'infinity') AND voided_at < %(until)s
) OR EXISTS (
    SELECT FROM action_refunds WHERE tenant_id = %(tenant)s AND recorded_at > %(after)s
        AND recorded_at <= coalesce(%(as_of)s::timestamptz, 'infinity')
);

-- tenants --
-- Those that used something, between two days.
SELECT DISTINCT tenant_id FROM usage_daily_by_tenant
WHERE tenant_id IS NOT NULL AND day BETWEEN %s AND %s
ORDER BY tenant_id;
