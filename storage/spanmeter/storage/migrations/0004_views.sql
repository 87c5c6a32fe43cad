-- The names a team queries: the ledger, its sums by hour and day, and what nobody has been charged for yet.

CREATE VIEW ledger AS
SELECT
    'usage' AS kind, time,
    tenant_id, workspace_id, project_id, user_id, feature, workflow, action, label, idempotency_key, account_type,
    dimensions, environment, service_name, callsite,
    provider, operation, coalesce(response_model, request_model) AS model, request_model, response_model,
    region, service_tier, byok, status,
    1::bigint AS requests,
    (cost IS NULL)::int::bigint AS unpriced_requests,
    input_tokens, cache_read_input_tokens, cache_write_input_tokens, output_tokens, reasoning_output_tokens,
    audio_input_tokens, audio_output_tokens, image_input_tokens, image_output_tokens, quantities,
    billable_state, billable_reason, cost, currency, rate_version,
    trace_id, span_id, NULL::text AS reason, NULL::text AS reference, ingested_at AS booked_at
FROM usage_events
UNION ALL
SELECT
    'adjustment', time,
    tenant_id, workspace_id, project_id, user_id, feature, workflow, action, label, idempotency_key, account_type,
    dimensions, environment, service_name, callsite,
    provider, operation, coalesce(response_model, request_model), request_model, response_model,
    region, service_tier, byok, status,
    requests,
    unpriced_requests,
    input_tokens, cache_read_input_tokens, cache_write_input_tokens, output_tokens, reasoning_output_tokens,
    audio_input_tokens, audio_output_tokens, image_input_tokens, image_output_tokens, quantities,
    billable_state, billable_reason, cost, currency, rate_version,
    adjusted_trace_id, adjusted_span_id, reason, reference, booked_at
FROM adjustments;

CREATE VIEW usage_hourly AS
SELECT
    date_trunc('hour', time, 'UTC') AS hour,
    tenant_id, workspace_id, project_id, feature, workflow, account_type, environment,
    provider, model, operation, billable_state, currency,
    sum(requests) AS requests,
    coalesce(sum(requests) FILTER (WHERE status <> 'ok'), 0) AS failed_requests,
    sum(unpriced_requests) AS unpriced_requests,
    coalesce(sum(input_tokens), 0) AS input_tokens,
    coalesce(sum(cache_read_input_tokens), 0) AS cache_read_input_tokens,
    coalesce(sum(cache_write_input_tokens), 0) AS cache_write_input_tokens,
    coalesce(sum(output_tokens), 0) AS output_tokens,
    coalesce(sum(reasoning_output_tokens), 0) AS reasoning_output_tokens,
    sum(cost) AS cost
FROM ledger
GROUP BY
    1, tenant_id, workspace_id, project_id, feature, workflow, account_type, environment,
    provider, model, operation, billable_state, currency;

CREATE VIEW usage_daily AS
SELECT
    (hour AT TIME ZONE 'UTC')::date AS day,
    tenant_id, workspace_id, project_id, feature, workflow, account_type, environment,
    provider, model, operation, billable_state, currency,
    sum(requests) AS requests,
    sum(failed_requests) AS failed_requests,
    sum(unpriced_requests) AS unpriced_requests,
    sum(input_tokens) AS input_tokens,
    sum(cache_read_input_tokens) AS cache_read_input_tokens,
    sum(cache_write_input_tokens) AS cache_write_input_tokens,
    sum(output_tokens) AS output_tokens,
    sum(reasoning_output_tokens) AS reasoning_output_tokens,
    sum(cost) AS cost
FROM usage_hourly
GROUP BY
    1, tenant_id, workspace_id, project_id, feature, workflow, account_type, environment,
    provider, model, operation, billable_state, currency;

CREATE VIEW unattributed_usage AS
SELECT
    ledger.callsite, ledger.service_name, ledger.provider, ledger.model, currency,
    sum(ledger.requests) AS requests,
    sum(ledger.unpriced_requests) AS unpriced_requests,
    coalesce(sum(ledger.input_tokens), 0) AS input_tokens,
    coalesce(sum(ledger.output_tokens), 0) AS output_tokens,
    sum(ledger.cost) AS cost,
    round(sum(ledger.cost) / nullif(total.cost, 0), 6) AS share_of_cost,
    min(ledger.time) AS first_seen,
    max(ledger.time) AS last_seen
FROM ledger JOIN (SELECT currency, sum(cost) AS cost FROM ledger GROUP BY currency) AS total USING (currency)
WHERE ledger.tenant_id IS NULL
GROUP BY ledger.callsite, ledger.service_name, ledger.provider, ledger.model, currency, total.cost;

COMMENT ON VIEW ledger IS 'All that is booked: usage and adjustments. Every sum spanmeter shows is a sum over these rows.';
COMMENT ON COLUMN ledger.kind IS 'usage or adjustment.';
COMMENT ON COLUMN ledger.model IS 'The model that ran, or the one asked for where the provider did not say.';
COMMENT ON COLUMN ledger.requests IS 'Requests to a provider: 1 for usage, the difference for an adjustment.';
COMMENT ON COLUMN ledger.unpriced_requests IS 'Requests whose cost is not known, so not in cost.';
COMMENT ON COLUMN ledger.reason IS 'Why an adjustment was booked.';
COMMENT ON COLUMN ledger.reference IS 'What an adjustment rests on.';
COMMENT ON COLUMN ledger.booked_at IS 'When the row was written.';

COMMENT ON VIEW usage_hourly IS 'Sums over the ledger by hour, UTC.';
COMMENT ON COLUMN usage_hourly.hour IS 'Start of the hour, UTC.';
COMMENT ON COLUMN usage_hourly.failed_requests IS 'Requests that ended in error, timeout or cancelled; they may have cost.';
COMMENT ON COLUMN usage_hourly.cost IS 'Sum of the known costs, unrounded. NULL: every request is unpriced.';
COMMENT ON VIEW usage_daily IS 'Sums over the ledger by day, UTC.';
COMMENT ON COLUMN usage_daily.day IS 'The day, UTC.';
COMMENT ON VIEW unattributed_usage IS 'Usage without a tenant, by the place in the code that caused it.';
COMMENT ON COLUMN unattributed_usage.share_of_cost IS 'Part of the whole ledger''s cost in this currency, 0 to 1.';
COMMENT ON COLUMN unattributed_usage.first_seen IS 'Time of the first such call.';
COMMENT ON COLUMN unattributed_usage.last_seen IS 'Time of the latest such call.';

-- A column that has no comment yet means what it means in the relation the view reads.
DO $$
DECLARE
    named record;
BEGIN
    FOR named IN
        SELECT view, ours.attname AS name, (
            SELECT col_description(theirs.attrelid, theirs.attnum)
            FROM unnest(ARRAY['usage_hourly', 'ledger', 'usage_events']) WITH ORDINALITY AS source(name, rank)
                JOIN pg_attribute AS theirs ON theirs.attrelid = source.name::regclass
            WHERE theirs.attname = ours.attname AND col_description(theirs.attrelid, theirs.attnum) IS NOT NULL
            ORDER BY source.rank LIMIT 1
        ) AS meaning
        FROM unnest(ARRAY['ledger', 'usage_hourly', 'usage_daily', 'unattributed_usage']) AS view
            JOIN pg_attribute AS ours ON ours.attrelid = view::regclass
        WHERE ours.attnum > 0 AND col_description(ours.attrelid, ours.attnum) IS NULL
    LOOP
        EXECUTE format('COMMENT ON COLUMN %I.%I IS %L', named.view, named.name, named.meaning);
    END LOOP;
END
$$;
