-- What is sent to billing systems: each part is kept before it is sent, so that it arrives once.

CREATE TABLE export_targets (
    target text PRIMARY KEY CHECK (target <> ''),
    kind text NOT NULL,
    mapping_sha256 bytea NOT NULL CHECK (octet_length(mapping_sha256) = 32),
    since timestamptz NOT NULL,
    planned_until timestamptz NOT NULL,
    planned_at timestamptz
);
COMMENT ON TABLE export_targets IS 'Where usage is exported to, and up to where.';
COMMENT ON COLUMN export_targets.target IS 'Name of the target in the file of exports.';
COMMENT ON COLUMN export_targets.kind IS 'What it is: stripe, lago, openmeter, chargebee, cloudevents, focus, csv, parquet.';
COMMENT ON COLUMN export_targets.mapping_sha256 IS 'Digest of its part of the file: where that changed, all is looked at again.';
COMMENT ON COLUMN export_targets.since IS 'Usage from then on is exported.';
COMMENT ON COLUMN export_targets.planned_until IS 'Usage before then is planned.';
COMMENT ON COLUMN export_targets.planned_at IS 'What was booked before is planned; what is booked later is looked for. NULL: nothing is.';

CREATE TABLE export_intents (
    dedupe_id text PRIMARY KEY CHECK (dedupe_id ~ '^[0-9a-f]{64}$'),
    target text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('usage', 'cancel', 'file')),
    tenant_id text CHECK (tenant_id <> ''),
    meter text NOT NULL,
    dimensions jsonb NOT NULL CHECK (jsonb_typeof(dimensions) = 'object'),
    window_start timestamptz NOT NULL,
    window_end timestamptz NOT NULL CHECK (window_end > window_start),
    generation integer NOT NULL CHECK (generation >= 0),
    cancels text REFERENCES export_intents,
    quantity numeric NOT NULL,
    scale numeric NOT NULL CHECK (scale > 0),
    value numeric NOT NULL,
    payload jsonb NOT NULL,
    payload_sha256 bytea NOT NULL CHECK (octet_length(payload_sha256) = 32),
    planned_at timestamptz NOT NULL DEFAULT now(),
    state text NOT NULL CHECK (
        state IN ('pending', 'sent', 'confirmed', 'ambiguous', 'failed', 'carried', 'not_exportable', 'superseded')
    ),
    attempts integer NOT NULL DEFAULT 0,
    first_sent_at timestamptz,
    sent_at timestamptz,
    settled_at timestamptz,
    reason text,
    remote_ref text,
    CONSTRAINT export_intents_cancel_what CHECK ((kind = 'cancel') = (cancels IS NOT NULL)),
    CONSTRAINT export_intents_say_why CHECK (state NOT IN ('failed', 'not_exportable') OR reason IS NOT NULL)
);
CREATE UNIQUE INDEX export_intents_once ON export_intents
    (target, window_start, tenant_id, meter, dimensions, generation) NULLS NOT DISTINCT;
CREATE INDEX export_intents_open ON export_intents (target, window_start)
    WHERE state IN ('pending', 'sent', 'ambiguous', 'failed');
CREATE INDEX export_intents_settled ON export_intents (target, settled_at);

COMMENT ON TABLE export_intents IS 'What is to be sent, and what became of it: kept before it is sent.';
COMMENT ON COLUMN export_intents.dedupe_id IS 'Digest of target, tenant, meter, dimensions, window and generation: by it the target knows a duplicate.';
COMMENT ON COLUMN export_intents.target IS 'Where to.';
COMMENT ON COLUMN export_intents.kind IS 'usage; cancel, of what was sent before; file, all of a window.';
COMMENT ON COLUMN export_intents.tenant_id IS 'Whose usage. NULL: everybody''s, in a file.';
COMMENT ON COLUMN export_intents.meter IS 'The target''s name of what is measured.';
COMMENT ON COLUMN export_intents.dimensions IS 'What else tells usage apart, as the file of exports wants it.';
COMMENT ON COLUMN export_intents.window_start IS 'Start of the hour or day of usage, UTC.';
COMMENT ON COLUMN export_intents.window_end IS 'End of it.';
COMMENT ON COLUMN export_intents.generation IS 'How many there were for the same before: 0 is the first, later ones correct.';
COMMENT ON COLUMN export_intents.cancels IS 'The intent that a cancel takes back.';
COMMENT ON COLUMN export_intents.quantity IS 'Part of the ledger''s sum that this accounts for, signed and exact.';
COMMENT ON COLUMN export_intents.scale IS 'What the quantity is multiplied by for the target.';
COMMENT ON COLUMN export_intents.value IS 'What the target is told. What it lacks, where only whole numbers can be told, goes along with the next.';
COMMENT ON COLUMN export_intents.payload IS 'What is sent.';
COMMENT ON COLUMN export_intents.payload_sha256 IS 'Digest of the payload; of a file, of its content.';
COMMENT ON COLUMN export_intents.planned_at IS 'When it was planned.';
COMMENT ON COLUMN export_intents.state IS
    'pending, sent (no answer yet), confirmed, ambiguous, failed, carried (nothing to send now), not_exportable, superseded (refused, and replaced).';
COMMENT ON COLUMN export_intents.attempts IS 'How often it was sent.';
COMMENT ON COLUMN export_intents.first_sent_at IS 'When it was sent first: from then on a target knows its duplicates.';
COMMENT ON COLUMN export_intents.sent_at IS 'When it was sent last.';
COMMENT ON COLUMN export_intents.settled_at IS 'When it was known what became of it.';
COMMENT ON COLUMN export_intents.reason IS 'Why it is in this state.';
COMMENT ON COLUMN export_intents.remote_ref IS 'The target''s name for it.';

-- What was meant to be sent is never changed afterwards, and what was confirmed stays so.
CREATE FUNCTION refuse_intent_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF to_jsonb(NEW) - ARRAY['state', 'attempts', 'first_sent_at', 'sent_at', 'settled_at', 'reason', 'remote_ref']
            IS DISTINCT FROM
            to_jsonb(OLD) - ARRAY['state', 'attempts', 'first_sent_at', 'sent_at', 'settled_at', 'reason', 'remote_ref']
        OR OLD.state IN ('confirmed', 'carried', 'not_exportable', 'superseded') THEN
        RAISE EXCEPTION 'of an export that is not settled only what became of it can be changed: UPDATE of % refused',
            OLD.dedupe_id USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER unchanged BEFORE UPDATE ON export_intents FOR EACH ROW EXECUTE FUNCTION refuse_intent_change();
CREATE TRIGGER kept BEFORE DELETE ON export_intents FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER kept_truncate BEFORE TRUNCATE ON export_intents FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

DO $$
BEGIN
    IF to_regrole('spanmeter_reader') IS NOT NULL THEN
        GRANT SELECT ON export_targets, export_intents TO spanmeter_reader;
    END IF;
END
$$;
