-- Who may look at the pages: what tokens are signed with, links that log in once, and what each tenant is shown of itself.

CREATE TABLE signing_secrets (
    secret_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    secret bytea NOT NULL CHECK (octet_length(secret) = 32),
    made_at timestamptz NOT NULL DEFAULT now(),
    made_by text NOT NULL DEFAULT session_user,
    retires_at timestamptz
);

COMMENT ON TABLE signing_secrets IS 'What the console signs its tokens with. The latest signs; those that are not retired verify.';
COMMENT ON COLUMN signing_secrets.secret_id IS 'Number of the secret; each token names it.';
COMMENT ON COLUMN signing_secrets.secret IS '256 random bits.';
COMMENT ON COLUMN signing_secrets.made_at IS 'When it was made.';
COMMENT ON COLUMN signing_secrets.made_by IS 'The login that made it.';
COMMENT ON COLUMN signing_secrets.retires_at IS 'From then on no token that it signed is good. NULL: it is in use.';

CREATE TABLE login_links (
    digest bytea PRIMARY KEY CHECK (octet_length(digest) = 32),
    made_at timestamptz NOT NULL DEFAULT now(),
    made_by text NOT NULL DEFAULT session_user,
    expires_at timestamptz NOT NULL,
    used_at timestamptz
);

COMMENT ON TABLE login_links IS 'Links that log an operator in, once.';
COMMENT ON COLUMN login_links.digest IS 'SHA-256 of the link''s token, which has 256 random bits.';
COMMENT ON COLUMN login_links.made_at IS 'When it was made.';
COMMENT ON COLUMN login_links.made_by IS 'The login that made it.';
COMMENT ON COLUMN login_links.expires_at IS 'When it stops to work.';
COMMENT ON COLUMN login_links.used_at IS 'When somebody logged in with it. NULL: nobody did.';

CREATE TABLE tenant_views (
    entry_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id text NOT NULL CHECK (tenant_id <> ''),
    shows_models boolean NOT NULL,
    shows_cost boolean NOT NULL,
    set_at timestamptz NOT NULL DEFAULT now(),
    set_by text NOT NULL,
    login text NOT NULL DEFAULT session_user
);
CREATE INDEX tenant_views_tenant ON tenant_views (tenant_id, entry_id DESC);

COMMENT ON TABLE tenant_views IS 'What a tenant is shown of its own usage beyond counts; the latest entry holds. None: nothing.';
COMMENT ON COLUMN tenant_views.entry_id IS 'Number of the entry.';
COMMENT ON COLUMN tenant_views.tenant_id IS 'The tenant.';
COMMENT ON COLUMN tenant_views.shows_models IS 'Whether it sees providers and models.';
COMMENT ON COLUMN tenant_views.shows_cost IS 'Whether it sees what its usage costs you.';
COMMENT ON COLUMN tenant_views.set_at IS 'When that was laid down.';
COMMENT ON COLUMN tenant_views.set_by IS 'Who laid it down, as they say.';
COMMENT ON COLUMN tenant_views.login IS 'The login that did.';

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON tenant_views
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON tenant_views
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE FUNCTION own_view_shows(what text) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER
RETURN coalesce((
    SELECT CASE what WHEN 'models' THEN shows_models WHEN 'cost' THEN shows_cost END
    FROM tenant_views WHERE tenant_id = own_tenant() ORDER BY entry_id DESC LIMIT 1
), false);
COMMENT ON FUNCTION own_view_shows(text) IS 'Whether the session''s tenant is shown its models, or its cost.';

-- What a tenant is shown, whatever program asks: no provider, model or cost unless its view has them. Where the code runs
-- (service, call site) and what the provider said (error, response) are nobody's but the operator's.
CREATE VIEW own_shown_daily WITH (security_barrier) AS
SELECT
    day, workspace_id, project_id, feature, workflow, account_type, environment, billable_state,
    CASE WHEN (SELECT own_view_shows('models')) THEN provider END AS provider,
    CASE WHEN (SELECT own_view_shows('models')) THEN model END AS model,
    requests, failed_requests, input_tokens, cache_read_input_tokens, cache_write_input_tokens, output_tokens,
    reasoning_output_tokens,
    CASE WHEN (SELECT own_view_shows('cost')) THEN unpriced_requests END AS unpriced_requests,
    CASE WHEN (SELECT own_view_shows('cost')) THEN cost END AS cost,
    currency
