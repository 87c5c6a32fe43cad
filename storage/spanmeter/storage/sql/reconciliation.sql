-- booked --
-- What is booked of a provider by day, account, model and tier, and by what a reconciliation tells apart: whether a
-- tenant is known, whether it was booked in time, whether it has a cost. Kinds of tokens exclude each other.
SELECT
    day, account, model, service_tier, attributed, late, unpriced,
    sum(cost), sum(requests)::bigint, sum(unpriced_requests)::bigint,
    sum(input_tokens - cache_read - cache_write - audio_input - image_input),
    sum(cache_read),
    sum(cache_write - cache_write_5m - cache_write_1h),
    sum(cache_write_5m),
    sum(cache_write_1h),
    sum(output_tokens - audio_output - image_output),
    sum(audio_input),
    sum(audio_output),
    sum(image_input),
    sum(image_output)
FROM ({entries}) AS entries
GROUP BY day, account, model, service_tier, attributed, late, unpriced;

-- units --
-- The same for usage in other units.
SELECT day, account, model, service_tier, attributed, late, unpriced, unit, sum(amount::numeric)
FROM ({entries}) AS entries CROSS JOIN LATERAL jsonb_each_text(quantities) AS used (unit, amount)
WHERE quantities <> '{{}}'
GROUP BY day, account, model, service_tier, attributed, late, unpriced, unit;

-- entries --
-- Rows of the ledger of a provider and a period. A row without a cost that an adjustment of it has given one counts as
-- priced; a customer's own key is on the customer's bill.
SELECT
    (time AT TIME ZONE 'UTC')::date AS day, {account} AS account, coalesce(response_model, request_model) AS model,
    service_tier, tenant_id IS NOT NULL AS attributed,
    coalesce(ingested_at >= %(closed_at)s::timestamptz, false) AS late,
    cost IS NULL AND NOT EXISTS (
        SELECT FROM adjustments AS priced
        WHERE (adjusted_trace_id, adjusted_span_id, adjusted_time)
                = (usage_events.trace_id, usage_events.span_id, usage_events.time)
            AND priced.unpriced_requests < 0 AND priced.cost IS NOT NULL
    ) AS unpriced,
    coalesce(cost, 0) AS cost,
    (duplicate_of_trace_id IS NULL)::int AS requests, (cost IS NULL)::int AS unpriced_requests,
    {tokens},
    coalesce((cache_write_by_ttl ->> '5m')::numeric, 0) AS cache_write_5m,
    coalesce((cache_write_by_ttl ->> '1h')::numeric, 0) AS cache_write_1h,
    quantities
FROM usage_events
WHERE provider = ANY (%(providers)s) AND currency = %(currency)s AND NOT byok
    AND time >= %(since)s AND time < %(until)s
UNION ALL
SELECT
    (time AT TIME ZONE 'UTC')::date, {account}, coalesce(response_model, request_model),
    service_tier, tenant_id IS NOT NULL,
    coalesce(booked_at >= %(closed_at)s::timestamptz, false),
    unpriced_requests <> 0 AND cost IS NULL,
    coalesce(cost, 0), requests, unpriced_requests,
    {tokens},
    0, 0,
    quantities
FROM adjustments
WHERE provider = ANY (%(providers)s) AND currency = %(currency)s AND NOT byok
    AND time >= %(since)s AND time < %(until)s;

-- tokens --
-- Counts that nobody reported add nothing.
coalesce(input_tokens, 0) AS input_tokens,
coalesce(cache_read_input_tokens, 0) AS cache_read,
coalesce(cache_write_input_tokens, 0) AS cache_write,
coalesce(output_tokens, 0) AS output_tokens,
coalesce(audio_input_tokens, 0) AS audio_input,
coalesce(audio_output_tokens, 0) AS audio_output,
coalesce(image_input_tokens, 0) AS image_input,
coalesce(image_output_tokens, 0) AS image_output;

-- counted_again --
-- Rows of the ledger that count, numbered by those of the same response id: from the second on a call is counted again.
-- There are none while all rows came in through the collector.
SELECT *, row_number() OVER (PARTITION BY response_id ORDER BY time, trace_id, span_id) AS nth
FROM usage_events
WHERE provider = ANY (%(providers)s) AND currency = %(currency)s AND NOT byok
    AND time >= %(since)s AND time < %(until)s
    AND response_id IS NOT NULL AND duplicate_of_trace_id IS NULL
    AND NOT EXISTS (
        SELECT FROM adjustments AS reversal
        WHERE (adjusted_trace_id, adjusted_span_id, adjusted_time)
                = (usage_events.trace_id, usage_events.span_id, usage_events.time)
            AND reversal.requests < 0
    );

