-- overview_by_day --
-- The operator's overview: requests and cost of each of 30 days.
SELECT day, sum(requests), sum(cost) FROM usage_daily_by_model
WHERE day >= %(since)s AND currency = 'USD' GROUP BY day ORDER BY day;

-- overview_by_day__ledger --
-- The same from the rows.
SELECT (time AT TIME ZONE 'UTC')::date, sum(requests), sum(cost) FROM ledger
WHERE time >= %(since)s AND currency = 'USD' GROUP BY 1 ORDER BY 1;

-- top_tenants --
-- The ten tenants that cost most in 30 days.
SELECT tenant_id, sum(requests), sum(cost) AS cost FROM usage_daily_by_tenant
WHERE day >= %(since)s AND currency = 'USD' GROUP BY tenant_id ORDER BY cost DESC NULLS LAST LIMIT 10;

-- top_tenants__ledger --
-- The same from the rows.
SELECT tenant_id, sum(requests), sum(cost) AS cost FROM ledger
WHERE time >= %(since)s AND currency = 'USD' GROUP BY tenant_id ORDER BY cost DESC NULLS LAST LIMIT 10;

-- top_features --
-- The features that cost most in 30 days.
SELECT feature, sum(requests), sum(cost) AS cost FROM usage_daily_by_model
WHERE day >= %(since)s AND currency = 'USD' GROUP BY feature ORDER BY cost DESC NULLS LAST LIMIT 10;

-- top_features__ledger --
-- The same from the rows.
SELECT feature, sum(requests), sum(cost) AS cost FROM ledger
WHERE time >= %(since)s AND currency = 'USD' GROUP BY feature ORDER BY cost DESC NULLS LAST LIMIT 10;

-- top_models --
-- The models that cost most in 30 days, and what a million tokens of each really cost.
SELECT
    provider, model, sum(cost) AS cost,
    round(sum(cost) * 1000000 / nullif(sum(input_tokens) + sum(output_tokens), 0), 4) AS cost_per_million_tokens
FROM usage_daily_by_model
WHERE day >= %(since)s AND currency = 'USD' GROUP BY provider, model ORDER BY cost DESC NULLS LAST LIMIT 10;

-- top_models__ledger --
-- The same from the rows.
SELECT
    provider, model, sum(cost) AS cost,
    round(
        sum(cost) * 1000000 / nullif(coalesce(sum(input_tokens), 0) + coalesce(sum(output_tokens), 0), 0), 4
    ) AS cost_per_million_tokens
FROM ledger
WHERE time >= %(since)s AND currency = 'USD' GROUP BY provider, model ORDER BY cost DESC NULLS LAST LIMIT 10;

-- who_drives_80_percent --
-- The fewest tenants that together make 80 %% of the cost of 30 days.
SELECT tenant_id, cost, so_far FROM (
    SELECT
        tenant_id, cost,
        sum(cost) OVER (ORDER BY cost DESC, tenant_id) / nullif(sum(cost) OVER (), 0) AS so_far,
        (sum(cost) OVER (ORDER BY cost DESC, tenant_id) - cost) / nullif(sum(cost) OVER (), 0) AS before
    FROM (
        SELECT tenant_id, sum(cost) AS cost FROM usage_daily_by_tenant
        WHERE day >= %(since)s AND currency = 'USD' GROUP BY tenant_id
    ) AS tenants
    WHERE cost IS NOT NULL
) AS ranked
WHERE before < 0.8 ORDER BY cost DESC, tenant_id;

-- who_drives_80_percent__ledger --
-- The same from the rows.
SELECT tenant_id, cost, so_far FROM (
    SELECT
        tenant_id, cost,
        sum(cost) OVER (ORDER BY cost DESC, tenant_id) / nullif(sum(cost) OVER (), 0) AS so_far,
        (sum(cost) OVER (ORDER BY cost DESC, tenant_id) - cost) / nullif(sum(cost) OVER (), 0) AS before
    FROM (
        SELECT tenant_id, sum(cost) AS cost FROM ledger
        WHERE time >= %(since)s AND currency = 'USD' GROUP BY tenant_id
    ) AS tenants
    WHERE cost IS NOT NULL
) AS ranked
WHERE before < 0.8 ORDER BY cost DESC, tenant_id;

-- tenant_month --
-- One tenant's month by day and feature.
SELECT day, feature, sum(requests), sum(input_tokens), sum(output_tokens), sum(cost) FROM usage_daily
WHERE tenant_id = %(tenant)s AND day >= %(since)s GROUP BY day, feature ORDER BY day, feature;

-- tenant_month__ledger --
-- The same from the rows.
SELECT
    (time AT TIME ZONE 'UTC')::date, feature, sum(requests), coalesce(sum(input_tokens), 0),
    coalesce(sum(output_tokens), 0), sum(cost)
FROM ledger
WHERE tenant_id = %(tenant)s AND time >= %(since)s GROUP BY 1, 2 ORDER BY 1, 2;

-- tenant_day_by_hour --
-- One tenant's last day by hour.
SELECT hour, sum(requests), sum(cost) FROM usage_hourly
WHERE tenant_id = %(tenant)s AND hour >= %(yesterday)s GROUP BY hour ORDER BY hour;

-- tenant_day_by_hour__ledger --
-- The same from the rows.
SELECT date_trunc('hour', time, 'UTC'), sum(requests), sum(cost) FROM ledger
WHERE tenant_id = %(tenant)s AND time >= %(yesterday)s GROUP BY 1 ORDER BY 1;

