-- Budgets: what was laid down, what of it is used, and what of the rest is lent to the processes that make calls.
-- Booking only notes its transaction, as for rollups, so that writers share nothing to wait for; see docs/budgets.md.

ALTER TABLE usage_events ADD COLUMN budget_leases text;
COMMENT ON COLUMN usage_events.budget_leases IS 'The leases of budgets that the call drew on; NULL: it fell under none.';

CREATE TABLE budget_versions (
    version bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    budget text NOT NULL CHECK (budget ~ '^[a-z0-9][a-z0-9._-]{0,63}$'),
    definition jsonb CHECK (jsonb_typeof(definition) = 'object'),
    set_at timestamptz NOT NULL DEFAULT now(),
    set_by text NOT NULL,
    login text NOT NULL DEFAULT session_user
);
CREATE INDEX budget_versions_budget ON budget_versions (budget, version DESC);

COMMENT ON TABLE budget_versions IS 'Append-only: every definition of every budget. Of one budget the last is in force.';
COMMENT ON COLUMN budget_versions.version IS 'Number of the version, over all budgets.';
COMMENT ON COLUMN budget_versions.budget IS 'Name of the budget.';
COMMENT ON COLUMN budget_versions.definition IS 'Scope, metric, limit and the rest. NULL: it was removed.';
COMMENT ON COLUMN budget_versions.set_at IS 'When it came in force.';
COMMENT ON COLUMN budget_versions.set_by IS 'Who set it, as they say.';
COMMENT ON COLUMN budget_versions.login IS 'The login that set it.';

CREATE VIEW budgets AS
SELECT * FROM (
    SELECT DISTINCT ON (budget) budget, version, definition, set_at, set_by FROM budget_versions
    ORDER BY budget, version DESC
) AS latest
WHERE definition IS NOT NULL;

COMMENT ON VIEW budgets IS 'The budgets in force.';

CREATE TABLE budget_increases (
    increase_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    budget text NOT NULL,
    counter text,
    amount numeric NOT NULL CHECK (amount > 0 AND amount < 'infinity'),
    effective_from timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL CHECK (isfinite(expires_at)),
    reason text,
    added_by text NOT NULL,
    login text NOT NULL DEFAULT session_user
);
CREATE INDEX budget_increases_budget ON budget_increases (budget, expires_at);

COMMENT ON TABLE budget_increases IS 'Append-only: what was added to the limits of budgets for a time.';
COMMENT ON COLUMN budget_increases.increase_id IS 'Number of the increase.';
COMMENT ON COLUMN budget_increases.budget IS 'The budget.';
COMMENT ON COLUMN budget_increases.counter IS 'Which of its counters, as in budget_spending; NULL: each of them.';
COMMENT ON COLUMN budget_increases.amount IS 'What is added to the limit.';
COMMENT ON COLUMN budget_increases.effective_from IS 'From when ...';
COMMENT ON COLUMN budget_increases.expires_at IS '... until when.';
COMMENT ON COLUMN budget_increases.reason IS 'Why.';
COMMENT ON COLUMN budget_increases.added_by IS 'Who added it, as they say.';
COMMENT ON COLUMN budget_increases.login IS 'The login that added it.';

CREATE TABLE tenant_time_zones (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id text NOT NULL CHECK (tenant_id <> ''),
    time_zone text NOT NULL,
    set_at timestamptz NOT NULL DEFAULT now(),
    set_by text NOT NULL
);
CREATE INDEX tenant_time_zones_tenant ON tenant_time_zones (tenant_id, number DESC);

COMMENT ON TABLE tenant_time_zones IS 'Append-only: where the days of tenants begin. Of one tenant the last counts; others: UTC.';
COMMENT ON COLUMN tenant_time_zones.number IS 'In the order in which they were set.';
COMMENT ON COLUMN tenant_time_zones.tenant_id IS 'The tenant.';
COMMENT ON COLUMN tenant_time_zones.time_zone IS 'Its time zone, as IANA names it.';
COMMENT ON COLUMN tenant_time_zones.set_at IS 'When it was set.';
COMMENT ON COLUMN tenant_time_zones.set_by IS 'Who set it.';

