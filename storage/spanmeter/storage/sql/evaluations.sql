-- add_evaluations --
-- Keep evaluations, in the order of their key, with the call that each is of as far as it is known; what is told again
-- changes nothing.
INSERT INTO evaluations (
    evaluation_id, time, trace_id, span_id, response_id, response_call, call_trace_id, call_span_id, call_time,
    name, score, label, error_type, source, key_id, tenants
)
SELECT
    evaluation_id, told.time, told.trace_id, told.span_id, response_id, response_call,
    found.trace_id, found.span_id, found.time, name, score, label, error_type, source, key_id,
    (SELECT array_agg(value) FROM jsonb_array_elements_text(tenants))
FROM unnest(
    %(evaluation_ids)s::bytea[], %(times)s::timestamptz[], %(trace_ids)s::bytea[], %(span_ids)s::bytea[],
    %(response_ids)s::text[], %(response_calls)s::bytea[], %(names)s::text[], %(scores)s::numeric[], %(labels)s::text[],
    %(error_types)s::text[], %(sources)s::text[], %(key_ids)s::text[], %(tenants)s::jsonb[]
) AS told (
    evaluation_id, time, trace_id, span_id, response_id, response_call, name, score, label, error_type, source, key_id, tenants
)
LEFT JOIN LATERAL (
    SELECT trace_id, span_id, time FROM provider_calls WHERE call = response_call
    UNION ALL
    (
        SELECT trace_id, span_id, time FROM usage_events
        WHERE told.response_id IS NULL AND trace_id = told.trace_id AND span_id = told.span_id
            AND time BETWEEN told.time - interval '31 days' AND told.time + interval '1 day'
        ORDER BY time
        LIMIT 1
    )
    LIMIT 1
) AS found ON true
ORDER BY evaluation_id
ON CONFLICT (evaluation_id) DO NOTHING;

-- names --
-- What was evaluated in a period, the most often evaluated first.
SELECT name, count(*) FROM evaluations
WHERE time >= %(since)s AND time < %(until)s
GROUP BY name ORDER BY count(*) DESC, name;

-- count --
-- How many evaluations of one kind a period has, whether their calls are known or not.
SELECT count(*) FROM evaluations
WHERE name = %(name)s AND time >= %(since)s AND time < %(until)s;

-- quality --
-- Calls by dimensions: their mean score, what they cost, and their most frequent labels. A call that was evaluated more
-- than once is one call, with the mean of its scores.
WITH found AS (
    SELECT ARRAY[{dimensions}] AS dimensions, currency, trace_id, span_id, score, label, error_type, cost
    FROM evaluated_calls
    WHERE name = %(name)s AND evaluated_at >= %(since)s AND evaluated_at < %(until)s
        AND (%(tenant)s::text IS NULL OR tenant_id = %(tenant)s) AND (%(feature)s::text IS NULL OR feature = %(feature)s)
), calls AS (
    SELECT
        dimensions, currency, count(*) AS evaluations, count(error_type) AS failed, avg(score) AS score, min(cost) AS cost
    FROM found
    GROUP BY dimensions, currency, trace_id, span_id
), labels AS (
    SELECT
        dimensions, currency, label, count(*) AS evaluations,
        row_number() OVER (PARTITION BY dimensions, currency ORDER BY count(*) DESC, label) AS place
    FROM found WHERE label IS NOT NULL
    GROUP BY dimensions, currency, label
)
SELECT
    dimensions, currency,
    sum(evaluations)::bigint, sum(failed)::bigint, count(*), count(score),
    count(*) FILTER (WHERE cost IS NULL),
    avg(score), sum(cost),
    sum(cost) FILTER (WHERE score IS NOT NULL) / nullif(count(cost) FILTER (WHERE score IS NOT NULL), 0),
    sum(cost) FILTER (WHERE score IS NOT NULL) / nullif(sum(score) FILTER (WHERE cost IS NOT NULL), 0),
    (
        SELECT jsonb_object_agg(label, labels.evaluations) FROM labels
        WHERE labels.dimensions = calls.dimensions AND labels.currency = calls.currency AND place <= 10
    )
FROM calls
GROUP BY dimensions, currency
ORDER BY sum(cost) DESC NULLS LAST, dimensions
LIMIT %(limit)s;
