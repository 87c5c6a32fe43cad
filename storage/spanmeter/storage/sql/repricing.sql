-- one_at_a_time --
-- One repricing at a time in a ledger: two at once would each book what the other has booked already.
SELECT pg_try_advisory_lock(%s);

-- booked --
-- The rows that a rate made the cost of, or whose cost is not known: those that count a call. With rate versions given,
-- only what these priced, and what is unpriced.
SELECT {columns}
FROM usage_events AS booked
WHERE time >= %(since)s AND time < coalesce(%(until)s::timestamptz, 'infinity')
    AND duplicate_of_trace_id IS NULL
    AND (rate_version IS NULL OR rate_version <> ALL (%(rules)s))
    AND (%(model)s::text IS NULL OR coalesce(response_model, request_model) = %(model)s OR request_model = %(model)s)
    AND (%(rate_versions)s::text[] IS NULL OR rate_version IS NULL OR rate_version = ANY (%(rate_versions)s))
    AND (
        %(tenant)s::text IS NULL OR tenant_id = %(tenant)s
        OR EXISTS (
            SELECT FROM adjustments
            WHERE adjusted_trace_id = booked.trace_id AND adjusted_span_id = booked.span_id
                AND adjusted_time = booked.time AND adjustments.tenant_id = %(tenant)s
        )
    );