CREATE TABLE budget_approvals (
    approval_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    budget text NOT NULL,
    counter text NOT NULL,
    amount numeric NOT NULL CHECK (amount >= 0),
    asked_at timestamptz NOT NULL DEFAULT now(),
    asked_by text NOT NULL,
    decision text CHECK (decision IN ('approved', 'denied')),
    decided_at timestamptz,
    decided_by text,
    increase_id bigint REFERENCES budget_increases,
    CONSTRAINT budget_approvals_decided CHECK (num_nulls(decision, decided_at, decided_by) IN (0, 3))
);
CREATE UNIQUE INDEX budget_approvals_open ON budget_approvals (budget, counter) WHERE decision IS NULL;

COMMENT ON TABLE budget_approvals IS 'Calls that did not fit into a budget and wait for somebody to let them.';
COMMENT ON COLUMN budget_approvals.approval_id IS 'Number of the request.';
COMMENT ON COLUMN budget_approvals.budget IS 'The budget.';
COMMENT ON COLUMN budget_approvals.counter IS 'Which of its counters.';
COMMENT ON COLUMN budget_approvals.amount IS 'What the largest of those calls was estimated at.';
COMMENT ON COLUMN budget_approvals.asked_at IS 'When the first of them was refused.';
COMMENT ON COLUMN budget_approvals.asked_by IS 'The service that made it.';
COMMENT ON COLUMN budget_approvals.decision IS 'approved or denied; NULL: it is still open.';
COMMENT ON COLUMN budget_approvals.decided_at IS 'When that was decided.';
COMMENT ON COLUMN budget_approvals.decided_by IS 'Who decided it.';
COMMENT ON COLUMN budget_approvals.increase_id IS 'The increase that it was approved with.';

CREATE TABLE uncounted_bookings (
    booked_at timestamptz NOT NULL,
    booked_in xid8 NOT NULL,
    PRIMARY KEY (booked_at, booked_in)
);
COMMENT ON TABLE uncounted_bookings IS 'Transactions whose rows of the ledger are in no budget''s counters yet.';
COMMENT ON COLUMN uncounted_bookings.booked_at IS 'When the transaction began: ingested_at, or booked_at, of its rows.';
COMMENT ON COLUMN uncounted_bookings.booked_in IS 'The transaction: booked_in of its rows.';

CREATE TABLE budget_spending (
    budget text NOT NULL,
    counter text NOT NULL,
    bucket timestamptz NOT NULL,
    spent numeric NOT NULL,
    PRIMARY KEY (budget, counter, bucket)
) WITH (fillfactor = 70);
COMMENT ON TABLE budget_spending IS 'What is used of budgets, without what uncounted_bookings tells of; made anew from the ledger at any time.';
COMMENT ON COLUMN budget_spending.budget IS 'The budget.';
COMMENT ON COLUMN budget_spending.counter IS 'The values of the dimensions that the budget has one counter for each of, as JSON.';
COMMENT ON COLUMN budget_spending.bucket IS 'Start of the window; of a rolling one, of a minute or hour in it.';
COMMENT ON COLUMN budget_spending.spent IS 'In the metric of the budget, exact.';

CREATE TABLE budget_counters (
    budget text NOT NULL,
    counter text NOT NULL,
    short_at timestamptz,
    PRIMARY KEY (budget, counter)
) WITH (fillfactor = 70);
COMMENT ON TABLE budget_counters IS 'What is locked while a lease of a counter is given.';
COMMENT ON COLUMN budget_counters.budget IS 'The budget.';
COMMENT ON COLUMN budget_counters.counter IS 'The counter.';
COMMENT ON COLUMN budget_counters.short_at IS 'When somebody last got less than calls were waiting for: leases that lie idle are called back.';

