-- fold --
-- Fold what is booked and not folded yet, up to so many rows.
SELECT fold_usage(%s);

-- rebuild --
-- Make the rollups of a range of days anew from the ledger.
SELECT rebuild_usage(%s, %s);

-- differences --
-- The rows of a rollup that are not the sums over the ledger, and what is missing of each measure: the ledger's rows
-- are added up, and the rollup's taken off.
SELECT (SELECT to_jsonb(told) FROM (SELECT {key}) AS told), {measures}
FROM (
    SELECT {key}, {differing}
    FROM (
        SELECT true AS booked, {of_row} AS {period}, {rest}, {counted}
        FROM {ledger}
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

-- differing --
-- What is missing of a measure that always has a value.
nullif(sum({0}), 0) AS {0};

-- differing_cost --
-- What is missing of the cost. One that only the ledger or only the rollup knows differs even where it is 0.
CASE WHEN sum(cost) <> 0 OR (count(cost) FILTER (WHERE booked) = 0)
    IS DISTINCT FROM (count(cost) FILTER (WHERE NOT booked) = 0)
THEN coalesce(sum(cost), 0) END AS cost;

-- failed_requests --
-- Those of a row of the ledger.
CASE WHEN status = 'ok' THEN 0 ELSE requests END AS failed_requests;

-- rows --
-- Where the ledger has what most rollups sum.
ledger;

-- units --
-- Where the ledger has its other units.
(SELECT * FROM ledger CROSS JOIN LATERAL jsonb_each_text(quantities) AS other (unit, amount)) AS units;

-- quantity --
-- How many of a unit, of a row of the ledger.
amount::numeric AS quantity;

-- hour --
-- The hour of a row of the ledger, UTC.
date_trunc('hour', time, 'UTC');

-- day --
-- The day of a row of the ledger, UTC.
(time AT TIME ZONE 'UTC')::date;

-- month --
-- The month of a row of the ledger, UTC.
(date_trunc('month', time, 'UTC') AT TIME ZONE 'UTC')::date;
