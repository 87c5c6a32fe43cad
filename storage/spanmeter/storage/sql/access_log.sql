-- log_refused --
-- Note attempts that were refused.
INSERT INTO access_log (key_id, peer, reason, attempts, since)
VALUES (%(key_id)s, %(peer)s, %(reason)s, %(attempts)s, %(since)s);

-- entries --
-- What was changed and refused since then, the latest first.
SELECT logged_at, event, key_id, actor, peer, reason, attempts, since, detail
FROM access_log
WHERE logged_at >= coalesce(%(since)s::timestamptz, '-infinity')
    AND (%(key_id)s::text IS NULL OR key_id = %(key_id)s)
ORDER BY entry_id DESC
LIMIT %(most)s;