FROM usage_daily WHERE tenant_id = (SELECT own_tenant());

CREATE VIEW own_shown_ledger WITH (security_barrier) AS
SELECT
    kind, time, workspace_id, project_id, user_id, feature, workflow, action, label, idempotency_key, account_type, dimensions,
    environment, billable_state, status,
    CASE WHEN (SELECT own_view_shows('models')) THEN provider END AS provider,
    CASE WHEN (SELECT own_view_shows('models')) THEN model END AS model,
    requests, input_tokens, cache_read_input_tokens, cache_write_input_tokens, output_tokens, reasoning_output_tokens,
    CASE WHEN (SELECT own_view_shows('cost')) THEN unpriced_requests END AS unpriced_requests,
    CASE WHEN (SELECT own_view_shows('cost')) THEN cost END AS cost,
    currency, trace_id, span_id
FROM ledger WHERE tenant_id = (SELECT own_tenant());

DO $$
DECLARE
    named record;
BEGIN
    FOR named IN
        SELECT own, whole, attname AS name, (
            SELECT col_description(attrelid, attnum) FROM pg_attribute
            WHERE attrelid = whole::regclass AND attname = ours.attname
        ) AS meaning
        FROM (VALUES ('own_shown_daily', 'usage_daily'), ('own_shown_ledger', 'ledger')) AS pairs (own, whole)
            JOIN pg_attribute AS ours ON ours.attrelid = own::regclass AND attnum > 0
    LOOP
        EXECUTE format('COMMENT ON VIEW %I IS %L', named.own, 'What the session''s tenant is shown of its rows of ' || named.whole || '.');
        EXECUTE format('COMMENT ON COLUMN %I.%I IS %L', named.own, named.name, named.meaning);
    END LOOP;
    EXECUTE format('ALTER FUNCTION own_view_shows SET search_path = %I, pg_temp', current_schema());
END
$$;

DO $$
BEGIN
    IF to_regrole('spanmeter_console') IS NULL THEN
        CREATE ROLE spanmeter_console NOLOGIN;
    END IF;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL;
    WHEN insufficient_privilege THEN
        RAISE NOTICE 'role spanmeter_console was not created: %', SQLERRM;
END
$$;

-- The console reads what a reader does, checks keys and links, and signs. Keys are made by the owner alone.
DO $$
BEGIN
    IF to_regrole('spanmeter_console') IS NOT NULL THEN
        GRANT SELECT ON signing_secrets, api_keys, tenant_views TO spanmeter_console;
        GRANT INSERT (secret) ON signing_secrets TO spanmeter_console;
        GRANT SELECT, INSERT (digest, expires_at), UPDATE (used_at) ON login_links TO spanmeter_console;
        GRANT UPDATE (last_used_at) ON api_keys TO spanmeter_console;
        GRANT INSERT (tenant_id, shows_models, shows_cost, set_by) ON tenant_views TO spanmeter_console;
        GRANT INSERT (key_id, peer, reason, attempts, since) ON access_log TO spanmeter_console;
    END IF;
    IF to_regrole('spanmeter_reader') IS NOT NULL THEN
        GRANT SELECT ON tenant_views TO spanmeter_reader;
    END IF;
    IF to_regrole('spanmeter_tenant') IS NOT NULL THEN
        GRANT SELECT ON own_shown_daily, own_shown_ledger TO spanmeter_tenant;
    END IF;
END
$$;

DO $$
DECLARE
    held text;
BEGIN
    FOREACH held IN ARRAY ARRAY['spanmeter_reader', 'spanmeter_tenant'] LOOP
        IF to_regrole(held) IS NOT NULL AND to_regrole('spanmeter_console') IS NOT NULL
                AND NOT pg_has_role('spanmeter_console', held, 'MEMBER') THEN
            EXECUTE format('GRANT %I TO spanmeter_console', held);
        END IF;
    END LOOP;
EXCEPTION
    -- Another database's migration did it a moment ago; XX000 is PostgreSQL's "tuple concurrently updated".
    WHEN unique_violation OR internal_error THEN NULL;
    WHEN insufficient_privilege THEN
        RAISE NOTICE 'role spanmeter_console was granted nothing: %', SQLERRM;
END
$$;
