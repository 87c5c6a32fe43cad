-- What tenants are charged: plans, whose they are, grants, refunds, statements that were closed, and revenue from elsewhere.

CREATE TABLE plans (
    plan text NOT NULL CHECK (plan <> ''),
    number bigint NOT NULL CHECK (number >= 1),
    effective_from timestamptz NOT NULL CHECK (isfinite(effective_from)),
    text text NOT NULL CHECK (text <> ''),
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    recorded_by text NOT NULL CHECK (recorded_by <> ''),
    login text NOT NULL DEFAULT session_user,
    note text,
    PRIMARY KEY (plan, number)
);
COMMENT ON TABLE plans IS 'Append-only: every version of every plan. In force is the one from the latest moment that has come.';
COMMENT ON COLUMN plans.plan IS 'Name of the plan.';
COMMENT ON COLUMN plans.number IS 'Version of the plan, counted from 1.';
COMMENT ON COLUMN plans.effective_from IS 'Usage from then on is charged by it.';
COMMENT ON COLUMN plans.text IS 'The plan as it was given, TOML.';
COMMENT ON COLUMN plans.recorded_at IS 'When it was recorded: statements as of before do not know of it.';
COMMENT ON COLUMN plans.recorded_by IS 'Who recorded it, as they say.';
COMMENT ON COLUMN plans.login IS 'The database login that recorded it.';
COMMENT ON COLUMN plans.note IS 'Why, in the words of who recorded it.';

CREATE TABLE plan_assignments (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id text CHECK (tenant_id <> ''),
    plan text,
    effective_from timestamptz NOT NULL CHECK (isfinite(effective_from)),
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    recorded_by text NOT NULL CHECK (recorded_by <> ''),
    login text NOT NULL DEFAULT session_user,
    note text
);
COMMENT ON TABLE plan_assignments IS 'Append-only: which tenant has which plan from when on.';
COMMENT ON COLUMN plan_assignments.number IS 'Number of the assignment; of two from the same moment the later one counts.';
COMMENT ON COLUMN plan_assignments.tenant_id IS 'The tenant. NULL: everybody who has no plan of their own.';
COMMENT ON COLUMN plan_assignments.plan IS 'The plan. NULL: what was assigned ends.';
COMMENT ON COLUMN plan_assignments.effective_from IS 'From when on.';
COMMENT ON COLUMN plan_assignments.recorded_at IS 'When it was recorded.';
COMMENT ON COLUMN plan_assignments.recorded_by IS 'Who recorded it, as they say.';
COMMENT ON COLUMN plan_assignments.login IS 'The database login that recorded it.';
COMMENT ON COLUMN plan_assignments.note IS 'Why, in the words of who recorded it.';

