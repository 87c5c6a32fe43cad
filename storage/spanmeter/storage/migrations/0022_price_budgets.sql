-- Budgets on what tenants are charged: they are told all that plans look at, and of a plan's change, to count anew.

CREATE OR REPLACE VIEW budgetable_usage AS
SELECT
    time, ingested_at AS booked_at, booked_in, budget_leases,
    tenant_id, workspace_id, project_id, user_id, feature, workflow, action, account_type, dimensions,
    request_model, provider, operation, currency, quantities,
    (duplicate_of_trace_id IS NULL)::int::bigint AS requests,
    cost, input_tokens, output_tokens,
    (cost IS NULL)::int::bigint AS unpriced_requests,
    CASE WHEN cost IS NULL THEN input_tokens END AS unpriced_input_tokens,
    CASE WHEN cost IS NULL THEN output_tokens END AS unpriced_output_tokens,
    label, environment, service_name, callsite, coalesce(response_model, request_model) AS model, response_model,
    region, service_tier, byok, status, billable_state,
    cache_read_input_tokens, cache_write_input_tokens, reasoning_output_tokens,
    audio_input_tokens, audio_output_tokens, image_input_tokens, image_output_tokens
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
    END,
    ours.label, ours.environment, ours.service_name, ours.callsite,
    coalesce(ours.response_model, ours.request_model), ours.response_model,
    ours.region, ours.service_tier, ours.byok, ours.status, ours.billable_state,
    ours.cache_read_input_tokens, ours.cache_write_input_tokens, ours.reasoning_output_tokens,
    ours.audio_input_tokens, ours.audio_output_tokens, ours.image_input_tokens, ours.image_output_tokens
FROM adjustments AS ours LEFT JOIN usage_events AS priced ON
    ours.unpriced_requests < 0 AND ours.cost IS NOT NULL
    AND priced.time = ours.adjusted_time
    AND priced.trace_id = ours.adjusted_trace_id AND priced.span_id = ours.adjusted_span_id;

CREATE TABLE uncounted_plan_changes (
    recorded_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE uncounted_plan_changes IS 'Changes of plans that budgets on price are not counted by yet.';
COMMENT ON COLUMN uncounted_plan_changes.recorded_at IS 'When a plan, or whose it is, was recorded.';

CREATE FUNCTION note_uncounted_plan_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO uncounted_plan_changes DEFAULT VALUES;
    RETURN NULL;
END
$$;
CREATE TRIGGER note_uncounted_plan_change AFTER INSERT ON plans
    FOR EACH STATEMENT EXECUTE FUNCTION note_uncounted_plan_change();
CREATE TRIGGER note_uncounted_plan_change AFTER INSERT ON plan_assignments
    FOR EACH STATEMENT EXECUTE FUNCTION note_uncounted_plan_change();

DO $$
DECLARE
    named record;
BEGIN
    EXECUTE format('ALTER FUNCTION note_uncounted_plan_change() SET search_path = %I, pg_temp', current_schema());
    REVOKE EXECUTE ON FUNCTION note_uncounted_plan_change() FROM PUBLIC;
    -- A column of a view means what it means in the table it comes from.
    FOR named IN
        SELECT ours.attname AS name, coalesce(
            col_description('usage_events'::regclass, theirs.attnum),
            'The model that ran, or the one asked for where the provider did not say.'
        ) AS meaning
        FROM pg_attribute AS ours LEFT JOIN pg_attribute AS theirs
            ON theirs.attrelid = 'usage_events'::regclass AND theirs.attname = ours.attname
        WHERE ours.attrelid = 'budgetable_usage'::regclass AND ours.attnum > 0
            AND col_description(ours.attrelid, ours.attnum) IS NULL
    LOOP
        EXECUTE format('COMMENT ON COLUMN budgetable_usage.%I IS %L', named.name, named.meaning);
    END LOOP;
    IF to_regrole('spanmeter_writer') IS NOT NULL THEN
        GRANT SELECT, DELETE ON uncounted_plan_changes TO spanmeter_writer;
    END IF;
    IF to_regrole('spanmeter_reader') IS NOT NULL THEN
        GRANT SELECT ON uncounted_plan_changes TO spanmeter_reader;
    END IF;
END
$$;
