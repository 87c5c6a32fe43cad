-- Who may send and read: API keys, a log of what was changed and refused, and the ledger as one tenant may see it.

CREATE TABLE api_keys (
    key_id text PRIMARY KEY CHECK (key_id ~ '^smk_[0-9a-f]{12}$'),
    name text NOT NULL CHECK (name <> ''),
    digest bytea NOT NULL UNIQUE CHECK (octet_length(digest) = 32),
    scopes text[] NOT NULL CHECK (cardinality(scopes) > 0 AND scopes <@ ARRAY['ingest', 'read', 'admin']),
    tenants text[] CHECK (
        cardinality(tenants) > 0 AND array_position(tenants, NULL) IS NULL AND '' <> ALL (tenants)
    ),
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL DEFAULT session_user,
    replaces text REFERENCES api_keys,
    expires_at timestamptz,
    revoked_at timestamptz,
    last_used_at timestamptz,
    CONSTRAINT api_keys_admin_is_unbound CHECK (tenants IS NULL OR NOT 'admin' = ANY (scopes))
);

COMMENT ON TABLE api_keys IS 'Who may send spans or read usage. A key itself is shown once and never stored.';
COMMENT ON COLUMN api_keys.key_id IS 'What the key begins with, to know it again by; no secret.';
COMMENT ON COLUMN api_keys.name IS 'What it is for, in the words of who made it.';
COMMENT ON COLUMN api_keys.digest IS 'SHA-256 of the key, which has 256 random bits.';
COMMENT ON COLUMN api_keys.scopes IS 'What it may do: ingest, read, admin.';
COMMENT ON COLUMN api_keys.tenants IS 'The tenants it may write or read as. NULL: any.';
COMMENT ON COLUMN api_keys.created_at IS 'When it was made.';
COMMENT ON COLUMN api_keys.created_by IS 'The login that made it.';
COMMENT ON COLUMN api_keys.replaces IS 'The key it takes over from.';
COMMENT ON COLUMN api_keys.expires_at IS 'When it stops to work. NULL: never.';
COMMENT ON COLUMN api_keys.revoked_at IS 'When it was revoked. NULL: it was not.';
COMMENT ON COLUMN api_keys.last_used_at IS 'When it was last used, to the minute or so.';

CREATE TABLE access_log (
    entry_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    logged_at timestamptz NOT NULL DEFAULT now(),
    event text NOT NULL DEFAULT 'refused' CHECK (event IN ('created', 'changed', 'revoked', 'refused')),
    key_id text,
    actor text NOT NULL DEFAULT session_user,
    peer text,
    reason text,
    detail text,
    attempts bigint NOT NULL DEFAULT 1 CHECK (attempts > 0),
    since timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX access_log_time ON access_log (logged_at DESC);

COMMENT ON TABLE access_log IS 'Append-only: every change of an API key, and attempts that were refused.';
COMMENT ON COLUMN access_log.entry_id IS 'Number of the entry.';
COMMENT ON COLUMN access_log.logged_at IS 'When it was written.';
COMMENT ON COLUMN access_log.event IS 'created, changed, revoked; or refused, an attempt.';
COMMENT ON COLUMN access_log.key_id IS 'The key, as far as what was shown begins like one.';
COMMENT ON COLUMN access_log.actor IS 'The login that changed the key, or that of the collector which refused.';
COMMENT ON COLUMN access_log.peer IS 'The address that the attempt came from.';
COMMENT ON COLUMN access_log.reason IS 'Why it was refused: missing, malformed, unknown, expired, revoked, scope, wrong_tenant.';
COMMENT ON COLUMN access_log.detail IS 'What was changed, from what to what.';
COMMENT ON COLUMN access_log.attempts IS 'How many attempts of one kind within a minute or so; of wrong_tenant, spans.';
COMMENT ON COLUMN access_log.since IS 'When the first of them was.';

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON access_log
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON access_log
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
-- What a key did is told by its id for ever.
CREATE TRIGGER kept BEFORE DELETE ON api_keys FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER kept_truncate BEFORE TRUNCATE ON api_keys FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE FUNCTION refuse_key_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.key_id, NEW.digest, NEW.scopes, NEW.created_at, NEW.created_by, NEW.replaces)
            IS DISTINCT FROM (OLD.key_id, OLD.digest, OLD.scopes, OLD.created_at, OLD.created_by, OLD.replaces)
        OR OLD.revoked_at IS NOT NULL AND NEW.revoked_at IS DISTINCT FROM OLD.revoked_at THEN
        RAISE EXCEPTION 'of a key only name, tenants and expiry can be changed, and revoked is for good: UPDATE of % refused',
            OLD.key_id USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER unchanged BEFORE UPDATE ON api_keys FOR EACH ROW EXECUTE FUNCTION refuse_key_change();

