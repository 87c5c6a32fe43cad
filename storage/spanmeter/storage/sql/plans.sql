-- one_at_a_time --
-- Versions are numbered without a gap, and what is recorded before a moment is there.
SELECT pg_advisory_xact_lock(%s);

-- versions --
-- Every version of every plan, in their order.
SELECT plan, number, effective_from, recorded_at, recorded_by, login, note, text FROM plans ORDER BY plan, number;

-- latest --
-- The version of a plan that was recorded last.
SELECT plan, number, effective_from, recorded_at, recorded_by, login, note, text FROM plans
WHERE plan = %s ORDER BY number DESC LIMIT 1;

-- add --
-- The next version of a plan.
INSERT INTO plans (plan, number, effective_from, text, recorded_by, note)
SELECT %(plan)s, coalesce(max(number), 0) + 1, %(effective_from)s, %(text)s, %(recorded_by)s, %(note)s
FROM plans WHERE plan = %(plan)s
RETURNING plan, number, effective_from, recorded_at, recorded_by, login, note, text;

-- assignments --
-- Who has had which plan, in the order that it was recorded.
SELECT number, tenant_id, plan, effective_from, recorded_at, recorded_by, login, note FROM plan_assignments
ORDER BY number;

-- assign --
-- Give a tenant, or everybody without one, a plan.
INSERT INTO plan_assignments (tenant_id, plan, effective_from, recorded_by, note)
VALUES (%(tenant)s, %(plan)s, %(effective_from)s, %(recorded_by)s, %(note)s);
