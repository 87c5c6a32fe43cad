-- open_spans --
-- A page of the rejected spans that have not become rows yet, oldest first, from where the page before it ended.
SELECT rejected_at, payload_sha256, reason, payload, key_id
FROM rejected_spans
WHERE redriven_at IS NULL
    AND (rejected_at, payload_sha256) > (%(rejected_at)s, %(payload_sha256)s)
    AND rejected_at < %(until)s
    AND (%(reason)s::text IS NULL OR reason = %(reason)s)
ORDER BY rejected_at, payload_sha256
LIMIT %(size)s;

-- close_spans --
-- Note what became of rejected spans.
UPDATE rejected_spans SET redriven_at = now(), redriven_as = %(outcome)s
WHERE payload_sha256 = ANY (%(payload_sha256)s) AND redriven_at IS NULL;

-- has_reason --
-- Whether a span was ever rejected for this reason.
SELECT EXISTS (SELECT FROM rejected_spans WHERE reason = %s);

-- open_reasons --
-- How many rejected spans have not become rows yet, by reason, the most frequent first.
SELECT reason, count(*) FROM rejected_spans WHERE redriven_at IS NULL
GROUP BY reason ORDER BY count(*) DESC, reason;
