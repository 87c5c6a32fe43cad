-- actions --
-- What was done for a tenant, in its own words: an action counts once for each idempotency key, or for each trace where it
-- has none, and only if an attempt succeeded; on the day that the first one did.
WITH done AS (
    SELECT
        action, max(label) AS label, min(feature) AS feature,
        min(time) FILTER (WHERE status = 'ok') AS done_at,
        sum(requests) AS attempts
    FROM {relation}
    WHERE time >= %(since)s AND time < %(until)s AND action IS NOT NULL AND kind = 'usage'
        AND {of_tenant}
    GROUP BY {tenant_id}, action, coalesce('key ' || idempotency_key, 'trace ' || encode(trace_id, 'hex'))
)
SELECT
    {day}, coalesce(label, action) AS name, feature,
    count(done_at)::bigint, (count(*) - count(done_at))::bigint, sum(attempts)::bigint
FROM done
GROUP BY 1, 2, 3
ORDER BY 1, 4 DESC, 2, 3;

-- by_day --
-- The day that it was done; of what failed there is none.
(done_at AT TIME ZONE 'UTC')::date;

-- one_tenant --
-- Of one tenant, or of all.
(%(tenant)s::text IS NULL OR tenant_id = %(tenant)s);

-- in_all --
-- All days together.
NULL::date;
