-- Over all processes: how many sent records, how many of these records did not arrive, and from how many processes.
SELECT
    count(*),
    (count(*) FILTER (WHERE missing > 0))::bigint,
    coalesce(sum(missing), 0)::bigint,
    coalesce(sum(dropped), 0)::bigint
FROM producer_gaps;
