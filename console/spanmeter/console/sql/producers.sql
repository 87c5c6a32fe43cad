-- What arrived of each process's numbered records; those that lack some come first, then the latest.
SELECT producer_id, service_name, first_seen, last_seen, highest, received, missing, dropped
FROM producer_gaps
ORDER BY missing DESC, last_seen DESC, producer_id;
