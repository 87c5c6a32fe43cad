-- What providers charge, as rate cards: dated rates that are recorded, approved, and never changed afterwards.

CREATE TABLE rate_cards (
    card text PRIMARY KEY CHECK (card <> ''),
    scope text NOT NULL CHECK (scope IN ('catalogue', 'organisation', 'contract')),
    tenant_id text UNIQUE,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT rate_cards_contracts_name_a_tenant CHECK ((scope = 'contract') = (tenant_id IS NOT NULL))
);

COMMENT ON TABLE rate_cards IS 'Lists of rates: the catalogue, the organisation''s own, and one for each contract.';
COMMENT ON COLUMN rate_cards.card IS 'Name of the card.';
COMMENT ON COLUMN rate_cards.scope IS 'catalogue, organisation or contract; a contract comes first, the catalogue last.';
COMMENT ON COLUMN rate_cards.tenant_id IS 'Whose contract it is.';
COMMENT ON COLUMN rate_cards.recorded_at IS 'When the card was made.';

CREATE TABLE rate_card_versions (
    card text NOT NULL REFERENCES rate_cards,
    version text NOT NULL CHECK (version <> ''),
    recorded_at timestamptz NOT NULL DEFAULT now(),
    recorded_by text NOT NULL,
    source text NOT NULL,
    complete boolean NOT NULL,
    fallbacks jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(fallbacks) = 'object'),
    PRIMARY KEY (card, version)
);

COMMENT ON TABLE rate_card_versions IS 'What was recorded at one time: an import, or a single rate that was set.';
COMMENT ON COLUMN rate_card_versions.card IS 'The card.';
COMMENT ON COLUMN rate_card_versions.version IS 'Version of the catalogue; other cards number theirs.';
COMMENT ON COLUMN rate_card_versions.recorded_at IS 'When it was recorded.';
COMMENT ON COLUMN rate_card_versions.recorded_by IS 'Who recorded it.';
COMMENT ON COLUMN rate_card_versions.source IS 'The file or the package that it was read from.';
COMMENT ON COLUMN rate_card_versions.complete IS 'True if it speaks for the whole card: what it leaves out is withdrawn.';
COMMENT ON COLUMN rate_card_versions.fallbacks IS 'Provider to the providers whose rates stand in for those it lacks.';

CREATE TABLE rates (
    rate_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    card text NOT NULL,
    version text NOT NULL,
    name text NOT NULL,
    provider text NOT NULL CHECK (provider <> ''),
    model text NOT NULL CHECK (model <> ''),
    matches jsonb NOT NULL CHECK (jsonb_typeof(matches) = 'object'),
    region text,
    service_tier text,
    -- On the minute: what a rate is is remembered for so long.
    effective_from timestamptz CHECK (effective_from = date_trunc('minute', effective_from)),
    hours_from time CHECK (hours_from = date_trunc('minute', hours_from)),
    hours_until time CHECK (hours_until = date_trunc('minute', hours_until)),
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    prices jsonb NOT NULL CHECK (jsonb_typeof(prices) = 'object'),
    withdrawn boolean NOT NULL,
    position int NOT NULL,
    FOREIGN KEY (card, version) REFERENCES rate_card_versions,
    CONSTRAINT rates_once UNIQUE (card, version, name),
    CONSTRAINT rates_hours_have_both_ends CHECK ((hours_from IS NULL) = (hours_until IS NULL))
);
CREATE INDEX rates_name ON rates (card, name);

COMMENT ON TABLE rates IS 'The rates of each version that were new or changed in it. Append-only; in force once approved.';
COMMENT ON COLUMN rates.rate_id IS 'Number of the rate.';
COMMENT ON COLUMN rates.card IS 'Its card.';
COMMENT ON COLUMN rates.version IS 'The version of the card that brought it.';
COMMENT ON COLUMN rates.name IS 'Its identity in the card: provider/model, and what limits it.';
COMMENT ON COLUMN rates.provider IS 'The provider: in the catalogue''s card the catalogue''s name of it.';
COMMENT ON COLUMN rates.model IS 'The model, or a pattern of models'' names.';
COMMENT ON COLUMN rates.matches IS 'Which names of models it takes.';
COMMENT ON COLUMN rates.region IS 'The region it is limited to; NULL: any.';
COMMENT ON COLUMN rates.service_tier IS 'The service tier it is for; *: any; NULL: the list price.';
COMMENT ON COLUMN rates.effective_from IS 'Calls from then on are charged at it; NULL: it has always been.';
COMMENT ON COLUMN rates.hours_from IS 'The hours of the day, UTC, that it is limited to: from then ...';
COMMENT ON COLUMN rates.hours_until IS '... until before then; 00:00 is the end of the day.';
COMMENT ON COLUMN rates.currency IS 'Currency of its prices, ISO 4217.';
COMMENT ON COLUMN rates.prices IS 'Unit to price, for how many, and tiers by input tokens; empty: it ends here.';
COMMENT ON COLUMN rates.withdrawn IS 'True if the rate of this name is taken back, as if it had never been.';
COMMENT ON COLUMN rates.position IS 'Of two models of a catalogue that take a name the first one counts.';

