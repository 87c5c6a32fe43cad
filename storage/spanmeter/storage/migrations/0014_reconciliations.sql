-- Reconciliations: what a provider billed beside what was booked, kept as it was found, and why they differed.

CREATE TABLE reconciliations (
    reconciliation_id uuid PRIMARY KEY,
    provider text NOT NULL,
    since date NOT NULL,
    until date NOT NULL CHECK (until > since),
    closed_at timestamptz,
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    account text,
    providers text[] NOT NULL,
    attributed numeric NOT NULL,
    billed numeric NOT NULL,
    sources text[] NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now(),
    made_by text NOT NULL DEFAULT session_user
);

CREATE TABLE reconciliation_variances (
    reconciliation_id uuid NOT NULL REFERENCES reconciliations,
    place integer NOT NULL,
    day date NOT NULL,
    account text,
    model text,
    tier text NOT NULL,
    cause text NOT NULL,
    amount numeric NOT NULL,
    quantities jsonb NOT NULL CHECK (jsonb_typeof(quantities) = 'object'),
    PRIMARY KEY (reconciliation_id, place)
);

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON reconciliations
    FOR EACH ROW EXECUTE FUNCTION refuse_ledger_change();
CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON reconciliations
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_ledger_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON reconciliation_variances
    FOR EACH ROW EXECUTE FUNCTION refuse_ledger_change();
CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON reconciliation_variances
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_ledger_change();

COMMENT ON TABLE reconciliations IS 'Each comparison of a provider''s bill with the ledger, as it was found.';
COMMENT ON COLUMN reconciliations.reconciliation_id IS 'Identity of the comparison; adjustments it leads to refer to it.';
COMMENT ON COLUMN reconciliations.provider IS 'Whose bill.';
COMMENT ON COLUMN reconciliations.since IS 'First day, UTC.';
COMMENT ON COLUMN reconciliations.until IS 'The day after the last, UTC.';
COMMENT ON COLUMN reconciliations.closed_at IS 'When the books were closed: what was booked later is late. NULL: nothing is.';
COMMENT ON COLUMN reconciliations.currency IS 'Currency of all amounts, ISO 4217.';
COMMENT ON COLUMN reconciliations.account IS 'The dimension that names the provider''s project or workspace, if any.';
COMMENT ON COLUMN reconciliations.providers IS 'The names that the ledger has for the provider.';
COMMENT ON COLUMN reconciliations.attributed IS 'Cost that was booked for tenants in time.';
COMMENT ON COLUMN reconciliations.billed IS 'The sum of the bill: attributed and all variances.';
COMMENT ON COLUMN reconciliations.sources IS 'What the bill was read from.';
COMMENT ON COLUMN reconciliations.made_at IS 'When the comparison was made.';
COMMENT ON COLUMN reconciliations.made_by IS 'The database role that made it.';

COMMENT ON TABLE reconciliation_variances IS 'Why a bill and the ledger differed: one row for each cause in each cell.';
COMMENT ON COLUMN reconciliation_variances.reconciliation_id IS 'The comparison.';
COMMENT ON COLUMN reconciliation_variances.place IS 'Its place in the comparison, from 0.';
COMMENT ON COLUMN reconciliation_variances.day IS 'The day, UTC.';
COMMENT ON COLUMN reconciliation_variances.account IS 'The provider''s project, workspace or account, where it is told apart.';
COMMENT ON COLUMN reconciliation_variances.model IS 'The model; NULL: a charge that no model made.';
COMMENT ON COLUMN reconciliation_variances.tier IS 'The service tier; standard is the list price.';
COMMENT ON COLUMN reconciliation_variances.cause IS 'Why the bill differs.';
COMMENT ON COLUMN reconciliation_variances.amount IS 'What the cause adds to the bill, unrounded.';
COMMENT ON COLUMN reconciliation_variances.quantities IS 'How much more the provider counts, kind to signed decimal number as text.';

DO $$
BEGIN
    IF to_regrole('spanmeter_reader') IS NOT NULL THEN
        GRANT SELECT ON reconciliations, reconciliation_variances TO spanmeter_reader;
    END IF;
END
$$;
