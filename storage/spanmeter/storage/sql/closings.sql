-- closings --
-- A tenant's closed periods, each as it was closed last, in their order, as far as that was recorded by a moment.
SELECT DISTINCT ON (month)
    tenant_id, month, revision, since, until, as_of, currency, total, cost, digest, document, closed_at, closed_by
FROM statement_closings
WHERE tenant_id = %(tenant)s AND closed_at <= coalesce(%(as_of)s::timestamptz, 'infinity')
ORDER BY month, revision DESC;

-- of_month --
-- Everybody's closed periods of a month, each as it was closed last.
SELECT DISTINCT ON (tenant_id)
    tenant_id, month, revision, since, until, as_of, currency, total, cost, digest, document, closed_at, closed_by
FROM statement_closings WHERE month = %s
ORDER BY tenant_id, revision DESC;

-- add --
-- Close a period, for the first time or again.
INSERT INTO statement_closings (
    tenant_id, month, revision, since, until, as_of, currency, total, cost, digest, document, closed_by
) VALUES (
    %(tenant_id)s, %(month)s, %(revision)s, %(since)s, %(until)s, %(as_of)s, %(currency)s, %(total)s, %(cost)s,
    %(digest)s, %(document)s, %(closed_by)s
);
