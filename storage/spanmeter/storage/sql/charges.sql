-- charges --
-- What providers charge us, by what tells charges apart. What was booked once the month of the call was over corrects a
-- month that may have been invoiced. Customers' own keys are theirs to pay.
SELECT
    date_trunc('hour', time, 'UTC') AS charged_from, tenant_id, provider, model, operation, region, service_tier, environment,
    workspace_id, project_id, feature,
    booked_at >= date_trunc('month', time, 'UTC') + interval '1 month' AS corrects, currency,
    sum(requests)::bigint, sum(unpriced_requests)::bigint, coalesce(sum(input_tokens), 0)::bigint,
    coalesce(sum(cache_read_input_tokens), 0)::bigint, coalesce(sum(cache_write_input_tokens), 0)::bigint,
    coalesce(sum(output_tokens), 0)::bigint, coalesce(sum(reasoning_output_tokens), 0)::bigint, sum(cost),
    string_agg(DISTINCT rate_version, ', ' ORDER BY rate_version)
FROM ledger
WHERE time >= %(since)s AND time < %(until)s AND NOT byok
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13
ORDER BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13;
