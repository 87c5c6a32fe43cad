-- by_span --
-- Rows of a span, or of the span of that time.
SELECT {columns} FROM usage_events
WHERE trace_id = %(trace_id)s AND span_id = %(span_id)s AND (%(time)s::timestamptz IS NULL OR time = %(time)s)
ORDER BY time;

-- by_call --
-- The row that first described a call, by the identities that the call may have.
SELECT {columns} FROM usage_events
WHERE (trace_id, span_id, time) IN (
    SELECT trace_id, span_id, time FROM provider_calls WHERE call = ANY (%(calls)s)
)
ORDER BY time;

-- by_response --
-- Rows of one response: there is no index of them, so within some time.
SELECT {columns} FROM usage_events
WHERE response_id = %(response_id)s AND time >= %(since)s
ORDER BY time LIMIT 100;

-- providers --
-- Those that the ledger has seen lately, and so may have named a response.
SELECT DISTINCT provider FROM usage_events WHERE time >= %s;

-- duplicates --
-- The further descriptions of the call that a row counts.
SELECT {columns} FROM usage_events
WHERE duplicate_of_trace_id = %(trace_id)s AND duplicate_of_span_id = %(span_id)s
    AND duplicate_of_time = %(time)s
ORDER BY time, span_id;

-- superseded --
-- The rows that this one took the place of: their reversals refer to it.
SELECT {columns} FROM usage_events
WHERE (trace_id, span_id, time) IN (
    SELECT adjusted_trace_id, adjusted_span_id, adjusted_time FROM adjustments
    WHERE reason = 'superseded' AND starts_with(reference, %(reference)s)
)
ORDER BY time, span_id;

-- period --
-- All rows of a period.
SELECT {columns} FROM usage_events WHERE time >= %(since)s AND time < %(until)s;

-- of_model --
-- A tenant's calls of a model within a period that count.
SELECT {columns} FROM usage_events
WHERE tenant_id = %(tenant)s AND coalesce(response_model, request_model) = %(model)s
    AND time >= %(since)s AND time < %(until)s AND duplicate_of_trace_id IS NULL;

-- by_keys --
-- The rows with these keys.
SELECT {columns} FROM usage_events
WHERE (trace_id, span_id, time) IN (
        SELECT * FROM unnest(%(trace_ids)s::bytea[], %(span_ids)s::bytea[], %(times)s::timestamptz[])
    )
    AND time BETWEEN %(earliest)s AND %(latest)s;
