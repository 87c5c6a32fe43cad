-- One row per attempt at a provider, append-only: the booked usage that every other number is derived from.
-- The columns are the fields of metering's UsageEvent, in its order, and when the row was received.

CREATE TABLE usage_events (
    time timestamptz NOT NULL CHECK (isfinite(time)),
    trace_id bytea NOT NULL CHECK (octet_length(trace_id) = 16),
    span_id bytea NOT NULL CHECK (octet_length(span_id) = 8),
    parent_span_id bytea CHECK (octet_length(parent_span_id) = 8),

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
    dimensions jsonb NOT NULL CHECK (jsonb_typeof(dimensions) = 'object'),
    environment text,
    service_name text,
    callsite text,

    provider text NOT NULL,
    operation text NOT NULL,
    request_model text,
    response_model text,
    response_id text,
    region text,
    service_tier text,
    byok boolean NOT NULL,

    attempt bigint NOT NULL CHECK (attempt >= 1),
    status text NOT NULL CHECK (status IN ('ok', 'error', 'timeout', 'cancelled')),
    error_type text,
    duration interval NOT NULL CHECK (duration >= interval '0'),
    time_to_first_token interval CHECK (time_to_first_token >= interval '0'),

    input_tokens bigint CHECK (input_tokens >= 0),
    cache_read_input_tokens bigint CHECK (cache_read_input_tokens >= 0),
    cache_write_input_tokens bigint CHECK (cache_write_input_tokens >= 0),
    cache_write_by_ttl jsonb NOT NULL CHECK (jsonb_typeof(cache_write_by_ttl) = 'object'),
    output_tokens bigint CHECK (output_tokens >= 0),
    reasoning_output_tokens bigint CHECK (reasoning_output_tokens >= 0),
    audio_input_tokens bigint CHECK (audio_input_tokens >= 0),
    audio_output_tokens bigint CHECK (audio_output_tokens >= 0),
    image_input_tokens bigint CHECK (image_input_tokens >= 0),
    image_output_tokens bigint CHECK (image_output_tokens >= 0),
    quantities jsonb NOT NULL CHECK (jsonb_typeof(quantities) = 'object'),
    usage_source text NOT NULL CHECK (usage_source IN ('provider', 'tokenizer', 'estimate', 'none')),
    raw_usage jsonb,

    billable_state text NOT NULL CHECK (billable_state IN ('billable', 'included', 'ignored')),
    billable_reason text NOT NULL,
    -- Below infinity excludes NaN as well, which PostgreSQL sorts above it.
    cost numeric CHECK (cost >= 0 AND cost < 'infinity'),
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    rate_version text,
    cost_quality text NOT NULL CHECK (cost_quality IN ('exact', 'partial', 'fallback', 'unpriced')),

    dialect text NOT NULL,
    scope_name text NOT NULL,
    scope_version text NOT NULL,
    ingested_at timestamptz NOT NULL DEFAULT now(),

    -- The tenant is no part of the key: a span that is delivered again with another attribution is still one call.
    CONSTRAINT usage_events_once UNIQUE (trace_id, span_id, time),
    CONSTRAINT usage_events_input_includes_cache CHECK (
        coalesce(cache_read_input_tokens, 0) + coalesce(cache_write_input_tokens, 0) <= input_tokens
    ),
    CONSTRAINT usage_events_output_includes_reasoning CHECK (reasoning_output_tokens <= output_tokens),
    CONSTRAINT usage_events_unpriced_has_no_cost CHECK ((cost IS NULL) = (cost_quality = 'unpriced')),
    CONSTRAINT usage_events_cost_names_its_rates CHECK (cost IS NULL OR rate_version IS NOT NULL)
);

-- What most reads ask for: one tenant, newest first.
CREATE INDEX usage_events_tenant ON usage_events (tenant_id, time DESC);
-- What chunks do for a range of time on TimescaleDB, this does on plain PostgreSQL; it is a few kB.
CREATE INDEX usage_events_time ON usage_events USING brin (time);

CREATE FUNCTION refuse_ledger_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_RELID::regclass, TG_OP
        USING ERRCODE = 'restrict_violation', HINT = 'Book the difference as a row of adjustments.';
END
$$;

-- Row level is what reaches chunks; TRUNCATE has statement level only. Retention drops whole chunks and fires neither.
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON usage_events
    FOR EACH ROW EXECUTE FUNCTION refuse_ledger_change();
CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON usage_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_ledger_change();

