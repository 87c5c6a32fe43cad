-- Over all processes: how many sent records, and how many of these did not arrive.
SELECT count(*), coalesce(sum(missing), 0)::bigint, coalesce(sum(dropped), 0)::bigint FROM producer_gaps;
