-- bound_session --
-- Looking must not be a load, nor wait behind one.
SELECT set_config('statement_timeout', '5s', false), set_config('lock_timeout', '1s', false);

-- gaps --
-- Of producers heard of since then: numbered records that did not arrive, and those they say they had to give up.
SELECT
    coalesce(sum(missing), 0)::bigint,
    coalesce(sum(dropped), 0)::bigint,
    count(*) FILTER (WHERE missing > 0)
FROM producer_gaps
WHERE last_seen >= %s;

-- usage --
-- Of the calls that began since then: rows, those without a cost or a tenant, and those that describe a call which
-- another row counts.
SELECT
    count(*),
    count(*) FILTER (WHERE cost IS NULL AND duplicate_of_trace_id IS NULL),
    count(*) FILTER (WHERE tenant_id IS NULL AND duplicate_of_trace_id IS NULL),
    count(*) FILTER (WHERE duplicate_of_trace_id IS NOT NULL)
FROM usage_events
WHERE time >= %s;

-- rejected --
-- Spans rejected since then by reason, the most frequent first: those still open, and those metered after all.
SELECT reason, count(*) FILTER (WHERE redriven_at IS NULL), count(*) FILTER (WHERE redriven_at IS NOT NULL)
FROM rejected_spans
WHERE rejected_at >= %s
GROUP BY reason
ORDER BY count(*) DESC, reason;