-- near_limit_workspaces --
-- Workspaces that have used four fifths of a limit on this month's cost.
SELECT tenant_id, workspace_id, sum(cost) / %(limit)s AS used FROM usage_monthly
WHERE month = %(month)s AND workspace_id IS NOT NULL AND currency = 'USD'
GROUP BY tenant_id, workspace_id HAVING sum(cost) >= 0.8 * %(limit)s ORDER BY used DESC, tenant_id, workspace_id;

-- near_limit_workspaces__ledger --
-- The same from the rows.
SELECT tenant_id, workspace_id, sum(cost) / %(limit)s AS used FROM ledger
WHERE time >= %(month)s AND time < %(next_month)s AND workspace_id IS NOT NULL AND currency = 'USD'
GROUP BY tenant_id, workspace_id HAVING sum(cost) >= 0.8 * %(limit)s ORDER BY used DESC, tenant_id, workspace_id;

-- cost_per_action__ledger --
-- What an action costs, one that took several attempts counted once: only the rows know which call was for which.
SELECT action, count(*) AS actions, sum(attempts) AS attempts, sum(cost) / count(*) AS cost_each FROM (
    SELECT tenant_id, action, idempotency_key, sum(requests) AS attempts, sum(cost) AS cost
    FROM ledger
    WHERE time >= %(since)s AND idempotency_key IS NOT NULL AND currency = 'USD'
    GROUP BY tenant_id, action, idempotency_key
) AS actions
GROUP BY action ORDER BY action;

-- drift_by_model_version --
-- Tokens a call of one feature takes from one version of a model to the next. Prompts are not in the ledger: a feature
-- stands for them.
SELECT
    feature, model, min(day) AS since, sum(requests) AS requests,
    round(sum(input_tokens) / nullif(sum(requests), 0), 1) AS input_each,
    round(sum(output_tokens) / nullif(sum(requests), 0), 1) AS output_each
FROM usage_daily_by_model
WHERE day >= %(since)s GROUP BY feature, model HAVING sum(requests) > 0 ORDER BY feature, model;

-- drift_by_model_version__ledger --
-- The same from the rows.
SELECT
    feature, model, min(time AT TIME ZONE 'UTC')::date AS since, sum(requests) AS requests,
    round(coalesce(sum(input_tokens), 0) / nullif(sum(requests), 0), 1) AS input_each,
    round(coalesce(sum(output_tokens), 0) / nullif(sum(requests), 0), 1) AS output_each
FROM ledger
WHERE time >= %(since)s GROUP BY feature, model HAVING sum(requests) > 0 ORDER BY feature, model;

-- tokens_against_peers --
-- Tenants whose calls of a feature take more than 1.2 times the tokens of the median tenant's this month.
WITH tenants AS MATERIALIZED (
    SELECT tenant_id, feature, (sum(input_tokens) + sum(output_tokens)) / sum(requests) AS each FROM usage_monthly
    WHERE month = %(month)s GROUP BY tenant_id, feature HAVING sum(requests) > 0
), medians AS (
    SELECT feature, percentile_cont(0.5) WITHIN GROUP (ORDER BY each)::numeric AS median FROM tenants GROUP BY feature
)
SELECT tenant_id, feature, round(each / median, 2) AS of_median FROM tenants JOIN medians USING (feature)
WHERE each > 1.2 * median ORDER BY of_median DESC, tenant_id, feature;

-- tokens_against_peers__ledger --
-- The same from the rows.
WITH tenants AS MATERIALIZED (
    SELECT
        tenant_id, feature, (coalesce(sum(input_tokens), 0) + coalesce(sum(output_tokens), 0)) / sum(requests) AS each
    FROM ledger
    WHERE time >= %(month)s AND time < %(next_month)s GROUP BY tenant_id, feature HAVING sum(requests) > 0
), medians AS (
    SELECT feature, percentile_cont(0.5) WITHIN GROUP (ORDER BY each)::numeric AS median FROM tenants GROUP BY feature
)
SELECT tenant_id, feature, round(each / median, 2) AS of_median FROM tenants JOIN medians USING (feature)
WHERE each > 1.2 * median ORDER BY of_median DESC, tenant_id, feature;

-- tenant_images --
-- One tenant's pictures and seconds of sound by day.
SELECT day, unit, sum(quantity) FROM usage_daily_quantities
WHERE tenant_id = %(tenant)s AND day >= %(since)s GROUP BY day, unit ORDER BY day, unit;

-- tenant_images__ledger --
-- The same from the rows.
SELECT (time AT TIME ZONE 'UTC')::date, unit, sum(amount::numeric)
FROM ledger CROSS JOIN LATERAL jsonb_each_text(quantities) AS other (unit, amount)
WHERE tenant_id = %(tenant)s AND time >= %(since)s GROUP BY 1, 2 ORDER BY 1, 2;

-- unattributed --
-- Where calls without a tenant are made, and their share of all cost.
SELECT callsite, model, requests, cost, share_of_cost FROM unattributed_usage
ORDER BY cost DESC NULLS LAST, callsite, model;

-- unattributed__ledger --
-- The same from the rows.
SELECT callsite, model, sum(requests), sum(cost) AS cost, round(sum(cost) / nullif(total.total, 0), 6)
FROM ledger CROSS JOIN (SELECT sum(cost) AS total FROM ledger WHERE currency = 'USD') AS total
WHERE tenant_id IS NULL GROUP BY callsite, model, service_name, provider, total.total
ORDER BY cost DESC NULLS LAST, callsite, model;
