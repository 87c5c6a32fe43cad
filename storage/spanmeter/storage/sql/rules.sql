-- one_at_a_time --
-- Versions are numbered without a gap.
SELECT pg_advisory_xact_lock(%s);

-- in_force --
-- The latest version, of those that were set by a moment.
SELECT number, version, rules, set_at, set_by, login, note FROM billable_rules
WHERE set_at <= coalesce(%s::timestamptz, 'infinity')
ORDER BY number DESC LIMIT 1;

-- history --
-- Every version, the latest first.
SELECT number, version, rules, set_at, set_by, login, note FROM billable_rules ORDER BY number DESC;

-- add --
-- The next version.
INSERT INTO billable_rules (number, rules, set_by, note)
SELECT coalesce(max(number), 0) + 1, %(rules)s, %(set_by)s, %(note)s FROM billable_rules
RETURNING number, version, rules, set_at, set_by, login, note;
