-- The console shows how far budgets have come, decides requests, and lays down budgets and grants: so it counts, as collectors do.

DO $$
BEGIN
    IF to_regrole('spanmeter_console') IS NULL THEN
        RETURN;
    END IF;
    GRANT SELECT, DELETE ON uncounted_bookings TO spanmeter_console;
    GRANT SELECT, INSERT, UPDATE, DELETE ON budget_spending, budget_leases TO spanmeter_console;
    IF to_regclass('uncounted_plan_changes') IS NOT NULL THEN
        GRANT SELECT, DELETE ON uncounted_plan_changes TO spanmeter_console;
    END IF;
    GRANT INSERT (budget, definition, set_by) ON budget_versions TO spanmeter_console;
    GRANT INSERT (budget, counter, amount, expires_at, reason, added_by) ON budget_increases TO spanmeter_console;
    GRANT UPDATE (decision, decided_at, decided_by, increase_id) ON budget_approvals TO spanmeter_console;
    GRANT INSERT (
        grant_id, tenant_id, kind, unit, amount, effective_at, expires_at, priority, recurring, rollover_min, rollover_max,
        applies_when, recorded_by, note
    ) ON grants TO spanmeter_console;
    GRANT INSERT (grant_id, voided_at, recorded_by, note) ON grant_voids TO spanmeter_console;
END
$$;
