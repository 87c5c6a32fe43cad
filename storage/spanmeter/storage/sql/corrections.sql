-- by_reference --
-- What was booked for a reference, in the order in which it was.
SELECT {columns} FROM adjustments WHERE reference = %s ORDER BY booked_at, adjustment_id;

-- any_booked --
-- Whether one of these adjustments is booked.
SELECT EXISTS (SELECT FROM adjustments WHERE adjustment_id = ANY (%s));

-- by_event --
-- What corrects these usage events, in the order in which it was booked.
SELECT {columns} FROM adjustments
WHERE (adjusted_trace_id, adjusted_span_id, adjusted_time) IN (
    SELECT * FROM unnest(%(trace_ids)s::bytea[], %(span_ids)s::bytea[], %(times)s::timestamptz[])
)
ORDER BY booked_at, adjustment_id;

-- all_references --
-- What was booked lately, by what it rests on; the reason is that of the first of each.
SELECT
    coalesce(reference, '') AS reference, min(reason), count(*), sum(requests)::bigint, sum(cost), currency, max(booked_at)
FROM adjustments
WHERE booked_at >= %s
GROUP BY coalesce(reference, ''), currency
ORDER BY 7 DESC, 1;
