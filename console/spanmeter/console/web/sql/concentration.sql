-- concentration --
-- How cost spreads over what a dimension tells apart: the median and the heavy ones, and how few cause most of it.
WITH sums AS (
    SELECT {dimension} AS name, sum(cost) AS cost
    FROM {relation}
    WHERE {bounds} AND currency = %(currency)s AND {dimension} IS NOT NULL
        AND (%(tenant)s::text IS NULL OR tenant_id = %(tenant)s)
    GROUP BY 1
    HAVING sum(cost) > 0
), ranked AS (
    SELECT
        name, cost, row_number() OVER greatest_first AS place,
        sum(cost) OVER (greatest_first ROWS UNBOUNDED PRECEDING) AS reached,
        sum(cost) OVER () AS whole, count(*) OVER () AS names
    FROM sums
    WINDOW greatest_first AS (ORDER BY cost DESC, name)
)
SELECT
    count(*)::bigint,
    percentile_disc(0.5) WITHIN GROUP (ORDER BY cost),
    percentile_disc(0.9) WITHIN GROUP (ORDER BY cost),
    percentile_disc(0.99) WITHIN GROUP (ORDER BY cost),
    max(cost),
    count(*) FILTER (WHERE reached - cost < whole * 0.8)::bigint,
    sum(cost) FILTER (WHERE place <= ceil(names * 0.1)) / max(whole)
FROM ranked;
