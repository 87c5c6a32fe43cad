-- take_bookings --
-- Transactions that are not counted yet, of up to so many.
WITH taken AS (
    DELETE FROM uncounted_bookings WHERE (booked_at, booked_in) IN (
        SELECT booked_at, booked_in FROM uncounted_bookings ORDER BY booked_at LIMIT %s
    )
    RETURNING booked_at, booked_in
)
SELECT
    count(*) AS count, min(booked_at) AS since, max(booked_at) AS until,
    array_agg(booked_at) AS booked_at, array_agg(booked_in) AS booked_in
FROM taken;

-- usage --
-- What was used, by minute, dimensions and lease.
SELECT
    date_trunc('minute', time, 'UTC'), currency, budget_leases,
    coalesce(sum(requests), 0), coalesce(sum(cost), 0),
    coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0), coalesce(sum(unpriced_requests), 0),
    coalesce(sum(unpriced_input_tokens), 0), coalesce(sum(unpriced_output_tokens), 0),
    {selected}
FROM budgetable_usage
WHERE {chosen}
GROUP BY {grouped};

-- prices --
-- The same for prices: as far added up as all of it has one, between the moments at which some price changes.
SELECT
    min(time), currency, budget_leases, tenant_id, billable_state,
    date_trunc('minute', min(time), 'UTC'), coalesce(sum(cost), 0), coalesce(sum(unpriced_requests), 0),
    coalesce(sum(unpriced_input_tokens), 0), coalesce(sum(unpriced_output_tokens), 0)
    {selected}
FROM budgetable_usage
WHERE tenant_id IS NOT NULL AND (%(tenants)s::text[] IS NULL OR tenant_id = ANY (%(tenants)s)) AND {chosen}
GROUP BY date_trunc('minute', time, 'UTC'), width_bucket(time, %(cuts)s::timestamptz[]), {grouped};

-- take_plan_changes --
-- Changes of plans that prices were not counted by yet.
DELETE FROM uncounted_plan_changes;

-- of_bookings --
-- The rows of some transactions.
booked_at BETWEEN %(since)s AND %(until)s
AND (booked_at, booked_in) IN (SELECT * FROM unnest(%(booked_at)s::timestamptz[], %(booked_in)s::xid8[]));

-- since --
-- The rows of service from a moment on, without those that are still to be counted.
time >= %(since)s AND NOT EXISTS (
    SELECT FROM uncounted_bookings AS later
    WHERE later.booked_at = budgetable_usage.booked_at AND later.booked_in = budgetable_usage.booked_in
);

-- add_spending --
-- Add what was used to the counters.
INSERT INTO budget_spending AS known (budget, counter, bucket, spent)
SELECT * FROM unnest(%(budgets)s::text[], %(counters)s::text[], %(buckets)s::timestamptz[], %(amounts)s::numeric[])
ON CONFLICT (budget, counter, bucket) DO UPDATE SET spent = known.spent + excluded.spent;

-- book_leases --
-- What calls drew on leases is booked: from now on it is spent.
UPDATE budget_leases SET booked = booked + drawn.amount
FROM (
    SELECT * FROM unnest(%(leases)s::uuid[], %(budgets)s::text[], %(counters)s::text[], %(amounts)s::numeric[])
        AS drawn (lease_id, budget, counter, amount)
    ORDER BY 1
) AS drawn
WHERE budget_leases.lease_id = drawn.lease_id
    AND budget_leases.budget = drawn.budget AND budget_leases.counter = drawn.counter;

-- unbook_leases --
-- Nothing of a budget's leases is spent: its usage is counted anew.
UPDATE budget_leases SET booked = 0 WHERE budget = %s;

-- forget_buckets --
-- No rolling window of a budget begins before this moment any more.
DELETE FROM budget_spending WHERE budget = %s AND bucket < %s;

-- forget_leases --
-- Of leases that came back long ago nothing is booked any more.
DELETE FROM budget_leases WHERE expires_at < now() - interval '1 hour';

-- spent --
-- What is used of each of some counters in its window, and what of the rest is lent.
SELECT
    asked.place,
    coalesce((
        SELECT sum(spent) FROM budget_spending AS known
        WHERE known.budget = asked.budget AND known.counter = asked.counter
            AND known.bucket >= asked.since AND known.bucket < asked.until
    ), 0),
    coalesce((
        SELECT sum(greatest(held - booked, 0)) FROM budget_leases AS lent
        WHERE lent.budget = asked.budget AND lent.counter = asked.counter
            AND lent.window_start >= asked.since AND lent.expires_at > now()
    ), 0)
FROM unnest(%(budgets)s::text[], %(counters)s::text[], %(since)s::timestamptz[], %(until)s::timestamptz[])
    WITH ORDINALITY AS asked (budget, counter, since, until, place)
ORDER BY asked.place;

-- counters --
-- The counters of a budget that anything was used of, or lent, or asked for.
SELECT counter FROM budget_spending WHERE budget = %(budget)s
UNION SELECT counter FROM budget_counters WHERE budget = %(budget)s
ORDER BY 1 LIMIT %(most)s;
