-- alone --
-- Counting, and laying down what is counted, is done by one at a time.
SELECT pg_advisory_xact_lock(%s);

-- state --
-- What tells whether anything was laid down since.
SELECT
    (SELECT max(version) FROM budget_versions),
    (SELECT max(number) FROM tenant_time_zones),
    (SELECT max(increase_id) FROM budget_increases);

-- in_force --
-- The budgets in force.
SELECT budget, definition FROM budgets ORDER BY budget;

-- on_price --
-- Those that are on price.
SELECT budget, definition FROM budgets WHERE definition ->> 'metric' = 'price' ORDER BY budget;

-- definition --
-- The latest definition of a budget; NULL: it was removed.
SELECT definition FROM budget_versions WHERE budget = %s ORDER BY version DESC LIMIT 1;

-- add_version --
-- The next version of a budget.
INSERT INTO budget_versions (budget, definition, set_by) VALUES (%(budget)s, %(definition)s, %(set_by)s);

-- history --
-- Every version of a budget, the latest first.
SELECT version, definition, set_at, set_by, login FROM budget_versions WHERE budget = %s ORDER BY version DESC;

-- zones --
-- The time zone of each tenant that has one.
SELECT DISTINCT ON (tenant_id) tenant_id, time_zone FROM tenant_time_zones ORDER BY tenant_id, number DESC;

-- add_zone --
-- A tenant's time zone from now on.
INSERT INTO tenant_time_zones (tenant_id, time_zone, set_by) VALUES (%(tenant)s, %(zone)s, %(set_by)s);

-- increases --
-- What is added to limits now, or will be.
SELECT budget, counter, amount, effective_from, expires_at FROM budget_increases WHERE expires_at > now();

-- add_increase --
-- Something added to a limit, from now on.
INSERT INTO budget_increases (budget, counter, amount, expires_at, reason, added_by)
VALUES (%(budget)s, %(counter)s, %(amount)s, %(expires_at)s, %(reason)s, %(added_by)s)
RETURNING increase_id;

-- drop_counters --
-- Nothing is counted for a budget that is removed, or counted anew.
DELETE FROM budget_spending WHERE budget = %s;

-- drop_leases --
-- Nor is anything lent.
DELETE FROM budget_leases WHERE budget = %s;