CREATE TABLE grants (
    grant_id text PRIMARY KEY CHECK (grant_id <> ''),
    tenant_id text NOT NULL CHECK (tenant_id <> ''),
    kind text NOT NULL CHECK (
        kind IN ('allowance', 'topup', 'credit', 'promotion', 'trial', 'commit', 'rollover')
    ),
    unit text NOT NULL CHECK (unit <> ''),
    amount numeric NOT NULL CHECK (amount >= 0 AND amount < 'infinity'),
    effective_at timestamptz NOT NULL CHECK (isfinite(effective_at)),
    expires_at timestamptz CHECK (expires_at > effective_at AND isfinite(expires_at)),
    priority integer NOT NULL CHECK (priority BETWEEN 0 AND 1000),
    recurring boolean NOT NULL,
    rollover_min numeric NOT NULL CHECK (rollover_min >= 0 AND rollover_min < 'infinity'),
    rollover_max numeric NOT NULL CHECK (rollover_max >= rollover_min AND rollover_max < 'infinity'),
    applies_when jsonb CHECK (jsonb_typeof(applies_when) = 'object'),
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    recorded_by text NOT NULL CHECK (recorded_by <> ''),
    login text NOT NULL DEFAULT session_user,
    note text
);
CREATE INDEX grants_tenant ON grants (tenant_id);
COMMENT ON TABLE grants IS 'Append-only: what a tenant was granted. What is left of it is worked out, and not kept.';
COMMENT ON COLUMN grants.grant_id IS 'Name of the grant; the same one is granted once.';
COMMENT ON COLUMN grants.tenant_id IS 'Whose it is.';
COMMENT ON COLUMN grants.kind IS 'allowance, topup, credit, promotion, trial, commit or rollover.';
COMMENT ON COLUMN grants.unit IS 'A currency: it pays. A unit of usage: it covers that.';
COMMENT ON COLUMN grants.amount IS 'How much; of a recurring one, each billing period.';
COMMENT ON COLUMN grants.effective_at IS 'From when on it can be used.';
COMMENT ON COLUMN grants.expires_at IS 'Until when. NULL: for ever.';
COMMENT ON COLUMN grants.priority IS 'The lower, the sooner it is used; then what expires first, then the older.';
COMMENT ON COLUMN grants.recurring IS 'Whether it is there anew each billing period.';
COMMENT ON COLUMN grants.rollover_min IS 'At least so much goes along into the next period.';
COMMENT ON COLUMN grants.rollover_max IS 'At most so much of what is left goes along into the next period.';
COMMENT ON COLUMN grants.applies_when IS 'The usage that it is for, as `when` of a plan; NULL: any.';
COMMENT ON COLUMN grants.recorded_at IS 'When it was recorded.';
COMMENT ON COLUMN grants.recorded_by IS 'Who recorded it, as they say.';
COMMENT ON COLUMN grants.login IS 'The database login that recorded it.';
COMMENT ON COLUMN grants.note IS 'Why, in the words of who recorded it.';

CREATE TABLE grant_voids (
    grant_id text PRIMARY KEY REFERENCES grants,
    voided_at timestamptz NOT NULL DEFAULT clock_timestamp() CHECK (isfinite(voided_at)),
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    recorded_by text NOT NULL CHECK (recorded_by <> ''),
    login text NOT NULL DEFAULT session_user,
    note text
);
COMMENT ON TABLE grant_voids IS 'Append-only: grants that were taken back.';
COMMENT ON COLUMN grant_voids.grant_id IS 'The grant.';
COMMENT ON COLUMN grant_voids.voided_at IS 'From then on there is nothing left of it.';
COMMENT ON COLUMN grant_voids.recorded_at IS 'When it was recorded.';
COMMENT ON COLUMN grant_voids.recorded_by IS 'Who recorded it, as they say.';
COMMENT ON COLUMN grant_voids.login IS 'The database login that recorded it.';
COMMENT ON COLUMN grant_voids.note IS 'Why, in the words of who recorded it.';

CREATE TABLE action_refunds (
    tenant_id text NOT NULL CHECK (tenant_id <> ''),
    action text NOT NULL CHECK (action <> ''),
    idempotency_key text NOT NULL CHECK (idempotency_key <> ''),
    generation bigint NOT NULL CHECK (generation >= 0),
    refunded_at timestamptz NOT NULL DEFAULT clock_timestamp() CHECK (isfinite(refunded_at)),
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    recorded_by text NOT NULL CHECK (recorded_by <> ''),
    login text NOT NULL DEFAULT session_user,
    reason text NOT NULL CHECK (reason <> ''),
    PRIMARY KEY (tenant_id, action, idempotency_key, generation)
);
COMMENT ON TABLE action_refunds IS 'Append-only: actions that are not charged after all. The same key since then is another action.';
COMMENT ON COLUMN action_refunds.tenant_id IS 'Whose action it was.';
COMMENT ON COLUMN action_refunds.action IS 'The action.';
COMMENT ON COLUMN action_refunds.idempotency_key IS 'Its key.';
COMMENT ON COLUMN action_refunds.generation IS 'How often the key was refunded before.';
COMMENT ON COLUMN action_refunds.refunded_at IS 'Calls from then on belong to the next action of the key.';
COMMENT ON COLUMN action_refunds.recorded_at IS 'When it was recorded.';
COMMENT ON COLUMN action_refunds.recorded_by IS 'Who recorded it, as they say.';
COMMENT ON COLUMN action_refunds.login IS 'The database login that recorded it.';
COMMENT ON COLUMN action_refunds.reason IS 'Why.';

