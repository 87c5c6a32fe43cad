-- add --
-- What a tenant paid for a month, unless the same was imported last.
INSERT INTO revenue (tenant_id, month, currency, source, revision, amount, recorded_by)
SELECT
    %(tenant_id)s, %(month)s, %(currency)s, %(source)s, coalesce(max(revision), 0) + 1, %(amount)s, %(recorded_by)s
FROM revenue
WHERE tenant_id = %(tenant_id)s AND month = %(month)s AND currency = %(currency)s AND source = %(source)s
HAVING (array_agg(amount ORDER BY revision DESC))[1] IS DISTINCT FROM %(amount)s;

-- one_at_a_time --
-- Imports come one after the other.
SELECT pg_advisory_xact_lock(%s);

-- of_month --
-- What tenants paid for a month, in all.
SELECT tenant_id, currency, imported FROM tenant_margin
WHERE month = %s AND imported IS NOT NULL
ORDER BY tenant_id, currency;

-- segments --
-- Costs of a tenant's period by the values of a dimension.
SELECT {dimension}, currency, sum(cost) FROM ledger
WHERE tenant_id = %(tenant)s AND time >= %(since)s AND time < %(until)s
    AND booked_at <= coalesce(%(as_of)s::timestamptz, 'infinity')
GROUP BY 1, 2
HAVING sum(cost) <> 0
ORDER BY 1, 2;