-- Whoever changes a key, by whatever program, is logged.
CREATE FUNCTION log_key_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    -- What was before is NULL for a new key.
    was api_keys;
    said text;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        was := OLD;
    END IF;
    said := concat_ws('; ',
        CASE WHEN TG_OP = 'INSERT' THEN 'scopes ' || array_to_string(NEW.scopes, ',') END,
        CASE WHEN TG_OP = 'INSERT' THEN 'replaces ' || NEW.replaces END,
        CASE WHEN NEW.name IS DISTINCT FROM was.name THEN 'name ' || NEW.name END,
        CASE WHEN NEW.tenants IS DISTINCT FROM was.tenants OR TG_OP = 'INSERT' THEN
            'tenants ' || coalesce(array_to_string(NEW.tenants, ','), 'any') END,
        CASE WHEN NEW.expires_at IS DISTINCT FROM was.expires_at THEN
            'expires ' || coalesce(NEW.expires_at::text, 'never') END
    );
    IF NEW.revoked_at IS NOT NULL AND was.revoked_at IS NULL THEN
        INSERT INTO access_log (event, key_id, detail) VALUES ('revoked', NEW.key_id, nullif(said, ''));
    ELSIF said <> '' THEN
        INSERT INTO access_log (event, key_id, detail)
        VALUES (CASE TG_OP WHEN 'INSERT' THEN 'created' ELSE 'changed' END, NEW.key_id, said);
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER logged AFTER INSERT OR UPDATE ON api_keys FOR EACH ROW EXECUTE FUNCTION log_key_change();

ALTER TABLE usage_events ADD COLUMN key_id text;
COMMENT ON COLUMN usage_events.key_id IS 'The API key that its span was sent with; NULL: none was asked for.';
COMMENT ON COLUMN usage_events.attributed_by IS
    'The attribute that named the tenant; resource: before it is one of the process; key: the API key. NULL: unattributed.';
ALTER TABLE rejected_spans ADD COLUMN key_id text;
COMMENT ON COLUMN rejected_spans.key_id IS 'The API key that it was sent with: it binds the span when it is redriven, too.';

