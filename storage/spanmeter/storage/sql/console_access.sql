-- secrets --
-- What tokens may be signed with by now, the latest first.
SELECT secret_id, secret FROM signing_secrets
WHERE retires_at IS NULL OR retires_at > now()
ORDER BY secret_id DESC;

-- add_secret --
-- From now on tokens are signed with this.
INSERT INTO signing_secrets (secret) VALUES (%s);

-- add_first_secret --
-- The first secret of a ledger, unless there is one by now.
INSERT INTO signing_secrets (secret) SELECT %s WHERE NOT EXISTS (SELECT FROM signing_secrets WHERE retires_at IS NULL);

-- retire_secrets --
-- Those that signed until now do not verify for longer than this.
UPDATE signing_secrets SET retires_at = least(retires_at, now() + %s) WHERE retires_at IS NULL OR retires_at > now();

-- one_secret_at_a_time --
-- Two consoles that start at once make one secret.
SELECT pg_advisory_xact_lock(%s);

-- add_link --
-- A link that logs in once.
INSERT INTO login_links (digest, expires_at) VALUES (%s, now() + %s);

-- use_link --
-- Use a link up, if it is good.
UPDATE login_links SET used_at = now() WHERE digest = %s AND used_at IS NULL AND expires_at > now() RETURNING made_by;

-- key --
-- One key, to compare with the one that was shown.
SELECT key_id, digest, scopes, tenants, expires_at, revoked_at FROM api_keys WHERE key_id = %s;

-- view --
-- What a tenant is shown of its own usage.
SELECT shows_models, shows_cost, set_at, set_by FROM tenant_views WHERE tenant_id = %s ORDER BY entry_id DESC LIMIT 1;

-- set_view --
-- From now on the tenant is shown this.
INSERT INTO tenant_views (tenant_id, shows_models, shows_cost, set_by)
VALUES (%(tenant_id)s, %(shows_models)s, %(shows_cost)s, %(set_by)s)
RETURNING shows_models, shows_cost, set_at, set_by;

-- become_tenant --
-- Until the end of the transaction, see what one tenant is shown and nothing else; without the role, by its views alone.
SELECT set_config('spanmeter.tenant', %(tenant)s, true),
    CASE WHEN to_regrole('spanmeter_tenant') IS NOT NULL THEN set_config('role', 'spanmeter_tenant', true) END;

-- bound_session --
-- A page that asks for too much gives up, before it is a load.
SELECT set_config('statement_timeout', '15s', false), set_config('lock_timeout', '1s', false),
    set_config('idle_in_transaction_session_timeout', '60s', false);
