-- share_links --
-- Batches of our own spans alone go side by side.
SELECT pg_advisory_xact_lock_shared(%s);

-- own_links --
-- What describes another span's call, or replaces what was booked, is decided by one at a time.
SELECT pg_advisory_xact_lock(%s);

-- no_foreign_calls --
-- Whether every call that is known was described by our own spans alone.
SELECT NOT EXISTS (SELECT FROM foreign_calls);

-- register_calls --
-- Note the identities of the staged calls, in their order, so that no two writers wait in a circle. What is not
-- added is known already, or twice in the batch.
INSERT INTO provider_calls (call, time, trace_id, span_id)
SELECT call, time, trace_id, span_id FROM staged_usage_events ORDER BY call
ON CONFLICT (call) DO NOTHING;

-- same_identity --
-- The staged events whose call another event was the first to describe, and that one's key.
SELECT staged.place, known.trace_id, known.span_id, known.time
FROM staged_usage_events AS staged JOIN provider_calls AS known USING (call)
WHERE (known.trace_id, known.span_id, known.time) <> (staged.trace_id, staged.span_id, staged.time);

-- register_shared --
-- Note calls whose id is another call's too, by what else tells them apart.
INSERT INTO provider_calls (call, time, trace_id, span_id)
SELECT call, time, trace_id, span_id
FROM unnest(%(calls)s::bytea[], %(times)s::timestamptz[], %(trace_ids)s::bytea[], %(span_ids)s::bytea[])
    AS shared (call, time, trace_id, span_id)
ORDER BY call, time
ON CONFLICT (call) DO NOTHING;

-- same_shared --
-- Those of them that another event was the first to describe, and that one's key.
SELECT shared.place, known.trace_id, known.span_id, known.time
FROM unnest(
    %(places)s::int[], %(calls)s::bytea[], %(times)s::timestamptz[], %(trace_ids)s::bytea[], %(span_ids)s::bytea[]
) AS shared (place, call, time, trace_id, span_id) JOIN provider_calls AS known USING (call)
WHERE (known.trace_id, known.span_id, known.time) <> (shared.trace_id, shared.span_id, shared.time);

-- dropped --
-- The staged events whose call was booked before, in a row that has left the ledger with its chunk since. What this
-- transaction itself has noted is not booked yet. OFFSET 0 has each looked up by itself, never one table by the other.
SELECT staged.place
FROM staged_usage_events AS staged JOIN provider_calls AS known USING (call)
WHERE known.xmin <> pg_current_xact_id()::xid
    AND known.time BETWEEN %(earliest)s AND %(latest)s
    AND NOT EXISTS (
        SELECT FROM usage_events AS booked
        WHERE (booked.trace_id, booked.span_id, booked.time) = (known.trace_id, known.span_id, known.time)
            AND booked.time BETWEEN %(earliest)s AND %(latest)s
        OFFSET 0
    )
ORDER BY place;

-- add_foreign_calls --
-- Note the staged events of other libraries' spans.
INSERT INTO foreign_calls (trace_id, span_id, time, parent_span_id, ended, wrapper)
SELECT trace_id, span_id, time, parent_span_id, time + duration, operation = ANY (%(wrappers)s)
FROM staged_usage_events WHERE NOT starts_with(scope_name, %(ours)s) ORDER BY trace_id, span_id, time
ON CONFLICT (trace_id, span_id, time) DO NOTHING;

-- related_foreign --
-- Other libraries' events directly around or inside the staged ones, and wrappers that they lie in: each found by an
-- index of its own, since a trace may have any number of calls.
SELECT staged.place, related.trace_id, related.span_id, related.time
FROM staged_usage_events AS staged CROSS JOIN LATERAL (
    SELECT trace_id, span_id, time FROM foreign_calls
    WHERE trace_id = staged.trace_id AND span_id = staged.parent_span_id
    UNION ALL
    SELECT trace_id, span_id, time FROM foreign_calls
    WHERE trace_id = staged.trace_id AND parent_span_id = staged.span_id
    UNION ALL
    (
        SELECT trace_id, span_id, time FROM foreign_calls
        WHERE trace_id = staged.trace_id AND wrapper AND staged.time BETWEEN time AND ended
        LIMIT 20
    )
    UNION ALL
    (
        SELECT trace_id, span_id, time FROM foreign_calls
        WHERE staged.operation = ANY (%(wrappers)s)
            AND trace_id = staged.trace_id AND time BETWEEN staged.time AND staged.time + staged.duration
        LIMIT 20
    )
) AS related
WHERE EXISTS (SELECT FROM foreign_calls) AND related.span_id <> staged.span_id;

