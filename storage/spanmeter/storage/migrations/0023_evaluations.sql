-- How good what calls answered was found to be, beside what they cost. Scores alone: an explanation is text about prompts.

CREATE TABLE evaluations (
    evaluation_id bytea PRIMARY KEY CHECK (octet_length(evaluation_id) = 32),
    time timestamptz NOT NULL CHECK (isfinite(time)),
    trace_id bytea CHECK (octet_length(trace_id) = 16),
    span_id bytea CHECK (octet_length(span_id) = 8),
    response_id text CHECK (response_id <> ''),
    response_call bytea CHECK (octet_length(response_call) = 16),
    call_trace_id bytea,
    call_span_id bytea,
    call_time timestamptz,
    name text NOT NULL CHECK (name <> ''),
    score numeric CHECK (score BETWEEN -1e9 AND 1e9),
    label text CHECK (label <> ''),
    error_type text,
    source text NOT NULL CHECK (source IN ('otlp', 'api')),
    key_id text,
    tenants text[],
    booked_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT evaluations_name_a_call CHECK ((trace_id IS NULL) = (span_id IS NULL) AND coalesce(span_id::text, response_id) IS NOT NULL),
    CONSTRAINT evaluations_have_a_result CHECK (coalesce(score::text, label, error_type) IS NOT NULL)
);
CREATE INDEX evaluations_name ON evaluations (name, time);
CREATE INDEX evaluations_time ON evaluations USING brin (time);

COMMENT ON TABLE evaluations IS 'Append-only: scores that calls were given. Query the view evaluated_calls for what these calls cost.';
COMMENT ON COLUMN evaluations.evaluation_id IS 'Digest of the evaluation: what is told again is the same row.';
COMMENT ON COLUMN evaluations.time IS 'When the call was evaluated.';
COMMENT ON COLUMN evaluations.trace_id IS 'Trace of the span that was evaluated. NULL: the response id names the call.';
COMMENT ON COLUMN evaluations.span_id IS 'The span that was evaluated.';
COMMENT ON COLUMN evaluations.response_id IS 'The provider''s id of the response that was evaluated; where there is one, it names the call.';
COMMENT ON COLUMN evaluations.response_call IS 'The identity of the call with that response; NULL: none, or an id too short to be one.';
COMMENT ON COLUMN evaluations.call_trace_id IS 'trace_id of the usage event, as far as it was known when this was booked.';
COMMENT ON COLUMN evaluations.call_span_id IS 'span_id of the usage event.';
COMMENT ON COLUMN evaluations.call_time IS 'time of the usage event; NULL: the call is looked for when it is asked for.';
COMMENT ON COLUMN evaluations.name IS 'What was evaluated: relevance, correctness ...';
COMMENT ON COLUMN evaluations.score IS 'The score; what it means is the evaluator''s. NULL: none was given.';
COMMENT ON COLUMN evaluations.label IS 'The score in words: pass, relevant ...';
COMMENT ON COLUMN evaluations.error_type IS 'Why the evaluation itself failed. NULL: it did not.';
COMMENT ON COLUMN evaluations.source IS 'How it came: otlp or api.';
COMMENT ON COLUMN evaluations.key_id IS 'The API key that it came with; NULL: none was asked for.';
COMMENT ON COLUMN evaluations.tenants IS 'The tenants that key was bound to: it scores no call of others. NULL: any.';
COMMENT ON COLUMN evaluations.booked_at IS 'When the row was written.';

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON evaluations
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON evaluations
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- The usage event of each evaluation. What was not known when the evaluation was booked is looked for in the month before
-- it and the day after.
CREATE VIEW evaluation_events AS
SELECT evaluation_id, call_trace_id AS trace_id, call_span_id AS span_id, call_time AS time
FROM evaluations WHERE call_time IS NOT NULL
UNION ALL
SELECT evaluation_id, found.trace_id, found.span_id, found.time
FROM evaluations
LEFT JOIN provider_calls ON provider_calls.call = response_call
CROSS JOIN LATERAL (
    SELECT trace_id, span_id, time FROM usage_events
    WHERE usage_events.trace_id = CASE WHEN response_id IS NULL THEN evaluations.trace_id ELSE provider_calls.trace_id END
        AND usage_events.span_id = CASE WHEN response_id IS NULL THEN evaluations.span_id ELSE provider_calls.span_id END
        AND usage_events.time BETWEEN evaluations.time - interval '31 days' AND evaluations.time + interval '1 day'
    ORDER BY time
    LIMIT 1
) AS found
WHERE call_time IS NULL;

COMMENT ON VIEW evaluation_events IS 'Which usage event each evaluation is of.';
COMMENT ON COLUMN evaluation_events.evaluation_id IS 'The evaluation.';
COMMENT ON COLUMN evaluation_events.trace_id IS 'trace_id of the usage event.';
COMMENT ON COLUMN evaluation_events.span_id IS 'span_id of the usage event.';
COMMENT ON COLUMN evaluation_events.time IS 'time of the usage event.';

