-- Alerts: what is looked for, what was found and when it was over, and every attempt to tell somebody.

CREATE TABLE alert_rules (
    number bigint PRIMARY KEY CHECK (number >= 1),
    version text NOT NULL UNIQUE GENERATED ALWAYS AS ('alerts-' || number) STORED,
    rules text NOT NULL CHECK (rules <> ''),
    set_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    set_by text NOT NULL CHECK (set_by <> ''),
    login text NOT NULL DEFAULT session_user,
    note text
);
COMMENT ON TABLE alert_rules IS
    'Append-only: the versions of the rules of alerts. The last is in force; without any, those of the release are.';
COMMENT ON COLUMN alert_rules.number IS 'Counted from 1.';
COMMENT ON COLUMN alert_rules.version IS 'alerts-1, alerts-2 ...';
COMMENT ON COLUMN alert_rules.rules IS 'The rules and channels as they were given, TOML. Secrets are named in it, and never given.';
COMMENT ON COLUMN alert_rules.set_at IS 'When they came in force.';
COMMENT ON COLUMN alert_rules.set_by IS 'Who set them, as they say.';
COMMENT ON COLUMN alert_rules.login IS 'The database login that set them.';
COMMENT ON COLUMN alert_rules.note IS 'Why, in the words of who set them.';

