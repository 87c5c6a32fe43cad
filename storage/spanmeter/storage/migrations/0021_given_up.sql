-- A process may tell what it gave up before any of its records arrives, or after the last that does.
CREATE OR REPLACE VIEW producer_gaps AS
SELECT
    producer_id, service_name, first_seen, last_seen,
    coalesce(upper(producers.received) - 1, 0) AS highest,
    counted.received,
    greatest(coalesce(upper(producers.received) - 1, 0) - counted.received, dropped) AS missing,
    dropped
FROM producers
CROSS JOIN LATERAL (
    SELECT coalesce(sum(upper(part) - lower(part)), 0)::bigint AS received FROM unnest(producers.received) AS part
) AS counted;

COMMENT ON COLUMN producer_gaps.missing IS
    'Numbers below the highest that did not arrive, those given up included, be they numbered higher.';