-- Several spans may describe a call, of which one counts: its cost is what is booked for all of them, with every adjustment.
-- Nearly all are described by one span and adjusted by nobody, and only the others are looked up.
CREATE VIEW evaluated_calls AS
SELECT
    evaluations.time AS evaluated_at, evaluations.name, evaluations.score, evaluations.label, evaluations.error_type,
    usage_events.time, usage_events.trace_id, usage_events.span_id,
    usage_events.tenant_id, usage_events.feature, usage_events.workflow, usage_events.environment,
    usage_events.service_name, usage_events.provider, coalesce(response_model, request_model) AS model,
    usage_events.currency,
    CASE WHEN duplicate_of_trace_id IS NULL AND matched.span_id IS NULL THEN
        CASE WHEN adjusted.cost IS NULL THEN usage_events.cost ELSE coalesce(usage_events.cost, 0) + adjusted.cost END
    ELSE (
        SELECT sum(ledger.cost) FROM ledger
        WHERE ledger.time BETWEEN usage_events.time - interval '1 day' AND usage_events.time + interval '1 day'
            AND (ledger.trace_id, ledger.span_id) IN (
                (usage_events.trace_id, usage_events.span_id), (duplicate_of_trace_id, duplicate_of_span_id),
                (usage_events.trace_id, matched.span_id)
            )
    ) END AS cost
FROM evaluations
JOIN evaluation_events USING (evaluation_id)
JOIN usage_events ON usage_events.trace_id = evaluation_events.trace_id
    AND usage_events.span_id = evaluation_events.span_id AND usage_events.time = evaluation_events.time
LEFT JOIN LATERAL (
    SELECT matched_child AS span_id FROM foreign_calls
    WHERE (foreign_calls.trace_id, foreign_calls.span_id, foreign_calls.time)
        = (usage_events.trace_id, usage_events.span_id, usage_events.time)
) AS matched ON true
CROSS JOIN LATERAL (
    SELECT sum(adjustments.cost) AS cost FROM adjustments
    WHERE adjusted_trace_id = usage_events.trace_id AND adjusted_span_id = usage_events.span_id
) AS adjusted
WHERE evaluations.tenants IS NULL OR usage_events.tenant_id = ANY (evaluations.tenants);

COMMENT ON VIEW evaluated_calls IS 'Each evaluation beside the call that it scored, and what that call cost.';
COMMENT ON COLUMN evaluated_calls.evaluated_at IS 'When the call was evaluated.';
COMMENT ON COLUMN evaluated_calls.name IS 'What was evaluated.';
COMMENT ON COLUMN evaluated_calls.score IS 'The score. NULL: a label alone, or an error.';
COMMENT ON COLUMN evaluated_calls.label IS 'The score in words.';
COMMENT ON COLUMN evaluated_calls.error_type IS 'Why the evaluation failed. NULL: it did not.';
COMMENT ON COLUMN evaluated_calls.time IS 'When the call started.';
COMMENT ON COLUMN evaluated_calls.trace_id IS 'trace_id of the usage event.';
COMMENT ON COLUMN evaluated_calls.span_id IS 'span_id of the usage event.';
COMMENT ON COLUMN evaluated_calls.tenant_id IS 'Whose call it was.';
COMMENT ON COLUMN evaluated_calls.feature IS 'Product feature that made the call.';
COMMENT ON COLUMN evaluated_calls.workflow IS 'Multi-call workflow or agent run.';
COMMENT ON COLUMN evaluated_calls.environment IS 'Deployment environment of the calling service.';
COMMENT ON COLUMN evaluated_calls.service_name IS 'Service that made the call.';
COMMENT ON COLUMN evaluated_calls.provider IS 'The provider.';
COMMENT ON COLUMN evaluated_calls.model IS 'The model that ran, or the one asked for where the provider did not say.';
COMMENT ON COLUMN evaluated_calls.currency IS 'Currency of cost, ISO 4217.';
COMMENT ON COLUMN evaluated_calls.cost IS 'What the call cost, adjustments included; a call with two evaluations is in two rows. NULL: unpriced.';

DO $$
BEGIN
    IF to_regrole('spanmeter_writer') IS NOT NULL THEN
        GRANT INSERT ON evaluations TO spanmeter_writer;
        GRANT SELECT (evaluation_id) ON evaluations TO spanmeter_writer;
    END IF;
    IF to_regrole('spanmeter_reader') IS NOT NULL THEN
        GRANT SELECT ON evaluations, evaluation_events, evaluated_calls TO spanmeter_reader;
    END IF;
    IF to_regrole('spanmeter_console') IS NOT NULL THEN
        GRANT INSERT ON evaluations TO spanmeter_console;
    END IF;
END
$$;