CREATE TABLE statement_closings (
    tenant_id text NOT NULL CHECK (tenant_id <> ''),
    month date NOT NULL CHECK (month = date_trunc('month', month::timestamp)::date),
    revision bigint NOT NULL CHECK (revision >= 1),
    since timestamptz NOT NULL,
    until timestamptz NOT NULL CHECK (until > since),
    as_of timestamptz NOT NULL,
    currency text CHECK (currency ~ '^[A-Z]{3}$'),
    total numeric,
    cost jsonb NOT NULL CHECK (jsonb_typeof(cost) = 'object'),
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    document text NOT NULL,
    closed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    closed_by text NOT NULL CHECK (closed_by <> ''),
    login text NOT NULL DEFAULT session_user,
    PRIMARY KEY (tenant_id, month, revision),
    CONSTRAINT statement_closings_total_has_a_currency CHECK ((currency IS NULL) = (total IS NULL))
);
COMMENT ON TABLE statement_closings IS 'Append-only: statements as they were when their period was closed; of several the last revision counts.';
COMMENT ON COLUMN statement_closings.tenant_id IS 'The tenant.';
COMMENT ON COLUMN statement_closings.month IS 'The month that the period begins in.';
COMMENT ON COLUMN statement_closings.revision IS 'Counted from 1: a restated period has several.';
COMMENT ON COLUMN statement_closings.since IS 'When the period began.';
COMMENT ON COLUMN statement_closings.until IS 'When it ended: the beginning of the next one.';
COMMENT ON COLUMN statement_closings.as_of IS 'What was booked and recorded until then is in it.';
COMMENT ON COLUMN statement_closings.currency IS 'Currency of the total, ISO 4217. NULL: no plan was in force.';
COMMENT ON COLUMN statement_closings.total IS 'What was owed, rounded.';
COMMENT ON COLUMN statement_closings.cost IS 'What the usage had cost us, currency to decimal number as text.';
COMMENT ON COLUMN statement_closings.digest IS 'SHA-256 of the document.';
COMMENT ON COLUMN statement_closings.document IS 'The statement, JSON, to the byte.';
COMMENT ON COLUMN statement_closings.closed_at IS 'When it was closed.';
COMMENT ON COLUMN statement_closings.closed_by IS 'Who closed it, as they say.';
COMMENT ON COLUMN statement_closings.login IS 'The database login that closed it.';

CREATE TABLE revenue (
    tenant_id text NOT NULL CHECK (tenant_id <> ''),
    month date NOT NULL CHECK (month = date_trunc('month', month::timestamp)::date),
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    source text NOT NULL CHECK (source <> ''),
    revision bigint NOT NULL CHECK (revision >= 1),
    amount numeric NOT NULL CHECK (amount > '-infinity' AND amount < 'infinity'),
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    recorded_by text NOT NULL CHECK (recorded_by <> ''),
    login text NOT NULL DEFAULT session_user,
    PRIMARY KEY (tenant_id, month, currency, source, revision)
);
COMMENT ON TABLE revenue IS 'Append-only: what tenants paid, as other systems tell; of several the last revision counts.';
COMMENT ON COLUMN revenue.tenant_id IS 'Who paid.';
COMMENT ON COLUMN revenue.month IS 'The month that it was for: its first day.';
COMMENT ON COLUMN revenue.currency IS 'Currency of the amount, ISO 4217.';
COMMENT ON COLUMN revenue.source IS 'Where it comes from: the revenue of several sources is added up.';
COMMENT ON COLUMN revenue.revision IS 'Counted from 1: an amount that is imported anew replaces the one before.';
COMMENT ON COLUMN revenue.amount IS 'How much.';
COMMENT ON COLUMN revenue.recorded_at IS 'When it was imported.';
COMMENT ON COLUMN revenue.recorded_by IS 'Who imported it, as they say.';
COMMENT ON COLUMN revenue.login IS 'The database login that imported it.';

