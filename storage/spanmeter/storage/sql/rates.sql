-- one_change_at_a_time --
-- What is recorded rests on what is approved, and the other way round: one change of the cards after the other.
SELECT pg_advisory_xact_lock(%s);

-- approved --
-- All that was ever approved, in the order of the approvals.
SELECT {columns}, scope, tenant_id, approved_at, approval
FROM rates JOIN rate_approvals USING (rate_id) JOIN rate_cards USING (card)
ORDER BY approval;

-- fallbacks --
-- Which providers stand in for which: by when the versions that say so came into force.
SELECT min(approved_at), fallbacks
FROM rate_card_versions JOIN rates USING (card, version) JOIN rate_approvals USING (rate_id)
WHERE complete
GROUP BY card, version, fallbacks
ORDER BY 1;

-- state --
-- Changes whenever something is approved, in whatever order transactions end.
SELECT count(*), max(approval), max(approved_at) FROM rate_approvals;

-- has_card --
-- Whether a version of the card was ever recorded.
SELECT EXISTS (SELECT FROM rate_card_versions WHERE card = %s);

-- has_version --
-- Whether this version of the card was recorded.
SELECT EXISTS (SELECT FROM rate_card_versions WHERE card = %(card)s AND version = %(version)s);

-- next_version --
-- The number of the next version of a card that numbers its own.
SELECT (count(*) + 1)::text FROM rate_card_versions WHERE card = %s;

-- add_card --
-- Make the card, unless it is there.
INSERT INTO rate_cards (card, scope, tenant_id) VALUES (%(card)s, %(scope)s, %(tenant_id)s)
ON CONFLICT (card) DO NOTHING;

-- add_version --
-- Record a version of a card.
INSERT INTO rate_card_versions (card, version, recorded_by, source, complete, fallbacks)
VALUES (%(card)s, %(version)s, %(recorded_by)s, %(source)s, %(complete)s, %(fallbacks)s);

-- add_rates --
-- Record the rates of a version.
INSERT INTO rates ({columns})
SELECT {columns} FROM jsonb_populate_recordset(NULL::rates, %s::jsonb);

-- pending --
-- Rates that wait for approval: neither approved, nor overtaken by a later one of their name or by a later version that
-- speaks for the whole card. Each with what the second catalogue said last.
SELECT {columns}, scope, tenant_id, rates.rate_id, agrees, differences, opinion.source
FROM rates JOIN rate_cards USING (card) JOIN rate_card_versions AS recorded USING (card, version)
    LEFT JOIN LATERAL (
        SELECT * FROM rate_opinions WHERE rate_opinions.rate_id = rates.rate_id ORDER BY opinion DESC LIMIT 1
    ) AS opinion ON true
WHERE NOT EXISTS (SELECT FROM rate_approvals WHERE rate_approvals.rate_id = rates.rate_id)
    AND NOT EXISTS (
        SELECT FROM rates AS later
        WHERE later.card = rates.card AND later.name = rates.name AND later.rate_id > rates.rate_id
    )
    AND NOT EXISTS (
        SELECT FROM rate_card_versions AS later
        WHERE later.card = rates.card AND later.complete AND later.recorded_at > recorded.recorded_at
    )
    AND (%(card)s::text IS NULL OR rates.card = %(card)s)
ORDER BY rates.card, rates.provider, rates.model, rates.rate_id;

-- approve --
-- Bring pending rates into force.
INSERT INTO rate_approvals (rate_id, approved_by)
SELECT rate_id, %(approved_by)s FROM unnest(%(rate_ids)s::bigint[]) AS rate_id ORDER BY rate_id
ON CONFLICT (rate_id) DO NOTHING;

-- approve_version --
-- Bring a whole version into force.
INSERT INTO rate_approvals (rate_id, approved_by)
SELECT rate_id, %(approved_by)s FROM rates WHERE card = %(card)s AND version = %(version)s ORDER BY rate_id
ON CONFLICT (rate_id) DO NOTHING;

-- add_opinions --
-- Keep what a second catalogue says.
INSERT INTO rate_opinions (rate_id, agrees, differences, source)
SELECT rate_id, agrees, differences, source
FROM jsonb_populate_recordset(NULL::rate_opinions, %s::jsonb);
