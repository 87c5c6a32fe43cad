-- The ledger's tables: rows, and bytes with indexes and, on TimescaleDB, chunks (which inherit from the hypertable).
SELECT tables.name, tables.rows, (
    SELECT sum(pg_total_relation_size(part))::bigint
    FROM (
        SELECT tables.name::regclass::oid AS part
        UNION ALL
        SELECT inhrelid FROM pg_inherits WHERE inhparent = tables.name::regclass
    ) AS parts
) AS bytes
FROM (
    SELECT 'usage_events' AS name, count(*) AS rows FROM usage_events
    UNION ALL
    SELECT 'adjustments', count(*) FROM adjustments
    UNION ALL
    SELECT 'rejected_spans', count(*) FROM rejected_spans
    UNION ALL
    SELECT 'provider_calls', count(*) FROM provider_calls
    UNION ALL
    SELECT 'foreign_calls', count(*) FROM foreign_calls
) AS tables;
