-- ask --
-- Somebody waits for more than is left. One request is open for each counter, for the largest call.
INSERT INTO budget_approvals AS open (budget, counter, amount, asked_by)
VALUES (%(budget)s, %(counter)s, %(amount)s, %(asked_by)s)
ON CONFLICT (budget, counter) WHERE decision IS NULL DO UPDATE SET amount = excluded.amount
WHERE open.amount < excluded.amount;

-- approvals --
-- Requests, the latest first.
SELECT approval_id, budget, counter, amount, asked_at, asked_by, decision, decided_at, decided_by
FROM budget_approvals
WHERE decision IS NULL OR %(all)s
ORDER BY approval_id DESC LIMIT 1000;

-- open --
-- A request, for whoever decides it.
SELECT budget, counter, amount FROM budget_approvals WHERE approval_id = %s AND decision IS NULL FOR UPDATE;

-- decide --
-- What was decided.
UPDATE budget_approvals
SET decision = %(decision)s, decided_at = now(), decided_by = %(by)s, increase_id = %(increase)s
WHERE approval_id = %(approval)s;
