-- used --
-- Sums of a period by who used it; of its last hour a part counts.
SELECT
    currency, tenant_id, feature, service_name,
    {sums}
FROM (
    SELECT *, CASE WHEN hour = %(until)s::timestamptz - interval '1 hour' THEN %(last)s::numeric ELSE 1 END AS part
    FROM usage_hourly WHERE hour >= %(since)s AND hour < %(until)s
) AS hourly
GROUP BY currency, tenant_id, feature, service_name;

-- sums --
-- The sums that usage is judged by.
sum(part * requests), sum(part * failed_requests), sum(part * unpriced_requests),
sum(part * input_tokens), sum(part * output_tokens), coalesce(sum(part * cost), 0);

-- hourly --
-- What each hour of somebody's usage cost.
SELECT hour, sum(cost) FROM usage_hourly
WHERE hour >= %(since)s AND hour < %(until)s AND {of_subject}
GROUP BY hour HAVING sum(cost) <> 0
ORDER BY hour;

-- by_model --
-- Sums of somebody's usage by model.
SELECT coalesce(model, 'unknown model'), {sums}
FROM (SELECT *, 1 AS part FROM usage_hourly WHERE hour >= %(since)s AND hour < %(until)s AND {of_subject}) AS hourly
GROUP BY 1;

-- pattern --
-- How somebody's latest calls followed each other: how many of a sample, the parts of the commonest size and workflow,
-- the seconds between two (median), the part of retries.
WITH latest AS MATERIALIZED (
    SELECT time, input_tokens, workflow, attempt FROM usage_events
    WHERE time >= %(since)s AND time < %(until)s AND duplicate_of_trace_id IS NULL AND {of_subject}
    ORDER BY time DESC LIMIT %(most)s
), intervals AS (
    SELECT extract(epoch FROM time - lag(time) OVER (ORDER BY time)) AS seconds FROM latest
)
SELECT
    count(*),
    coalesce((SELECT max(n) FROM (SELECT count(*) AS n FROM latest WHERE input_tokens IS NOT NULL GROUP BY input_tokens) AS sizes)
        / nullif(count(*), 0)::numeric, 0),
    coalesce((SELECT max(n) FROM (SELECT count(*) AS n FROM latest WHERE workflow IS NOT NULL GROUP BY workflow) AS workflows)
        / nullif(count(*), 0)::numeric, 0),
    coalesce((SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds) FROM intervals), 0)::numeric,
    coalesce(avg((attempt > 1)::int), 0)
FROM latest;

-- by_tenant --
-- Sums of the days of a period by tenant.
SELECT currency, account_type, tenant_id, feature, {sums}
FROM (
    SELECT *, 1 AS part FROM usage_daily
    WHERE day >= (%(since)s::timestamptz AT TIME ZONE 'UTC')::date
        AND day <= (%(until)s::timestamptz AT TIME ZONE 'UTC')::date AND tenant_id IS NOT NULL
) AS daily
GROUP BY currency, account_type, tenant_id, feature;

-- reported --
-- Requests of a period by what reported them; of its last hour a part counts.
SELECT
    service_name, provider, model,
    sum(requests * CASE WHEN hour = %(until)s::timestamptz - interval '1 hour' THEN %(last)s::numeric ELSE 1 END)
FROM usage_hourly WHERE hour >= %(since)s AND hour < %(until)s
GROUP BY service_name, provider, model;

-- missing --
-- Records that did not arrive, by service, of processes that reported lately and are no newcomers.
SELECT service_name, count(*), sum(missing)::bigint, min(first_seen), max(last_seen)
FROM producer_gaps
WHERE missing > 0 AND last_seen >= %(since)s AND first_seen < %(before)s
GROUP BY service_name
ORDER BY service_name;
