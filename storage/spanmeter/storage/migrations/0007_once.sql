-- One call is counted once, however many spans describe it; what was taken from each producer, to see what is missing.

ALTER TABLE usage_events
    ADD COLUMN duplicate_of_trace_id bytea,
    ADD COLUMN duplicate_of_span_id bytea,
    ADD COLUMN duplicate_of_time timestamptz;

COMMENT ON COLUMN usage_events.duplicate_of_trace_id IS 'trace_id of the row that counts this call; NULL: this row does.';
COMMENT ON COLUMN usage_events.duplicate_of_span_id IS 'span_id of the row that counts this call.';
COMMENT ON COLUMN usage_events.duplicate_of_time IS 'time of the row that counts this call.';

-- The columns are those it has; a further description of a call is no request.
CREATE OR REPLACE VIEW ledger AS
SELECT
    'usage' AS kind, time,
    tenant_id, workspace_id, project_id, user_id, feature, workflow, action, label, idempotency_key, account_type,
    dimensions, environment, service_name, callsite,
    provider, operation, coalesce(response_model, request_model) AS model, request_model, response_model,
    region, service_tier, byok, status,
    (duplicate_of_trace_id IS NULL)::int::bigint AS requests,
    (cost IS NULL)::int::bigint AS unpriced_requests,
    input_tokens, cache_read_input_tokens, cache_write_input_tokens, output_tokens, reasoning_output_tokens,
    audio_input_tokens, audio_output_tokens, image_input_tokens, image_output_tokens, quantities,
    billable_state, billable_reason, cost, currency, rate_version,
    trace_id, span_id, NULL::text AS reason, NULL::text AS reference, ingested_at AS booked_at
FROM usage_events
UNION ALL
SELECT
    'adjustment', time,
    tenant_id, workspace_id, project_id, user_id, feature, workflow, action, label, idempotency_key, account_type,
    dimensions, environment, service_name, callsite,
    provider, operation, coalesce(response_model, request_model), request_model, response_model,
    region, service_tier, byok, status,
    requests,
    unpriced_requests,
    input_tokens, cache_read_input_tokens, cache_write_input_tokens, output_tokens, reasoning_output_tokens,
    audio_input_tokens, audio_output_tokens, image_input_tokens, image_output_tokens, quantities,
    billable_state, billable_reason, cost, currency, rate_version,
    adjusted_trace_id, adjusted_span_id, reason, reference, booked_at
FROM adjustments;

COMMENT ON COLUMN ledger.requests IS
    'Requests to a provider: 1 for usage, 0 for a further description of a call, the difference for an adjustment.';

-- A place whose rows all describe calls that others count has used nothing.
CREATE OR REPLACE VIEW unattributed_usage AS
SELECT
    ledger.callsite, ledger.service_name, ledger.provider, ledger.model, currency,
    sum(ledger.requests) AS requests,
    sum(ledger.unpriced_requests) AS unpriced_requests,
    coalesce(sum(ledger.input_tokens), 0) AS input_tokens,
    coalesce(sum(ledger.output_tokens), 0) AS output_tokens,
    sum(ledger.cost) AS cost,
    round(sum(ledger.cost) / nullif(total.cost, 0), 6) AS share_of_cost,
    min(ledger.time) AS first_seen,
    max(ledger.time) AS last_seen
FROM ledger JOIN (SELECT currency, sum(cost) AS cost FROM ledger GROUP BY currency) AS total USING (currency)
WHERE ledger.tenant_id IS NULL
GROUP BY ledger.callsite, ledger.service_name, ledger.provider, ledger.model, currency, total.cost
HAVING sum(ledger.requests) <> 0 OR sum(ledger.unpriced_requests) <> 0 OR sum(ledger.cost) <> 0
    OR sum(ledger.input_tokens) <> 0 OR sum(ledger.output_tokens) <> 0;

-- Unique over all time, which a hypertable's own constraints cannot be; rows leave with the time window of receipt.
CREATE TABLE provider_calls (
    call bytea PRIMARY KEY,
    time timestamptz NOT NULL,
    trace_id bytea NOT NULL,
    span_id bytea NOT NULL
);
CREATE INDEX provider_calls_time ON provider_calls USING brin (time);

COMMENT ON TABLE provider_calls IS 'Each call to a provider by its identity: the usage event that first described it.';
COMMENT ON COLUMN provider_calls.call IS 'Digest of the provider''s id of the response; without one, of the span''s ids.';
COMMENT ON COLUMN provider_calls.time IS 'time of the usage event.';
COMMENT ON COLUMN provider_calls.trace_id IS 'trace_id of the usage event.';
COMMENT ON COLUMN provider_calls.span_id IS 'span_id of the usage event.';