-- duplicates --
-- What was used by calls that are counted again.
SELECT
    (time AT TIME ZONE 'UTC')::date, {account}, coalesce(response_model, request_model), service_tier,
    {kinds}
FROM ({counted_again}) AS counted
WHERE nth > 1
GROUP BY 1, 2, 3, 4;

-- crossings --
-- Calls that ended on another day, UTC, than they began on.
SELECT
    (time AT TIME ZONE 'UTC')::date, {account}, coalesce(response_model, request_model), service_tier,
    {kinds},
    ((time + duration) AT TIME ZONE 'UTC')::date
FROM usage_events
WHERE provider = ANY (%(providers)s) AND currency = %(currency)s AND NOT byok
    AND time >= %(since)s::timestamptz - interval '1 day' AND time < %(until)s
    AND duplicate_of_trace_id IS NULL
    AND ((time + duration) AT TIME ZONE 'UTC')::date <> (time AT TIME ZONE 'UTC')::date
GROUP BY 1, 2, 3, 4, ((time + duration) AT TIME ZONE 'UTC')::date;

-- kinds --
-- Sums of the kinds of tokens, in the order of the others.
sum(coalesce(input_tokens, 0) - coalesce(cache_read_input_tokens, 0) - coalesce(cache_write_input_tokens, 0)
    - coalesce(audio_input_tokens, 0) - coalesce(image_input_tokens, 0)),
sum(coalesce(cache_read_input_tokens, 0)),
sum(coalesce(cache_write_input_tokens, 0) - coalesce((cache_write_by_ttl ->> '5m')::numeric, 0)
    - coalesce((cache_write_by_ttl ->> '1h')::numeric, 0)),
sum(coalesce((cache_write_by_ttl ->> '5m')::numeric, 0)),
sum(coalesce((cache_write_by_ttl ->> '1h')::numeric, 0)),
sum(coalesce(output_tokens, 0) - coalesce(audio_output_tokens, 0) - coalesce(image_output_tokens, 0)),
sum(coalesce(audio_input_tokens, 0)),
sum(coalesce(audio_output_tokens, 0)),
sum(coalesce(image_input_tokens, 0)),
sum(coalesce(image_output_tokens, 0));

-- shares --
-- Who used what is booked in each cell: their cost, and their tokens without a cost.
SELECT
    (time AT TIME ZONE 'UTC')::date, {account}, model, service_tier,
    tenant_id, workspace_id, project_id, feature, account_type, environment, billable_state,
    coalesce(sum(cost), 0),
    coalesce(sum(coalesce(input_tokens, 0) + coalesce(output_tokens, 0)) FILTER (WHERE unpriced_requests <> 0), 0),
    sum(requests)::bigint,
    coalesce(sum(unpriced_requests), 0)::bigint
FROM ledger
WHERE provider = ANY (%(providers)s) AND currency = %(currency)s AND NOT byok
    AND time >= %(since)s AND time < %(until)s
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
ORDER BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11;

-- duplicate_shares --
-- The cost of whose calls is counted again.
SELECT
    (time AT TIME ZONE 'UTC')::date, {account}, coalesce(response_model, request_model), service_tier,
    tenant_id, workspace_id, project_id, feature, account_type, environment, billable_state,
    coalesce(sum(cost), 0)
FROM ({counted_again}) AS counted
WHERE nth > 1
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
ORDER BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11;

-- save --
-- Keep a comparison.
INSERT INTO reconciliations
    (reconciliation_id, provider, providers, since, until, closed_at, currency, account, attributed, billed, sources)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s);

-- save_variance --
-- Keep what one cause adds to one cell.
INSERT INTO reconciliation_variances
    (reconciliation_id, place, day, account, model, tier, cause, amount, quantities)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s);

-- all --
-- The comparisons, latest first, each with what was booked because of it.
SELECT
    reconciliation_id, provider, providers, since, until, closed_at, currency, account, attributed, billed, sources,
    made_at, made_by,
    (
        SELECT coalesce(sum(cost), 0) FROM adjustments
        WHERE reference = 'reconciliation:' || reconciliation_id
            AND time >= since::timestamp AT TIME ZONE 'UTC' AND time < until::timestamp AT TIME ZONE 'UTC'
    )
FROM reconciliations
ORDER BY made_at DESC, reconciliation_id;

-- variances --
-- What a comparison found.
SELECT day, account, model, tier, cause, amount, quantities
FROM reconciliation_variances
WHERE reconciliation_id = %s
ORDER BY place;