-- related_booked --
-- The same among the booked events of any library, for staged events of other libraries.
SELECT staged.place, related.trace_id, related.span_id, related.time
FROM staged_usage_events AS staged CROSS JOIN LATERAL (
    SELECT trace_id, span_id, time FROM usage_events
    WHERE trace_id = staged.trace_id AND span_id = staged.parent_span_id
        AND time BETWEEN %(earliest)s AND %(latest)s
    UNION ALL
    (
        -- One that it encloses is as good as all: a wrapper counts while none is known.
        SELECT trace_id, span_id, time FROM usage_events
        WHERE staged.operation = ANY (%(wrappers)s)
            AND trace_id = staged.trace_id AND time BETWEEN %(earliest)s AND %(latest)s
            AND time BETWEEN staged.time AND staged.time + staged.duration
            AND span_id <> staged.span_id
            AND (staged.parent_span_id IS NULL OR parent_span_id IS DISTINCT FROM staged.parent_span_id)
            AND span_id IS DISTINCT FROM staged.parent_span_id
        LIMIT 20
    )
) AS related
WHERE NOT starts_with(staged.scope_name, %(ours)s) AND related.span_id <> staged.span_id;

-- booked_inside --
-- Booked events directly inside staged ones of other libraries, with the span around each. No index knows the parent:
-- each trace is read once, and "IS TRUE" has the staged spans hashed.
SELECT inside.trace_id, inside.parent_span_id, inside.span_id, inside.time
FROM (
    SELECT DISTINCT trace_id FROM staged_usage_events WHERE NOT starts_with(scope_name, %(ours)s)
) AS traces CROSS JOIN LATERAL (
    SELECT trace_id, parent_span_id, span_id, time FROM usage_events
    WHERE trace_id = traces.trace_id AND time BETWEEN %(earliest)s AND %(latest)s
        AND (parent_span_id IN (
            SELECT span_id FROM staged_usage_events WHERE NOT starts_with(scope_name, %(ours)s)
        )) IS TRUE
    OFFSET 0
) AS inside;

-- booked --
-- Booked events by key: each with the key of the one it is a further description of, the reference to the one that
-- superseded it, and the span inside it that was matched.
SELECT
    {columns},
    duplicate_of_trace_id, duplicate_of_span_id, duplicate_of_time,
    (
        SELECT reference FROM adjustments
        WHERE adjustment_id = wanted.reversal AND adjustments.time = wanted.time
    ),
    (
        SELECT matched_child FROM foreign_calls AS known
        WHERE (known.trace_id, known.span_id, known.time) = (wanted.trace_id, wanted.span_id, wanted.time)
    )
FROM unnest(%(trace_ids)s::bytea[], %(span_ids)s::bytea[], %(times)s::timestamptz[], %(reversals)s::uuid[])
    AS wanted (trace_id, span_id, time, reversal)
CROSS JOIN LATERAL (
    SELECT * FROM usage_events
    WHERE (trace_id, span_id, time) = (wanted.trace_id, wanted.span_id, wanted.time)
        AND time BETWEEN %(earliest)s AND %(latest)s
    OFFSET 0
) AS booked;

-- unstage --
-- Take events out of the batch.
DELETE FROM staged_usage_events WHERE place = ANY (%s);

-- unstage_all --
-- Empty the batch before the end of the transaction.
DELETE FROM staged_usage_events;

-- match_child --
-- Note which span inside it describes the same call, so that a second equal one is a call of its own.
UPDATE foreign_calls SET matched_child = %(child)s
WHERE (trace_id, span_id, time) = (%(trace_id)s, %(span_id)s, %(time)s);