CREATE TABLE foreign_calls (
    trace_id bytea NOT NULL,
    span_id bytea NOT NULL,
    time timestamptz NOT NULL,
    parent_span_id bytea,
    ended timestamptz NOT NULL,
    wrapper boolean NOT NULL,
    matched_child bytea,
    PRIMARY KEY (trace_id, span_id, time)
);
CREATE INDEX foreign_calls_parent ON foreign_calls (trace_id, parent_span_id);
CREATE INDEX foreign_calls_wrappers ON foreign_calls (trace_id) WHERE wrapper;
CREATE INDEX foreign_calls_time ON foreign_calls USING brin (time);

COMMENT ON TABLE foreign_calls IS
    'Usage events that another library''s span described, by trace: a span around or inside it may be the same call.';
COMMENT ON COLUMN foreign_calls.trace_id IS 'trace_id of the usage event.';
COMMENT ON COLUMN foreign_calls.span_id IS 'span_id of the usage event.';
COMMENT ON COLUMN foreign_calls.time IS 'time of the usage event.';
COMMENT ON COLUMN foreign_calls.parent_span_id IS 'The span around it.';
COMMENT ON COLUMN foreign_calls.ended IS 'When the call ended.';
COMMENT ON COLUMN foreign_calls.wrapper IS 'Whether it counts only while no call inside it is known.';
COMMENT ON COLUMN foreign_calls.matched_child IS 'The span inside it that describes the same call, once one is known.';

CREATE TABLE producers (
    producer_id text PRIMARY KEY,
    service_name text,
    first_seen timestamptz NOT NULL DEFAULT now(),
    last_seen timestamptz NOT NULL DEFAULT now(),
    received int8multirange NOT NULL,
    dropped bigint NOT NULL
);

COMMENT ON TABLE producers IS 'Each process that sent metering records: which of its numbered records arrived.';
COMMENT ON COLUMN producers.producer_id IS 'The process''s own id, new with each start.';
COMMENT ON COLUMN producers.service_name IS 'Its service.';
COMMENT ON COLUMN producers.first_seen IS 'When its first record was committed.';
COMMENT ON COLUMN producers.last_seen IS 'When its latest record was committed.';
COMMENT ON COLUMN producers.received IS 'The numbers of the records that are booked or kept as rejected.';
COMMENT ON COLUMN producers.dropped IS 'Records that it says it had to give up.';

CREATE VIEW producer_gaps AS
SELECT
    producer_id, service_name, first_seen, last_seen,
    upper(producers.received) - 1 AS highest,
    counted.received,
    upper(producers.received) - 1 - counted.received AS missing,
    dropped
FROM producers
CROSS JOIN LATERAL (
    SELECT sum(upper(part) - lower(part))::bigint AS received FROM unnest(producers.received) AS part
) AS counted;

COMMENT ON VIEW producer_gaps IS 'How many numbered records of each producer did not arrive.';
COMMENT ON COLUMN producer_gaps.producer_id IS 'The process''s own id, new with each start.';
COMMENT ON COLUMN producer_gaps.service_name IS 'Its service.';
COMMENT ON COLUMN producer_gaps.first_seen IS 'When its first record was committed.';
COMMENT ON COLUMN producer_gaps.last_seen IS 'When its latest record was committed.';
COMMENT ON COLUMN producer_gaps.highest IS 'The highest number that arrived; they begin at 1.';
COMMENT ON COLUMN producer_gaps.received IS 'Records that are booked or kept as rejected.';
COMMENT ON COLUMN producer_gaps.missing IS 'Numbers below the highest that did not arrive, those given up included.';
COMMENT ON COLUMN producer_gaps.dropped IS 'Records that it says it had to give up.';

-- A rejected span that was metered after all stays, as the history of it.
ALTER TABLE rejected_spans
    ADD COLUMN redriven_at timestamptz,
    ADD COLUMN redriven_as text;
CREATE INDEX rejected_spans_open ON rejected_spans (reason, rejected_at) WHERE redriven_at IS NULL;

COMMENT ON COLUMN rejected_spans.redriven_at IS 'When it was metered after all; NULL: it is still open.';
COMMENT ON COLUMN rejected_spans.redriven_as IS
    'booked; not_llm: it turned out to be no call.';

DO $$
BEGIN
    IF to_regrole('spanmeter_writer') IS NOT NULL THEN
        -- To tell a span that is delivered again from another one with its ids, and to reverse what is superseded.
        GRANT SELECT ON usage_events TO spanmeter_writer;
        GRANT SELECT (adjustment_id, time, reference) ON adjustments TO spanmeter_writer;
        GRANT SELECT, INSERT, DELETE ON provider_calls, foreign_calls TO spanmeter_writer;
        GRANT UPDATE (matched_child) ON foreign_calls TO spanmeter_writer;
        GRANT SELECT, INSERT, UPDATE, DELETE ON producers TO spanmeter_writer;
    END IF;
    IF to_regrole('spanmeter_reader') IS NOT NULL THEN
        GRANT SELECT ON provider_calls, foreign_calls, producers, producer_gaps TO spanmeter_reader;
    END IF;
END
$$;
