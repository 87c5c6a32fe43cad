-- lock --
-- The counter, for as long as the transaction lasts; when somebody last got less than was waited for.
INSERT INTO budget_counters AS known (budget, counter) VALUES (%(budget)s, %(counter)s)
ON CONFLICT (budget, counter) DO UPDATE SET short_at = known.short_at
RETURNING short_at > now() - interval '3 seconds';

-- short --
-- Somebody gets less than is waited for: whoever holds more than it needs gives it back.
UPDATE budget_counters SET short_at = now() WHERE budget = %(budget)s AND counter = %(counter)s;

-- hold --
-- What a process says it holds; it alone knows. Another's lease stays as it is.
INSERT INTO budget_leases AS known
    (lease_id, budget, counter, window_start, holder, held, settled, expires_at)
SELECT lease_id, %(budget)s, %(counter)s, window_start, %(holder)s, held, settled,
    now() + CASE WHEN settled THEN %(lingering)s ELSE %(living)s END
FROM unnest(%(leases)s::uuid[], %(windows)s::timestamptz[], %(held)s::numeric[], %(settled)s::boolean[])
    AS said (lease_id, window_start, held, settled)
ON CONFLICT (lease_id) DO UPDATE
SET held = excluded.held, settled = excluded.settled, expires_at = excluded.expires_at
WHERE (known.budget, known.counter, known.holder) = (excluded.budget, excluded.counter, excluded.holder);

-- lend --
-- Add to a lease.
UPDATE budget_leases SET held = held + %(amount)s WHERE lease_id = %(lease)s;

-- holders --
-- How many others hold something, and whether that is anything to be had back.
SELECT count(DISTINCT holder), coalesce(sum(greatest(held - booked, 0)), 0)
FROM budget_leases
WHERE budget = %(budget)s AND counter = %(counter)s AND window_start >= %(since)s
    AND expires_at > now() AND holder <> %(holder)s;

-- not_waiting --
-- A lease that is lost with the server is told of again by its holder a second later.
SET LOCAL synchronous_commit = off;
