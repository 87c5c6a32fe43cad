-- fold --
-- Fold what is booked and not folded yet, of up to so many transactions.
SELECT fold_usage(%s);

-- rebuild --
-- Make the rollups of a range of days anew from the ledger.
SELECT rebuild_usage(%s, %s);

-- differences --
-- The rows of a rollup that are not the sums over the ledger, and what is missing of each measure: the ledger's rows
-- are added up, and the rollup's taken off.
SELECT (SELECT to_jsonb(told) FROM (SELECT {key}) AS told), {measures}
FROM (
    SELECT
        {key}, {differing},
        CASE WHEN sum(cost) <> 0 OR (count(cost) FILTER (WHERE booked) = 0)
            IS DISTINCT FROM (count(cost) FILTER (WHERE NOT booked) = 0)
        THEN coalesce(sum(cost), 0) END AS cost
    FROM (
        SELECT
            true AS booked, {of_row} AS {period}, {rest},
            requests, CASE WHEN status = 'ok' THEN 0 ELSE requests END AS failed_requests, unpriced_requests,
            input_tokens, cache_read_input_tokens, cache_write_input_tokens, output_tokens, reasoning_output_tokens,
            cost
        FROM ledger
        WHERE time >= %(since)s AND time < %(until)s
            AND ({everybody} OR tenant_id IS NULL)
        UNION ALL
        SELECT false, {period}, {rest}, {negated}
        FROM {rollup}
        WHERE {period} >= %(first)s AND {period} < %(end)s
    ) AS both_ways
    GROUP BY {key}
) AS compared
WHERE num_nonnulls({measures}) > 0
ORDER BY {key};

-- hour --
-- The hour of a row of the ledger, UTC.
date_trunc('hour', time, 'UTC');

-- day --
-- The day of a row of the ledger, UTC.
(time AT TIME ZONE 'UTC')::date;