CREATE TABLE alerts (
    alert_id uuid PRIMARY KEY,
    rule text NOT NULL CHECK (rule <> ''),
    kind text NOT NULL CHECK (kind <> ''),
    subject jsonb NOT NULL CHECK (jsonb_typeof(subject) = 'object'),
    window_since timestamptz NOT NULL,
    window_until timestamptz NOT NULL CHECK (window_until > window_since),
    cause text,
    title text NOT NULL,
    message text NOT NULL,
    figures jsonb NOT NULL CHECK (jsonb_typeof(figures) = 'object'),
    contributors jsonb NOT NULL CHECK (jsonb_typeof(contributors) = 'array'),
    rules_version text NOT NULL,
    fired_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX alerts_fired ON alerts (fired_at DESC);
CREATE INDEX alerts_rule ON alerts (rule, fired_at DESC);

COMMENT ON TABLE alerts IS 'Append-only: what was found, once for each rule, subject and window.';
COMMENT ON COLUMN alerts.alert_id IS 'A digest of rule, kind, subject and the beginning of the window.';
COMMENT ON COLUMN alerts.rule IS 'The rule by its name.';
COMMENT ON COLUMN alerts.kind IS 'budget_threshold, forecast, anomaly, peer_cost, unattributed_share, unpriced_share, provider_gap, missing_records.';
COMMENT ON COLUMN alerts.subject IS 'Whom or what it is about, by dimension.';
COMMENT ON COLUMN alerts.window_since IS 'Beginning of the window in which it is told once.';
COMMENT ON COLUMN alerts.window_until IS 'End of it.';
COMMENT ON COLUMN alerts.cause IS
    'Of an anomaly: tenant_looping, tenant_busier, platform_shifted, integration_broken, unexplained.';
COMMENT ON COLUMN alerts.title IS 'In one line.';
COMMENT ON COLUMN alerts.message IS 'The numbers, in sentences.';
COMMENT ON COLUMN alerts.figures IS 'The numbers by name: decimal digits, and times in ISO 8601, as text.';
COMMENT ON COLUMN alerts.contributors IS 'Who adds most: name, actual, expected.';
COMMENT ON COLUMN alerts.rules_version IS 'The version of the rules that asked for it.';
COMMENT ON COLUMN alerts.fired_at IS 'When it was found.';

CREATE TABLE alert_resolutions (
    alert_id uuid PRIMARY KEY REFERENCES alerts,
    resolved_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE alert_resolutions IS 'Append-only: alerts that are over.';
COMMENT ON COLUMN alert_resolutions.alert_id IS 'The alert.';
COMMENT ON COLUMN alert_resolutions.resolved_at IS 'When that was seen.';

CREATE VIEW alert_states AS
SELECT alerts.*, resolved_at FROM alerts LEFT JOIN alert_resolutions USING (alert_id);

CREATE TABLE alert_deliveries (
    delivery_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    alert_id uuid REFERENCES alerts,
    event text NOT NULL CHECK (event IN ('fired', 'resolved', 'test')),
    channel text NOT NULL CHECK (channel <> ''),
    payload text NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT now(),
    CHECK ((event = 'test') = (alert_id IS NULL))
);
CREATE UNIQUE INDEX alert_deliveries_once ON alert_deliveries (alert_id, event, channel);

COMMENT ON TABLE alert_deliveries IS 'Append-only: messages, stored with what they tell of before they are sent.';
COMMENT ON COLUMN alert_deliveries.delivery_id IS 'Identity of the message: receivers know it again by that.';
COMMENT ON COLUMN alert_deliveries.alert_id IS 'What it tells of. NULL: a test.';
COMMENT ON COLUMN alert_deliveries.event IS 'fired, resolved, or test.';
COMMENT ON COLUMN alert_deliveries.channel IS 'Where it goes, by the name of the channel.';
COMMENT ON COLUMN alert_deliveries.payload IS 'The message, JSON; the same in every attempt.';
COMMENT ON COLUMN alert_deliveries.stored_at IS 'When it was stored.';

CREATE TABLE alert_attempts (
    delivery_id uuid NOT NULL REFERENCES alert_deliveries,
    attempt integer NOT NULL CHECK (attempt >= 1),
    began_at timestamptz NOT NULL,
    ended_at timestamptz NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('delivered', 'failed', 'given_up')),
    status integer,
    detail text,
    again_at timestamptz,
    PRIMARY KEY (delivery_id, attempt),
    CHECK ((outcome = 'failed') = (again_at IS NOT NULL))
);

COMMENT ON TABLE alert_attempts IS 'Append-only: every attempt to deliver a message, and what came of it.';
COMMENT ON COLUMN alert_attempts.delivery_id IS 'The message.';
COMMENT ON COLUMN alert_attempts.attempt IS 'Counted from 1.';
COMMENT ON COLUMN alert_attempts.began_at IS 'When it began.';
COMMENT ON COLUMN alert_attempts.ended_at IS 'When it ended.';
COMMENT ON COLUMN alert_attempts.outcome IS 'delivered; failed, to be tried again; given_up.';
COMMENT ON COLUMN alert_attempts.status IS 'What a webhook answered, HTTP. NULL: nothing, or it is none.';
COMMENT ON COLUMN alert_attempts.detail IS 'Why it failed; without any secret.';
COMMENT ON COLUMN alert_attempts.again_at IS 'When it is tried again, at the earliest.';

COMMENT ON VIEW alert_states IS 'The alerts, and whether they are over.';
DO $$
DECLARE
    named record;
BEGIN
    FOR named IN
        SELECT ours.attname AS name, coalesce(
            col_description('alerts'::regclass, theirs.attnum), 'When it was over. NULL: it is not.'
        ) AS meaning
        FROM pg_attribute AS ours
            LEFT JOIN pg_attribute AS theirs ON theirs.attrelid = 'alerts'::regclass AND theirs.attname = ours.attname
        WHERE ours.attrelid = 'alert_states'::regclass AND ours.attnum > 0
    LOOP
        EXECUTE format('COMMENT ON COLUMN alert_states.%I IS %L', named.name, named.meaning);
    END LOOP;
END
$$;

DO $$
DECLARE
    kept text;
BEGIN
    FOREACH kept IN ARRAY ARRAY[
        'alert_rules', 'alerts', 'alert_resolutions', 'alert_deliveries', 'alert_attempts'
    ] LOOP
        EXECUTE format(
            'CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON %I FOR EACH ROW EXECUTE FUNCTION refuse_change()',
            kept
        );
        EXECUTE format(
            'CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON %I'
            ' FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()',
            kept
        );
    END LOOP;
    IF to_regrole('spanmeter_reader') IS NOT NULL THEN
        GRANT SELECT ON
            alert_rules, alerts, alert_resolutions, alert_states, alert_deliveries, alert_attempts
        TO spanmeter_reader;
    END IF;
    IF to_regrole('spanmeter_writer') IS NOT NULL THEN
        -- With the reader's rights it runs the alerts: it adds what it finds, and can set no rule.
        GRANT SELECT, INSERT ON alerts, alert_resolutions, alert_deliveries, alert_attempts TO spanmeter_writer;
        GRANT SELECT ON alert_rules, alert_states TO spanmeter_writer;
    END IF;
END
$$;
