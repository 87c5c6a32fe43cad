-- one_at_a_time --
-- Versions are numbered without a gap.
SELECT pg_advisory_xact_lock(%s);

-- rules_in_force --
-- The latest version of the rules.
SELECT number, version, rules, set_at, set_by, login, note FROM alert_rules ORDER BY number DESC LIMIT 1;

-- rules_history --
-- Every version of the rules, the latest first.
SELECT number, version, rules, set_at, set_by, login, note FROM alert_rules ORDER BY number DESC;

-- add_rules --
-- The next version of the rules.
INSERT INTO alert_rules (number, rules, set_by, note)
SELECT coalesce(max(number), 0) + 1, %(rules)s, %(set_by)s, %(note)s FROM alert_rules
RETURNING number, version, rules, set_at, set_by, login, note;

-- run --
-- Be the one that runs the alerts, as long as the session lasts.
SELECT pg_try_advisory_lock(%s);

-- fire --
-- Keep what was found, unless it was told in its window already, or is told still. Of several at once one does.
INSERT INTO alerts
    (alert_id, rule, kind, subject, window_since, window_until, cause, title, message, figures, contributors, rules_version)
SELECT
    %(alert_id)s, %(rule)s, %(kind)s, %(subject)s, %(window_since)s, %(window_until)s, %(cause)s, %(title)s, %(message)s,
    %(figures)s, %(contributors)s, %(rules_version)s
WHERE NOT EXISTS (
    SELECT FROM alert_states
    WHERE rule = %(rule)s AND kind = %(kind)s AND subject = %(subject)s AND resolved_at IS NULL
        AND %(lasting)s
)
ON CONFLICT (alert_id) DO NOTHING
RETURNING alert_id;

-- open --
-- What a rule has told, and is not over.
SELECT alert_id, rule, kind, subject, window_since, window_until, cause, title, message, fired_at, resolved_at
FROM alert_states WHERE rule = %s AND resolved_at IS NULL
ORDER BY fired_at, alert_id;

-- open_of_others --
-- The same of rules that there are no more.
SELECT alert_id, rule, kind, subject, window_since, window_until, cause, title, message, fired_at, resolved_at
FROM alert_states WHERE rule <> ALL (%s) AND resolved_at IS NULL
ORDER BY fired_at, alert_id;

-- resolve --
-- Say that it is over.
INSERT INTO alert_resolutions (alert_id) VALUES (%s) ON CONFLICT (alert_id) DO NOTHING
RETURNING resolved_at;

-- fired --
-- What was told since a moment, the latest first; only what is not over, if asked.
SELECT alert_id, rule, kind, subject, window_since, window_until, cause, title, message, fired_at, resolved_at
FROM alert_states
WHERE (%(open_only)s AND resolved_at IS NULL) OR (NOT %(open_only)s AND fired_at >= %(since)s)
ORDER BY fired_at DESC, alert_id LIMIT %(most)s;

-- alert --
-- One alert by the beginning of its id, with all that is known of it.
SELECT
    alert_id, rule, kind, subject, window_since, window_until, cause, title, message, fired_at, resolved_at,
    figures, contributors, rules_version
FROM alert_states WHERE alert_id::text LIKE %s || '%%' ORDER BY fired_at DESC LIMIT 2;

-- store_delivery --
-- Store a message before it is sent.
INSERT INTO alert_deliveries (alert_id, event, channel, payload)
VALUES (%(alert_id)s, %(event)s, %(channel)s, %(payload)s)
ON CONFLICT (alert_id, event, channel) DO NOTHING
RETURNING delivery_id;

-- due --
-- Messages to be sent now, the oldest first: those that no attempt has settled, and whose pause is over. Tests are
-- sent by who asks for them, once.
SELECT delivery_id, alert_id, event, channel, payload, stored_at, coalesce(last.attempt, 0)
FROM alert_deliveries LEFT JOIN LATERAL (
    SELECT attempt, outcome, again_at FROM alert_attempts
    WHERE alert_attempts.delivery_id = alert_deliveries.delivery_id ORDER BY attempt DESC LIMIT 1
) AS last ON true
WHERE event <> 'test' AND (last.outcome IS NULL OR last.outcome = 'failed' AND last.again_at <= now())
ORDER BY stored_at, delivery_id LIMIT %s;

-- next_due --
-- When the next message is to be sent.
SELECT min(coalesce(last.again_at, stored_at))
FROM alert_deliveries LEFT JOIN LATERAL (
    SELECT outcome, again_at FROM alert_attempts
    WHERE alert_attempts.delivery_id = alert_deliveries.delivery_id ORDER BY attempt DESC LIMIT 1
) AS last ON true
WHERE event <> 'test' AND (last.outcome IS NULL OR last.outcome = 'failed');

-- attempted --
-- Keep what came of an attempt.
INSERT INTO alert_attempts (delivery_id, attempt, began_at, ended_at, outcome, status, detail, again_at)
VALUES (%(delivery_id)s, %(attempt)s, %(began_at)s, %(ended_at)s, %(outcome)s, %(status)s, %(detail)s, %(again_at)s);

-- history --
-- Attempts since a moment, the latest first, with what they were to tell; a message that was not tried yet has none.
SELECT
    stored_at, event, channel, alerts.rule, alerts.title, attempt, began_at, outcome, status, detail, again_at,
    delivery_id::text, alert_id::text
FROM alert_deliveries
LEFT JOIN alert_attempts USING (delivery_id)
LEFT JOIN alerts USING (alert_id)
WHERE stored_at >= %(since)s
ORDER BY coalesce(began_at, stored_at) DESC, delivery_id, attempt DESC LIMIT %(most)s;
