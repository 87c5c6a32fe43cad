-- uneven_reversals --
-- Superseded rows that their reversal does not take out of every sum.
SELECT booked.trace_id, booked.span_id, booked.time
FROM adjustments AS reversal JOIN usage_events AS booked ON
    (booked.trace_id, booked.span_id, booked.time)
    = (reversal.adjusted_trace_id, reversal.adjusted_span_id, reversal.adjusted_time)
WHERE reversal.reason = 'superseded' AND reversal.time >= %(since)s AND reversal.time < %(until)s
    AND booked.time >= %(since)s AND booked.time < %(until)s
    AND (
        reversal.requests <> -1 OR reversal.unpriced_requests <> -(booked.cost IS NULL)::int
        OR (reversal.cost, reversal.input_tokens, reversal.output_tokens, reversal.currency)
            IS DISTINCT FROM (-booked.cost, -booked.input_tokens, -booked.output_tokens, booked.currency)
        OR (reversal.tenant_id, reversal.billable_state) IS DISTINCT FROM (booked.tenant_id, booked.billable_state)
    )
ORDER BY booked.time, booked.trace_id, booked.span_id;

-- counting_duplicates --
-- Further descriptions of a call that count something.
SELECT trace_id, span_id, time FROM usage_events
WHERE duplicate_of_trace_id IS NOT NULL AND time >= %(since)s AND time < %(until)s
    AND (
        cost IS DISTINCT FROM 0 OR coalesce(input_tokens, output_tokens) IS NOT NULL OR quantities <> '{}'
    )
ORDER BY time, trace_id, span_id;

-- disarmed --
-- Triggers that keep the ledger append-only and are not there, or switched off.
SELECT wanted.relation || '.' || wanted.name
FROM (
    VALUES
        ('usage_events', 'append_only'), ('usage_events', 'append_only_truncate'),
        ('usage_events', 'not_into_closed'), ('adjustments', 'append_only'),
        ('adjustments', 'append_only_truncate'), ('adjustments', 'not_into_closed'),
        ('seal_windows', 'append_only'), ('seals', 'append_only'), ('sealed_days', 'append_only'),
        ('billable_rules', 'append_only')
) AS wanted (relation, name)
WHERE NOT EXISTS (
    SELECT FROM pg_trigger
    WHERE tgrelid = wanted.relation::regclass AND tgname = wanted.name AND tgenabled IN ('O', 'A')
)
ORDER BY 1;

-- missing_records --
-- Numbered records that did not arrive, by process.
SELECT producer_id, service_name, missing, dropped FROM producer_gaps
WHERE missing > 0 AND last_seen >= coalesce(%(since)s::timestamptz, '-infinity')
    AND first_seen < coalesce(%(until)s::timestamptz, 'infinity')
ORDER BY missing DESC, producer_id;

-- snapshot --
-- What this transaction sees, for others to see too while it lasts.
SELECT pg_export_snapshot();

-- see --
-- See what another transaction sees.
SET TRANSACTION SNAPSHOT {snapshot};