-- reverse --
-- Take a booked event out of every sum, because a better description of its call is booked.
INSERT INTO adjustments (
    time, adjustment_id, reason, reference, adjusted_trace_id, adjusted_span_id, adjusted_time,
    tenant_id, workspace_id, project_id, user_id, feature, workflow, action, label, idempotency_key, account_type,
    dimensions, environment, service_name, callsite,
    provider, operation, request_model, response_model, region, service_tier, byok, status,
    requests, unpriced_requests,
    input_tokens, cache_read_input_tokens, cache_write_input_tokens, output_tokens, reasoning_output_tokens,
    audio_input_tokens, audio_output_tokens, image_input_tokens, image_output_tokens,
    quantities, billable_state, billable_reason, cost, currency, rate_version
)
SELECT
    time, %(reversal)s, 'superseded', %(reference)s, trace_id, span_id, time,
    tenant_id, workspace_id, project_id, user_id, feature, workflow, action, label, idempotency_key, account_type,
    dimensions, environment, service_name, callsite,
    provider, operation, request_model, response_model, region, service_tier, byok, status,
    -1, -(cost IS NULL)::int,
    -input_tokens, -cache_read_input_tokens, -cache_write_input_tokens, -output_tokens, -reasoning_output_tokens,
    -audio_input_tokens, -audio_output_tokens, -image_input_tokens, -image_output_tokens,
    (
        SELECT coalesce(jsonb_object_agg(unit, (-amount::numeric)::text), '{}')
        FROM jsonb_each_text(quantities) AS used (unit, amount)
    ),
    billable_state, billable_reason, -cost, currency, rate_version
FROM usage_events
WHERE (trace_id, span_id, time) = (%(trace_id)s, %(span_id)s, %(time)s)
ON CONFLICT (adjustment_id, time) DO NOTHING;

-- conflicts --
-- Staged events whose key is booked with other numbers, or for another tenant. Costs may differ: rates change. A further
-- description of a call has no counts in the ledger, but what it reported; the staged events have that, and their counts.
SELECT staged.place
FROM staged_usage_events AS staged JOIN usage_events AS booked USING (trace_id, span_id, time)
WHERE booked.time BETWEEN %(earliest)s AND %(latest)s
    AND CASE WHEN booked.duplicate_of_trace_id IS NULL
        THEN ({booked}, {booked_counts}) IS DISTINCT FROM ({staged}, {staged_counts})
        ELSE ({booked}, booked.raw_usage) IS DISTINCT FROM ({staged}, staged.raw_usage)
    END
ORDER BY place;

-- release_calls --
-- Forget the identities that quarantined events brought: the booked event of their key is another call.
DELETE FROM provider_calls AS known USING staged_usage_events AS staged, usage_events AS booked
WHERE staged.place = ANY (%(places)s) AND known.call = staged.call
    AND (known.trace_id, known.span_id, known.time) = (staged.trace_id, staged.span_id, staged.time)
    AND (booked.trace_id, booked.span_id, booked.time) = (staged.trace_id, staged.span_id, staged.time)
    AND booked.time BETWEEN %(earliest)s AND %(latest)s
    AND booked.response_id IS DISTINCT FROM staged.response_id;

-- add_producers --
-- Add what arrived of each producer, in the order of their ids. Sets, so that what arrives again changes nothing.
INSERT INTO producers (producer_id, service_name, received, dropped)
SELECT producer_id, service_name, received, dropped
FROM unnest(%s::text[], %s::text[], %s::int8multirange[], %s::bigint[])
    AS producer (producer_id, service_name, received, dropped)
ORDER BY producer_id
ON CONFLICT (producer_id) DO UPDATE SET
    last_seen = now(),
    service_name = coalesce(excluded.service_name, producers.service_name),
    received = producers.received + excluded.received,
    dropped = greatest(producers.dropped, excluded.dropped);

-- forget_calls --
-- Identities of calls older than any span that is still taken.
DELETE FROM provider_calls WHERE time < %s;

-- forget_foreign_calls --
-- The same for other libraries' spans.
DELETE FROM foreign_calls WHERE time < %s;

-- forget_producers --
-- Processes that have sent nothing for as long.
DELETE FROM producers WHERE last_seen < %s;
