-- The operator's billable rules, every version of them: a booked row names the version and the rule that decided.

CREATE TABLE billable_rules (
    number bigint PRIMARY KEY CHECK (number >= 1),
    version text NOT NULL UNIQUE GENERATED ALWAYS AS ('rules-' || number) STORED,
    rules text NOT NULL CHECK (rules <> ''),
    set_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    set_by text NOT NULL CHECK (set_by <> ''),
    login text NOT NULL DEFAULT session_user,
    note text
);

COMMENT ON TABLE billable_rules IS
    'Append-only: the versions of the billable rules. The last is in force; without any, those of the release are.';
COMMENT ON COLUMN billable_rules.number IS 'Counted from 1.';
COMMENT ON COLUMN billable_rules.version IS 'What billable_reason names before the slash: rules-1, rules-2 ...';
COMMENT ON COLUMN billable_rules.rules IS 'The rules as they were given, TOML.';
COMMENT ON COLUMN billable_rules.set_at IS 'When they came in force.';
COMMENT ON COLUMN billable_rules.set_by IS 'Who set them, as they say.';
COMMENT ON COLUMN billable_rules.login IS 'The database login that set them.';
COMMENT ON COLUMN billable_rules.note IS 'Why, in the words of who set them.';

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_RELID::regclass, TG_OP USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON billable_rules
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON billable_rules
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Collectors listen, and follow at once.
CREATE FUNCTION announce_rules() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('spanmeter_in_force', 'rules');
    RETURN NULL;
END
$$;
CREATE TRIGGER announce AFTER INSERT ON billable_rules FOR EACH STATEMENT EXECUTE FUNCTION announce_rules();

-- What is known of one usage event: its adjustments, and the further descriptions of its call. Few rows have either.
CREATE INDEX adjustments_event ON adjustments (adjusted_trace_id, adjusted_span_id)
    WHERE adjusted_trace_id IS NOT NULL;
CREATE INDEX usage_events_duplicate ON usage_events (duplicate_of_trace_id, duplicate_of_span_id)
    WHERE duplicate_of_trace_id IS NOT NULL;

DO $$
BEGIN
    IF to_regrole('spanmeter_writer') IS NOT NULL THEN
        GRANT SELECT ON billable_rules TO spanmeter_writer;
    END IF;
    IF to_regrole('spanmeter_reader') IS NOT NULL THEN
        GRANT SELECT ON billable_rules TO spanmeter_reader;
    END IF;
END
$$;
