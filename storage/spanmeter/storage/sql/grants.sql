-- add --
-- Grant something, once.
INSERT INTO grants (
    grant_id, tenant_id, kind, unit, amount, effective_at, expires_at, priority, recurring, rollover_min, rollover_max,
    applies_when, recorded_by, note
) VALUES (
    %(grant_id)s, %(tenant_id)s, %(kind)s, %(unit)s, %(amount)s, %(effective_at)s, %(expires_at)s, %(priority)s,
    %(recurring)s, %(rollover_min)s, %(rollover_max)s, %(applies_when)s, %(recorded_by)s, %(note)s
)
ON CONFLICT (grant_id) DO NOTHING;

-- grants --
-- What was granted, of one tenant or of all, and when it was taken back, as far as that was recorded by a moment.
SELECT
    grants.grant_id, tenant_id, kind, unit, amount, effective_at, expires_at, priority, recurring,
    rollover_min, rollover_max, applies_when, grants.recorded_at, grants.note, voided_at
FROM grants LEFT JOIN grant_voids AS voids
    ON voids.grant_id = grants.grant_id AND voids.recorded_at <= coalesce(%(as_of)s::timestamptz, 'infinity')
WHERE (%(tenant)s::text IS NULL OR tenant_id = %(tenant)s)
    AND grants.recorded_at <= coalesce(%(as_of)s::timestamptz, 'infinity')
ORDER BY tenant_id, grants.recorded_at, grants.grant_id;

-- void --
-- Take a grant back.
INSERT INTO grant_voids (grant_id, voided_at, recorded_by, note)
VALUES (%(grant_id)s, %(voided_at)s, %(recorded_by)s, %(note)s)
ON CONFLICT (grant_id) DO NOTHING;

-- refund --
-- Take back the last action of a key that succeeded and was not refunded before. What is asked for is how often it was.
INSERT INTO action_refunds (tenant_id, action, idempotency_key, generation, refunded_at, recorded_by, reason)
SELECT %(tenant)s, %(action)s, %(key)s, before.refunds, %(refunded_at)s, %(recorded_by)s, %(reason)s
FROM (
    SELECT count(*) AS refunds, coalesce(max(refunded_at), '-infinity') AS last FROM action_refunds
    WHERE tenant_id = %(tenant)s AND action = %(action)s AND idempotency_key = %(key)s
) AS before
WHERE EXISTS (
    SELECT FROM ledger
    WHERE tenant_id = %(tenant)s AND action = %(action)s AND idempotency_key = %(key)s
        AND time >= before.last AND time < %(refunded_at)s AND status = 'ok' AND billable_state <> 'ignored'
    HAVING sum(requests) > 0
);