-- One tenant's view of the ledger. Views and not row-level security on the tables: that passes by the chunks, and
-- the columnstore cannot be used with it.
CREATE TABLE tenant_logins (
    login text PRIMARY KEY,
    tenant_id text NOT NULL CHECK (tenant_id <> ''),
    granted_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE tenant_logins IS 'Logins of the database that are one tenant''s, and cannot be another''s.';
COMMENT ON COLUMN tenant_logins.login IS 'The role that logs in.';
COMMENT ON COLUMN tenant_logins.tenant_id IS 'The tenant whose rows it sees.';
COMMENT ON COLUMN tenant_logins.granted_at IS 'When that was laid down.';

CREATE FUNCTION own_tenant() RETURNS text LANGUAGE plpgsql STABLE SECURITY DEFINER AS $$
DECLARE
    own text := tenant_id FROM tenant_logins WHERE login = session_user;
BEGIN
    IF own IS NULL AND has_table_privilege(session_user, 'usage_events', 'SELECT') THEN
        -- Who may read all of the ledger may look at it as any one tenant; from anybody else the setting is a claim.
        own := nullif(current_setting('spanmeter.tenant', true), '');
    END IF;
    IF own IS NULL THEN
        RAISE EXCEPTION 'this session is no tenant''s: name one with SET LOCAL spanmeter.tenant, as a login that may read the ledger'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN own;
END
$$;
COMMENT ON FUNCTION own_tenant() IS 'The tenant that this session may see; an error where there is none.';

CREATE VIEW own_ledger WITH (security_barrier) AS
    SELECT * FROM ledger WHERE tenant_id = (SELECT own_tenant());
CREATE VIEW own_usage_events WITH (security_barrier) AS
    SELECT * FROM usage_events WHERE tenant_id = (SELECT own_tenant());
CREATE VIEW own_adjustments WITH (security_barrier) AS
    SELECT * FROM adjustments WHERE tenant_id = (SELECT own_tenant());
CREATE VIEW own_usage_hourly WITH (security_barrier) AS
    SELECT * FROM usage_hourly WHERE tenant_id = (SELECT own_tenant());
CREATE VIEW own_usage_daily WITH (security_barrier) AS
    SELECT * FROM usage_daily WHERE tenant_id = (SELECT own_tenant());

DO $$
DECLARE
    named record;
    name text;
BEGIN
    FOR named IN
        SELECT 'own_' || whole AS own, whole
        FROM unnest(ARRAY['ledger', 'usage_events', 'adjustments', 'usage_hourly', 'usage_daily']) AS whole
    LOOP
        EXECUTE format('COMMENT ON VIEW %I IS %L', named.own, 'The rows of ' || named.whole || ' that are of the session''s tenant.');
        FOR name IN SELECT attname FROM pg_attribute WHERE attrelid = named.own::regclass AND attnum > 0 LOOP
            EXECUTE format('COMMENT ON COLUMN %I.%I IS %L', named.own, name, (
                SELECT col_description(attrelid, attnum) FROM pg_attribute
                WHERE attrelid = named.whole::regclass AND attname = name
            ));
        END LOOP;
    END LOOP;
    -- What runs as its owner must not be led to another's tables.
    FOREACH name IN ARRAY ARRAY['log_key_change', 'own_tenant'] LOOP
        EXECUTE format('ALTER FUNCTION %I SET search_path = %I, pg_temp', name, current_schema());
    END LOOP;
END
$$;

DO $$
BEGIN
    IF to_regrole('spanmeter_tenant') IS NULL THEN
        CREATE ROLE spanmeter_tenant NOLOGIN;
    END IF;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL;
    WHEN insufficient_privilege THEN
        RAISE NOTICE 'role spanmeter_tenant was not created: %', SQLERRM;
END
$$;

DO $$
BEGIN
    IF to_regrole('spanmeter_writer') IS NOT NULL THEN
        GRANT SELECT ON api_keys, tenant_logins TO spanmeter_writer;
        GRANT UPDATE (last_used_at) ON api_keys TO spanmeter_writer;
        -- Refusals are all that it can log.
        GRANT INSERT (key_id, peer, reason, attempts, since) ON access_log TO spanmeter_writer;
    END IF;
    IF to_regrole('spanmeter_reader') IS NOT NULL THEN
        GRANT SELECT (
            key_id, name, scopes, tenants, created_at, created_by, replaces, expires_at, revoked_at, last_used_at
        ) ON api_keys TO spanmeter_reader;
        GRANT SELECT ON access_log, tenant_logins TO spanmeter_reader;
    END IF;
    IF to_regrole('spanmeter_tenant') IS NOT NULL THEN
        GRANT SELECT ON
            own_ledger, own_usage_events, own_adjustments, own_usage_hourly, own_usage_daily
        TO spanmeter_tenant;
    END IF;
END
$$;

-- Both may look at the ledger as a tenant, to serve one, or to see that it sees no other's.
DO $$
DECLARE
    member text;
BEGIN
    FOREACH member IN ARRAY ARRAY['spanmeter_writer', 'spanmeter_reader'] LOOP
        IF to_regrole(member) IS NOT NULL AND to_regrole('spanmeter_tenant') IS NOT NULL
                AND NOT pg_has_role(member, 'spanmeter_tenant', 'MEMBER') THEN
            EXECUTE format('GRANT spanmeter_tenant TO %I', member);
        END IF;
    END LOOP;
EXCEPTION
    -- Another database's migration did it a moment ago; XX000 is PostgreSQL's "tuple concurrently updated".
    WHEN unique_violation OR internal_error THEN NULL;
    WHEN insufficient_privilege THEN
        RAISE NOTICE 'role spanmeter_tenant was not granted: %', SQLERRM;
END
$$;
