-- Corrections: signed differences with a reason, because a booked usage row is never changed.

CREATE TABLE adjustments (
    time timestamptz NOT NULL CHECK (isfinite(time)),
    adjustment_id uuid NOT NULL,
    reason text NOT NULL CHECK (reason <> ''),
    reference text,
    adjusted_trace_id bytea CHECK (octet_length(adjusted_trace_id) = 16),
    adjusted_span_id bytea CHECK (octet_length(adjusted_span_id) = 8),
    adjusted_time timestamptz,

    tenant_id text CHECK (tenant_id <> ''),
    workspace_id text,
    project_id text,
    user_id text,
    feature text,
    workflow text,
    action text,
    label text,
    idempotency_key text,
    account_type text,
    dimensions jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(dimensions) = 'object'),
    environment text,
    service_name text,
    callsite text,

    provider text NOT NULL,
    operation text NOT NULL,
    request_model text,
    response_model text,
    region text,
    service_tier text,
    byok boolean NOT NULL DEFAULT false,
    status text NOT NULL DEFAULT 'ok' CHECK (status IN ('ok', 'error', 'timeout', 'cancelled')),

    requests bigint NOT NULL DEFAULT 0,
    unpriced_requests bigint NOT NULL DEFAULT 0,
    input_tokens bigint,
    cache_read_input_tokens bigint,
    cache_write_input_tokens bigint,
    output_tokens bigint,
    reasoning_output_tokens bigint,
    audio_input_tokens bigint,
    audio_output_tokens bigint,
    image_input_tokens bigint,
    image_output_tokens bigint,
    quantities jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(quantities) = 'object'),

    billable_state text NOT NULL CHECK (billable_state IN ('billable', 'included', 'ignored')),
    billable_reason text NOT NULL,
    cost numeric CHECK (cost > '-infinity' AND cost < 'infinity'),
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    rate_version text,
    booked_at timestamptz NOT NULL DEFAULT now(),

    CONSTRAINT adjustments_once UNIQUE (adjustment_id, time),
    CONSTRAINT adjustments_name_a_whole_event CHECK (
        num_nulls(adjusted_trace_id, adjusted_span_id, adjusted_time) IN (0, 3)
    )
);

CREATE INDEX adjustments_tenant ON adjustments (tenant_id, time DESC);
CREATE INDEX adjustments_time ON adjustments USING brin (time);

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON adjustments
    FOR EACH ROW EXECUTE FUNCTION refuse_ledger_change();
CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON adjustments
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_ledger_change();

COMMENT ON TABLE adjustments IS 'Append-only corrections of the ledger: differences to add, each with its reason.';
COMMENT ON COLUMN adjustments.time IS 'The time of service that is corrected, UTC.';
COMMENT ON COLUMN adjustments.adjustment_id IS 'Identity of the correction: booking it again is refused.';
COMMENT ON COLUMN adjustments.reason IS 'Why, in words.';
COMMENT ON COLUMN adjustments.reference IS 'What it rests on: an invoice line, a ticket, a reconciliation run.';
COMMENT ON COLUMN adjustments.adjusted_trace_id IS 'trace_id of the usage event that is corrected; NULL: none in particular.';
COMMENT ON COLUMN adjustments.adjusted_span_id IS 'span_id of the usage event that is corrected.';
COMMENT ON COLUMN adjustments.adjusted_time IS 'time of the usage event that is corrected.';
COMMENT ON COLUMN adjustments.requests IS 'Requests to add, signed.';
COMMENT ON COLUMN adjustments.unpriced_requests IS 'Unpriced requests to add: -1 prices a request that was booked unpriced.';
COMMENT ON COLUMN adjustments.quantities IS 'Usage in other units to add, unit to signed decimal number as text.';
COMMENT ON COLUMN adjustments.cost IS 'Cost to add, signed and unrounded; NULL: the cost stays as it is.';
COMMENT ON COLUMN adjustments.currency IS 'Currency of cost, ISO 4217.';
COMMENT ON COLUMN adjustments.rate_version IS 'The version of the rates that the difference comes from.';
COMMENT ON COLUMN adjustments.booked_at IS 'When the correction was booked.';

-- Every other column means what it means in usage_events, as a difference where it is a count.
DO $$
DECLARE
    named record;
BEGIN
    FOR named IN
        SELECT ours.attname AS name, col_description(theirs.attrelid, theirs.attnum) AS meaning
        FROM pg_attribute AS ours JOIN pg_attribute AS theirs USING (attname)
        WHERE ours.attrelid = 'adjustments'::regclass AND theirs.attrelid = 'usage_events'::regclass
            AND ours.attnum > 0 AND col_description(ours.attrelid, ours.attnum) IS NULL
    LOOP
        EXECUTE format('COMMENT ON COLUMN adjustments.%I IS %L', named.name, named.meaning);
    END LOOP;
END
$$;