CREATE TABLE rate_approvals (
    approval bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    rate_id bigint NOT NULL UNIQUE REFERENCES rates,
    approved_at timestamptz NOT NULL DEFAULT now(),
    approved_by text NOT NULL
);

COMMENT ON TABLE rate_approvals IS 'Which rates are in force, and since when: of one name the one approved last.';
COMMENT ON COLUMN rate_approvals.approval IS 'Number of the approval.';
COMMENT ON COLUMN rate_approvals.rate_id IS 'The rate.';
COMMENT ON COLUMN rate_approvals.approved_at IS 'When it came into force: what was metered before was metered without it.';
COMMENT ON COLUMN rate_approvals.approved_by IS 'Who approved it.';

CREATE TABLE rate_opinions (
    opinion bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    rate_id bigint NOT NULL REFERENCES rates,
    agrees boolean NOT NULL,
    differences jsonb NOT NULL CHECK (jsonb_typeof(differences) = 'object'),
    source text NOT NULL,
    given_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX rate_opinions_rate ON rate_opinions (rate_id, opinion DESC);

COMMENT ON TABLE rate_opinions IS 'What a second catalogue says of a rate; of several the last counts.';
COMMENT ON COLUMN rate_opinions.opinion IS 'Number of the opinion.';
COMMENT ON COLUMN rate_opinions.rate_id IS 'The rate.';
COMMENT ON COLUMN rate_opinions.agrees IS 'False if some price differs by more than 1 %: it is approved by its name only.';
COMMENT ON COLUMN rate_opinions.differences IS 'Unit to the price that the second catalogue has for it.';
COMMENT ON COLUMN rate_opinions.source IS 'The second catalogue: file and digest.';
COMMENT ON COLUMN rate_opinions.given_at IS 'When they were compared.';

CREATE VIEW rates_in_force AS
SELECT scope, tenant_id, rates.*
FROM (
    SELECT DISTINCT ON (rates.card, rates.name) rates.*, approved_at, approved_by, approval
    FROM rates JOIN rate_approvals USING (rate_id)
    ORDER BY rates.card, rates.name, approval DESC
) AS rates JOIN rate_cards USING (card)
WHERE NOT withdrawn;

COMMENT ON VIEW rates_in_force IS 'The rates that calls are charged at now, of all dates.';

CREATE FUNCTION refuse_rate_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_RELID::regclass, TG_OP
        USING ERRCODE = 'restrict_violation', HINT = 'Record another version with `spanmeter rates`.';
END
$$;

DO $$
DECLARE
    kept text;
    named record;
BEGIN
    FOREACH kept IN ARRAY ARRAY['rate_cards', 'rate_card_versions', 'rates', 'rate_approvals', 'rate_opinions'] LOOP
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON %I
            FOR EACH ROW EXECUTE FUNCTION refuse_rate_change()', kept);
        EXECUTE format('CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON %I
            FOR EACH STATEMENT EXECUTE FUNCTION refuse_rate_change()', kept);
    END LOOP;
    -- A column of the view means what it means in the table it comes from.
    FOR named IN
        SELECT DISTINCT ON (ours.attname) ours.attname AS name, col_description(theirs.attrelid, theirs.attnum) AS meaning
        FROM pg_attribute AS ours JOIN pg_attribute AS theirs USING (attname)
        WHERE ours.attrelid = 'rates_in_force'::regclass AND ours.attnum > 0
            AND theirs.attrelid IN ('rates'::regclass, 'rate_cards'::regclass, 'rate_approvals'::regclass)
    LOOP
        EXECUTE format('COMMENT ON COLUMN rates_in_force.%I IS %L', named.name, named.meaning);
    END LOOP;
    IF to_regrole('spanmeter_writer') IS NOT NULL THEN
        -- The collector meters at what is approved; it approves nothing.
        GRANT SELECT ON rate_cards, rate_card_versions, rates, rate_approvals, rates_in_force TO spanmeter_writer;
    END IF;
    IF to_regrole('spanmeter_reader') IS NOT NULL THEN
        GRANT SELECT ON rate_cards, rate_card_versions, rates, rate_approvals, rate_opinions, rates_in_force
            TO spanmeter_reader;
    END IF;
END
$$;