-- An action is charged once, whenever its key comes again: most rows have none.
CREATE INDEX usage_events_action ON usage_events (tenant_id, action, idempotency_key)
    WHERE idempotency_key IS NOT NULL;

CREATE VIEW tenant_margin AS
SELECT
    month, tenant_id, currency, imported, stated, coalesce(imported, stated) AS revenue, cost,
    coalesce(imported, stated) - cost AS margin,
    round(100 * (coalesce(imported, stated) - cost) / nullif(coalesce(imported, stated), 0), 2) AS margin_percent,
    coalesce(imported, stated) < cost AS negative
FROM (
    SELECT
        month, tenant_id, currency,
        sum(imported) AS imported, sum(stated) AS stated, coalesce(sum(cost), 0) AS cost
    FROM (
        SELECT month, tenant_id, currency, amount AS imported, NULL::numeric AS stated, NULL::numeric AS cost
        FROM (
            SELECT DISTINCT ON (tenant_id, month, currency, source) *
            FROM revenue ORDER BY tenant_id, month, currency, source, revision DESC
        ) AS latest
        UNION ALL
        SELECT month, tenant_id, currency, NULL, total, NULL
        FROM (
            SELECT DISTINCT ON (tenant_id, month) *
            FROM statement_closings ORDER BY tenant_id, month, revision DESC
        ) AS latest
        WHERE currency IS NOT NULL
        UNION ALL
        SELECT date_trunc('month', day::timestamp)::date, tenant_id, currency, NULL, NULL, cost
        FROM usage_daily_by_tenant WHERE tenant_id IS NOT NULL
    ) AS each
    GROUP BY month, tenant_id, currency
) AS summed;
COMMENT ON VIEW tenant_margin IS
    'Revenue and cost by tenant and calendar month, UTC. Open periods have no revenue yet: `spanmeter margin` works it out.';
COMMENT ON COLUMN tenant_margin.month IS 'The month: its first day.';
COMMENT ON COLUMN tenant_margin.tenant_id IS 'The tenant.';
COMMENT ON COLUMN tenant_margin.currency IS 'Currency of all amounts; two are never added.';
COMMENT ON COLUMN tenant_margin.imported IS 'Revenue that was imported.';
COMMENT ON COLUMN tenant_margin.stated IS 'Total of the statement that was closed for the period of that month.';
COMMENT ON COLUMN tenant_margin.revenue IS 'What was imported, else the statement. NULL: neither is known.';
COMMENT ON COLUMN tenant_margin.cost IS 'Cost of all usage, charged or not, as far as it is known.';
COMMENT ON COLUMN tenant_margin.margin IS 'Revenue less cost.';
COMMENT ON COLUMN tenant_margin.margin_percent IS 'Margin as part of the revenue.';
COMMENT ON COLUMN tenant_margin.negative IS 'True if the tenant costs more than it pays.';

DO $$
DECLARE
    kept text;
BEGIN
    FOREACH kept IN ARRAY ARRAY[
        'plans', 'plan_assignments', 'grants', 'grant_voids', 'action_refunds', 'statement_closings', 'revenue'
    ] LOOP
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON %I
            FOR EACH ROW EXECUTE FUNCTION refuse_change()', kept);
        EXECUTE format('CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON %I
            FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', kept);
        IF to_regrole('spanmeter_reader') IS NOT NULL THEN
            EXECUTE format('GRANT SELECT ON %I TO spanmeter_reader', kept);
        END IF;
    END LOOP;
    IF to_regrole('spanmeter_reader') IS NOT NULL THEN
        GRANT SELECT ON tenant_margin TO spanmeter_reader;
    END IF;
    IF to_regrole('spanmeter_writer') IS NOT NULL THEN
        -- Budgets on price go by the plans.
        GRANT SELECT ON plans, plan_assignments TO spanmeter_writer;
    END IF;
END
$$;