CREATE TABLE budget_leases (
    lease_id uuid PRIMARY KEY,
    budget text NOT NULL,
    counter text NOT NULL,
    window_start timestamptz NOT NULL,
    holder text NOT NULL,
    held numeric NOT NULL,
    booked numeric NOT NULL DEFAULT 0,
    settled boolean NOT NULL DEFAULT false,
    opened_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX budget_leases_counter ON budget_leases (budget, counter, window_start);
CREATE INDEX budget_leases_expiry ON budget_leases (expires_at);
COMMENT ON TABLE budget_leases IS 'Parts of budgets that are lent to processes for seconds, so that they can decide by themselves.';
COMMENT ON COLUMN budget_leases.lease_id IS 'What usage_events.budget_leases names.';
COMMENT ON COLUMN budget_leases.budget IS 'The budget.';
COMMENT ON COLUMN budget_leases.counter IS 'Its counter.';
COMMENT ON COLUMN budget_leases.window_start IS 'The window it is lent from; of a rolling one, when it was lent.';
COMMENT ON COLUMN budget_leases.holder IS 'The process.';
COMMENT ON COLUMN budget_leases.held IS 'All that was lent, without what was given back.';
COMMENT ON COLUMN budget_leases.booked IS 'What of it is in the ledger by now. Lent and not booked is what counts beside what is spent.';
COMMENT ON COLUMN budget_leases.settled IS 'Whether all calls that drew on it have ended.';
COMMENT ON COLUMN budget_leases.opened_at IS 'When it was lent first.';
COMMENT ON COLUMN budget_leases.expires_at IS 'When it comes back by itself: its holder says every second that it lives.';

-- What counts towards budgets. Unpriced tokens count at a budget's own rate, until an adjustment prices them.
CREATE VIEW budgetable_usage AS
SELECT
    time, ingested_at AS booked_at, booked_in, budget_leases,
    tenant_id, workspace_id, project_id, user_id, feature, workflow, action, account_type, dimensions,
    request_model, provider, operation, currency, quantities,
    (duplicate_of_trace_id IS NULL)::int::bigint AS requests,
    cost, input_tokens, output_tokens,
    (cost IS NULL)::int::bigint AS unpriced_requests,
    CASE WHEN cost IS NULL THEN input_tokens END AS unpriced_input_tokens,
    CASE WHEN cost IS NULL THEN output_tokens END AS unpriced_output_tokens
FROM usage_events
UNION ALL
SELECT
    ours.time, ours.booked_at, ours.booked_in, NULL,
    ours.tenant_id, ours.workspace_id, ours.project_id, ours.user_id, ours.feature, ours.workflow, ours.action,
    ours.account_type, ours.dimensions, ours.request_model, ours.provider, ours.operation, ours.currency,
    ours.quantities, ours.requests, ours.cost, ours.input_tokens, ours.output_tokens, ours.unpriced_requests,
    CASE
        WHEN ours.unpriced_requests < 0 AND ours.cost IS NOT NULL THEN -priced.input_tokens
        WHEN ours.unpriced_requests <> 0 THEN ours.input_tokens
    END,
    CASE
        WHEN ours.unpriced_requests < 0 AND ours.cost IS NOT NULL THEN -priced.output_tokens
        WHEN ours.unpriced_requests <> 0 THEN ours.output_tokens
    END
FROM adjustments AS ours LEFT JOIN usage_events AS priced ON
    ours.unpriced_requests < 0 AND ours.cost IS NOT NULL
    AND priced.time = ours.adjusted_time
    AND priced.trace_id = ours.adjusted_trace_id AND priced.span_id = ours.adjusted_span_id;

COMMENT ON VIEW budgetable_usage IS 'All that is booked, as budgets count it.';

CREATE FUNCTION note_uncounted_booking() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO uncounted_bookings VALUES (now(), pg_current_xact_id()) ON CONFLICT DO NOTHING;
    RETURN NULL;
END
$$;
CREATE TRIGGER note_uncounted_booking AFTER INSERT ON usage_events
    FOR EACH STATEMENT EXECUTE FUNCTION note_uncounted_booking();
CREATE TRIGGER note_uncounted_booking AFTER INSERT ON adjustments
    FOR EACH STATEMENT EXECUTE FUNCTION note_uncounted_booking();

CREATE FUNCTION refuse_budget_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_RELID::regclass, TG_OP
        USING ERRCODE = 'restrict_violation', HINT = 'Set another version with `spanmeter budget`.';
END
$$;

CREATE FUNCTION refuse_approval_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' OR OLD.decision IS NOT NULL
            OR (NEW.budget, NEW.counter, NEW.asked_at, NEW.asked_by)
                IS DISTINCT FROM (OLD.budget, OLD.counter, OLD.asked_at, OLD.asked_by) THEN
        RAISE EXCEPTION 'what was decided about approval % stays', OLD.approval_id USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER decided_once BEFORE UPDATE OR DELETE ON budget_approvals
    FOR EACH ROW EXECUTE FUNCTION refuse_approval_change();

DO $$
DECLARE
    kept text;
    named record;
BEGIN
    EXECUTE format('ALTER FUNCTION note_uncounted_booking() SET search_path = %I, pg_temp', current_schema());
    REVOKE EXECUTE ON FUNCTION note_uncounted_booking() FROM PUBLIC;
    FOREACH kept IN ARRAY ARRAY['budget_versions', 'budget_increases', 'tenant_time_zones'] LOOP
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON %I
            FOR EACH ROW EXECUTE FUNCTION refuse_budget_change()', kept);
        EXECUTE format('CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON %I
            FOR EACH STATEMENT EXECUTE FUNCTION refuse_budget_change()', kept);
    END LOOP;
    -- A column of a view means what it means in the table it comes from.
    FOR named IN
        SELECT ours.attrelid::regclass AS relation, ours.attname AS name, coalesce((
            SELECT col_description(theirs.attrelid, theirs.attnum)
            FROM unnest(ARRAY['budget_versions', 'usage_events', 'unfolded_bookings', 'adjustments'])
                WITH ORDINALITY AS source(name, rank)
                JOIN pg_attribute AS theirs ON theirs.attrelid = source.name::regclass
            WHERE theirs.attname = ours.attname AND col_description(theirs.attrelid, theirs.attnum) IS NOT NULL
            ORDER BY source.rank LIMIT 1
        ), 'Those of unpriced requests, signed.') AS meaning
        FROM pg_attribute AS ours
        WHERE ours.attrelid IN ('budgets'::regclass, 'budgetable_usage'::regclass) AND ours.attnum > 0
    LOOP
        EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', named.relation, named.name, named.meaning);
    END LOOP;
    IF to_regrole('spanmeter_writer') IS NOT NULL THEN
        -- The collector counts and lends; it lays down nothing.
        GRANT SELECT ON budget_versions, budgets, budget_increases, tenant_time_zones, budget_approvals,
            budgetable_usage TO spanmeter_writer;
        GRANT SELECT, DELETE ON uncounted_bookings TO spanmeter_writer;
        GRANT SELECT, INSERT, UPDATE, DELETE ON budget_spending, budget_counters, budget_leases TO spanmeter_writer;
        GRANT INSERT (budget, counter, amount, asked_by), UPDATE (amount) ON budget_approvals TO spanmeter_writer;
    END IF;
    IF to_regrole('spanmeter_reader') IS NOT NULL THEN
        GRANT SELECT ON budget_versions, budgets, budget_increases, tenant_time_zones, budget_approvals,
            budgetable_usage, uncounted_bookings, budget_spending, budget_counters, budget_leases TO spanmeter_reader;
    END IF;
END
$$;