COMMENT ON TABLE usage_events IS 'One row per request to an LLM provider. Append-only; query the view ledger for sums.';
COMMENT ON COLUMN usage_events.time IS 'When the call started, UTC: the span''s start, never the time of receipt.';
COMMENT ON COLUMN usage_events.trace_id IS 'OpenTelemetry trace, 16 bytes.';
COMMENT ON COLUMN usage_events.span_id IS 'OpenTelemetry span, 8 bytes.';
COMMENT ON COLUMN usage_events.parent_span_id IS 'The span that made this call; NULL at the root of a trace.';
COMMENT ON COLUMN usage_events.tenant_id IS 'The account that pays. NULL: unattributed.';
COMMENT ON COLUMN usage_events.workspace_id IS 'Workspace inside the tenant.';
COMMENT ON COLUMN usage_events.project_id IS 'Project inside the tenant.';
COMMENT ON COLUMN usage_events.user_id IS 'User inside the tenant.';
COMMENT ON COLUMN usage_events.feature IS 'Product feature that made the call.';
COMMENT ON COLUMN usage_events.workflow IS 'Multi-call workflow or agent run.';
COMMENT ON COLUMN usage_events.action IS 'Billable action the call belongs to.';
COMMENT ON COLUMN usage_events.label IS 'The action''s name for customers.';
COMMENT ON COLUMN usage_events.idempotency_key IS 'One business action, however many attempts.';
COMMENT ON COLUMN usage_events.account_type IS 'paid, trial, free or internal.';
COMMENT ON COLUMN usage_events.dimensions IS 'Further dimensions of the application''s own, name to text.';
COMMENT ON COLUMN usage_events.environment IS 'Deployment environment of the calling service.';
COMMENT ON COLUMN usage_events.service_name IS 'Service that made the call.';
COMMENT ON COLUMN usage_events.callsite IS 'file:line of a call that had no tenant.';
COMMENT ON COLUMN usage_events.provider IS 'OpenTelemetry''s name of the provider: openai, anthropic, ...';
COMMENT ON COLUMN usage_events.operation IS 'chat, embeddings, text_completion or generate_content.';
COMMENT ON COLUMN usage_events.request_model IS 'Model that was asked for.';
COMMENT ON COLUMN usage_events.response_model IS 'Model that the provider says it ran.';
COMMENT ON COLUMN usage_events.response_id IS 'The provider''s id of the response.';
COMMENT ON COLUMN usage_events.region IS 'Region the provider served it from.';
COMMENT ON COLUMN usage_events.service_tier IS 'Service tier, where the provider''s price depends on it.';
COMMENT ON COLUMN usage_events.byok IS 'True if the call used the customer''s own provider key.';
COMMENT ON COLUMN usage_events.attempt IS 'Number of this attempt, from 1.';
COMMENT ON COLUMN usage_events.status IS 'ok, error, timeout or cancelled.';
COMMENT ON COLUMN usage_events.error_type IS 'What went wrong, where status is not ok.';
COMMENT ON COLUMN usage_events.duration IS 'From the request to the end of the response.';
COMMENT ON COLUMN usage_events.time_to_first_token IS 'From the request to the first streamed chunk.';
COMMENT ON COLUMN usage_events.input_tokens IS 'Input tokens, cache reads and writes included. NULL: not known.';
COMMENT ON COLUMN usage_events.cache_read_input_tokens IS 'Part of input_tokens read from the provider''s cache.';
COMMENT ON COLUMN usage_events.cache_write_input_tokens IS 'Part of input_tokens written to the provider''s cache.';
COMMENT ON COLUMN usage_events.cache_write_by_ttl IS 'cache_write_input_tokens by time-to-live, where known.';
COMMENT ON COLUMN usage_events.output_tokens IS 'Output tokens, reasoning included. NULL: not known.';
COMMENT ON COLUMN usage_events.reasoning_output_tokens IS 'Part of output_tokens spent on reasoning.';
COMMENT ON COLUMN usage_events.audio_input_tokens IS 'Part of input_tokens that is audio.';
COMMENT ON COLUMN usage_events.audio_output_tokens IS 'Part of output_tokens that is audio.';
COMMENT ON COLUMN usage_events.image_input_tokens IS 'Part of input_tokens that is images.';
COMMENT ON COLUMN usage_events.image_output_tokens IS 'Part of output_tokens that is images.';
COMMENT ON COLUMN usage_events.quantities IS 'Usage in other units, unit to decimal number as text.';
COMMENT ON COLUMN usage_events.usage_source IS 'Who counted: provider, tokenizer, estimate or none.';
COMMENT ON COLUMN usage_events.raw_usage IS 'The provider''s own usage block: counts only, never text.';
COMMENT ON COLUMN usage_events.billable_state IS 'billable, included or ignored.';
COMMENT ON COLUMN usage_events.billable_reason IS 'The rule that decided billable_state.';
COMMENT ON COLUMN usage_events.cost IS 'What the provider charges us, unrounded. NULL: unpriced, which is not 0.';
COMMENT ON COLUMN usage_events.currency IS 'Currency of cost, ISO 4217.';
COMMENT ON COLUMN usage_events.rate_version IS 'The version of the rates that made cost.';
COMMENT ON COLUMN usage_events.cost_quality IS 'exact, partial, fallback or unpriced.';
COMMENT ON COLUMN usage_events.dialect IS 'Attribute vocabulary the span was written in.';
COMMENT ON COLUMN usage_events.scope_name IS 'Instrumentation scope that made the span.';
COMMENT ON COLUMN usage_events.scope_version IS 'Version of that instrumentation.';
COMMENT ON COLUMN usage_events.ingested_at IS 'When the row was written.';
