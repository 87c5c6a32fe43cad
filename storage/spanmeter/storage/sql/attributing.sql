-- of_trace --
-- Calls without a tenant in a trace all of whose other calls are of one: that tenant, and a span that says so.
SELECT open.trace_id, open.span_id, open.time, min(known.tenant_id), 'span ' || min(encode(known.span_id, 'hex'))
FROM usage_events AS open
    JOIN usage_events AS known ON known.trace_id = open.trace_id
        AND known.time BETWEEN open.time - interval '1 day' AND open.time + interval '1 day'
WHERE open.tenant_id IS NULL AND known.tenant_id IS NOT NULL
    AND open.time >= %(since)s AND open.time < %(until)s
    AND known.time >= %(since)s::timestamptz - interval '1 day' AND known.time < %(until)s::timestamptz + interval '1 day'
GROUP BY 1, 2, 3
HAVING count(DISTINCT known.tenant_id) = 1;

-- of_dimension --
-- Calls without a tenant whose value of a dimension is one tenant's elsewhere, and no other's.
WITH known AS (
    SELECT {dimension} AS value, min(tenant_id) AS tenant_id
    FROM usage_events
    WHERE tenant_id IS NOT NULL AND {dimension} IS NOT NULL AND time >= %(since)s AND time < %(until)s
    GROUP BY 1
    HAVING count(DISTINCT tenant_id) = 1
)
SELECT open.trace_id, open.span_id, open.time, known.tenant_id, known.value::text
FROM (
    SELECT trace_id, span_id, time, {dimension} AS value FROM usage_events
    WHERE tenant_id IS NULL AND time >= %(since)s AND time < %(until)s
) AS open JOIN known USING (value);

-- of_mapping --
-- Calls without a tenant that fit what somebody says whose they are.
SELECT trace_id, span_id, time FROM usage_events
WHERE tenant_id IS NULL AND time >= %(since)s AND time < %(until)s AND {fits};

-- still_open --
-- What has no tenant by now, by the place in the code; places that had some once, and have none any more, as well.
SELECT
    callsite, service_name, currency,
    coalesce(sum(requests), 0)::bigint, coalesce(sum(unpriced_requests), 0)::bigint,
    coalesce(sum(input_tokens), 0)::bigint, coalesce(sum(output_tokens), 0)::bigint,
    coalesce(sum(cost), 0), min(time), max(time)
FROM ledger
WHERE tenant_id IS NULL AND time >= %(since)s AND time < %(until)s
GROUP BY callsite, service_name, currency
ORDER BY 8 DESC, 1, 2, 3;

-- all_costs --
-- What everything costs, by currency.
SELECT currency, coalesce(sum(cost), 0) FROM usage_hourly
WHERE hour >= %(since)s AND hour < %(until)s
GROUP BY currency;
