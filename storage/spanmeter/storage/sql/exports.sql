-- lock --
-- Be the only one who exports to a target, until this session ends.
SELECT pg_try_advisory_lock(hashtextextended('spanmeter export ' || %s, 0));

-- unlock --
-- Let others export to it.
SELECT pg_advisory_unlock(hashtextextended('spanmeter export ' || %s, 0));

-- target --
-- Up to where a target's exports are planned.
SELECT target, kind, mapping_sha256, since, planned_until, planned_at FROM export_targets WHERE target = %s;

-- save_target --
-- Keep up to where they are planned.
INSERT INTO export_targets (target, kind, mapping_sha256, since, planned_until, planned_at)
VALUES (%s, %s, %s, %s, %s, %s)
ON CONFLICT (target) DO UPDATE SET
    kind = excluded.kind, mapping_sha256 = excluded.mapping_sha256, since = excluded.since,
    planned_until = excluded.planned_until, planned_at = excluded.planned_at;

-- now --
-- The moment of this transaction.
SELECT now();

-- add --
-- Keep what is to be sent.
INSERT INTO export_intents (
    dedupe_id, target, kind, tenant_id, meter, dimensions, window_start, window_end, generation, cancels, quantity,
    scale, value, payload, payload_sha256, state, reason
) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s);

-- intents --
-- What became of a target's exports, oldest window first.
SELECT
    dedupe_id, target, kind, tenant_id, meter, dimensions, window_start, window_end, generation, cancels, quantity,
    scale, value, payload, payload_sha256, state, attempts, first_sent_at, sent_at, reason, remote_ref
FROM export_intents
WHERE {condition}
ORDER BY window_start, tenant_id, meter, dimensions, generation
LIMIT %(most)s;

-- in_windows --
-- Those of windows that begin in a period.
target = %(target)s AND window_start >= %(since)s AND window_start < %(until)s;

-- in_states --
-- Those in one of some states.
target = %(target)s AND state = ANY (%(states)s) AND dedupe_id <> ALL (%(but)s);

-- named --
-- Those whose id begins so.
starts_with(dedupe_id, %(name)s);

-- of_target --
-- Those of a target, of which the latest may be wanted only.
target = %(target)s AND state = ANY (%(states)s);

-- remainders --
-- What was left over where a target takes whole numbers only.
SELECT tenant_id, meter, dimensions, sum(quantity * scale - value)
FROM export_intents
WHERE target = %s AND state IN ('pending', 'sent', 'confirmed', 'ambiguous', 'carried')
GROUP BY tenant_id, meter, dimensions
HAVING sum(quantity * scale - value) <> 0;

-- sending --
-- Note that they are being sent, before they are.
UPDATE export_intents
SET state = 'sent', attempts = attempts + 1, sent_at = clock_timestamp(),
    first_sent_at = coalesce(first_sent_at, clock_timestamp()), reason = NULL
WHERE dedupe_id = ANY (%s);

-- settle --
-- Note what became of one.
UPDATE export_intents
SET state = %(state)s, reason = %(reason)s, remote_ref = coalesce(%(remote_ref)s, remote_ref),
    settled_at = CASE WHEN %(state)s IN ('pending', 'ambiguous') THEN NULL ELSE clock_timestamp() END
WHERE dedupe_id = %(dedupe_id)s;

-- not_taken --
-- Note that one was not taken this time: whether the target knows it from before is as it was.
UPDATE export_intents SET state = 'pending', reason = %(reason)s, first_sent_at = %(first_sent_at)s
WHERE dedupe_id = %(dedupe_id)s;

-- supersede --
-- Give up what was refused, so that it is planned anew.
UPDATE export_intents SET state = 'superseded', settled_at = clock_timestamp()
WHERE target = %(target)s AND state = 'failed' AND (%(name)s::text IS NULL OR starts_with(dedupe_id, %(name)s));

-- unsettled_windows --
-- Windows of which it is not known what the target has, or became known since they were last planned.
SELECT DISTINCT window_start
FROM export_intents
WHERE target = %(target)s AND (
    state IN ('pending', 'sent', 'ambiguous')
    OR settled_at >= (SELECT planned_at FROM export_targets WHERE target = %(target)s)
);

-- standing --
-- What a target was told, meter by meter and state by state.
SELECT tenant_id, meter, state, kind, count(*), sum(quantity), sum(value), sum(quantity * scale - value)
FROM export_intents
WHERE target = %s AND state <> 'superseded'
GROUP BY tenant_id, meter, state, kind
ORDER BY tenant_id, meter, state, kind;

-- told_for --
-- What a target was told for a tenant, a meter and a window, whatever the dimensions.
SELECT coalesce(sum(value), 0) FROM export_intents
WHERE target = %(target)s AND tenant_id = %(tenant)s AND meter = %(meter)s AND window_start = %(start)s
    AND state = 'confirmed';
