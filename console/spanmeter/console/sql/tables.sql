-- The ledger's tables: rows, bytes with indexes and, on TimescaleDB, chunks (which inherit from the hypertable), and
-- whether the rows are PostgreSQL's estimate: a table that has more than a million is not read through.
WITH sizes AS (
    SELECT
        name,
        sum(pg_total_relation_size(part))::bigint AS bytes,
        -- Where there are chunks they have all the rows. -1: never analyzed.
        coalesce(
            sum(greatest(reltuples, 0)) FILTER (WHERE part <> name::regclass),
            sum(greatest(reltuples, 0))
        )::bigint AS estimate
    FROM (
        VALUES ('usage_events'), ('adjustments'), ('rejected_spans'), ('provider_calls'), ('foreign_calls'),
            ('producers')
    ) AS tables (name)
    CROSS JOIN LATERAL (
        SELECT name::regclass::oid AS part
        UNION ALL
        SELECT inhrelid FROM pg_inherits WHERE inhparent = name::regclass
    ) AS parts
    JOIN pg_class ON pg_class.oid = part
    GROUP BY name
)
SELECT
    name,
    CASE
        WHEN estimate > 1000000 THEN estimate
        WHEN name = 'usage_events' THEN (SELECT count(*) FROM usage_events)
        WHEN name = 'adjustments' THEN (SELECT count(*) FROM adjustments)
        WHEN name = 'rejected_spans' THEN (SELECT count(*) FROM rejected_spans)
        WHEN name = 'provider_calls' THEN (SELECT count(*) FROM provider_calls)
        WHEN name = 'foreign_calls' THEN (SELECT count(*) FROM foreign_calls)
        WHEN name = 'producers' THEN (SELECT count(*) FROM producers)
    END AS rows,
    bytes,
    estimate > 1000000 AS estimated
FROM sizes
ORDER BY array_position(
    ARRAY['usage_events', 'adjustments', 'rejected_spans', 'provider_calls', 'foreign_calls', 'producers'], name
);
