-- usage_events --
-- Calls of one day, spread over its hours. Everything about a call follows from its number, so that two runs have the
-- same rows: tenants are drawn with many small and few large ones, a feature mostly keeps to a model, three calls in a row
-- are for one action, one action in 500 has no tenant, two features have images and sound beside tokens.
INSERT INTO usage_events (
    time, trace_id, span_id,
    tenant_id, workspace_id, user_id, feature, workflow, action, label, idempotency_key, account_type,
    dimensions, environment, service_name, callsite,
    provider, operation, request_model, response_model, response_id, byok, attempt, status, duration,
    input_tokens, cache_read_input_tokens, cache_write_by_ttl, output_tokens, audio_input_tokens, quantities, usage_source,
    billable_state, billable_reason, cost, currency, rate_version, cost_quality, dialect, scope_name, scope_version
)
SELECT
    %(day)s::timestamptz + (n - %(first)s) * interval '1 day' / %(rows)s, int8send(n) || int8send(chance), int8send(n),
    'tenant-' || tenant, 'workspace-' || tenant || '-' || workspace, 'user-' || tenant || '-' || (of_action >> 10 & 63),
    'feature-' || feature, 'workflow-' || feature, 'action-' || feature, 'Action ' || feature,
    'key-' || (n / 3), CASE WHEN tenant %% 10 = 0 THEN 'trial' ELSE 'paid' END,
    '{}', CASE WHEN tenant %% 50 = 0 THEN 'staging' ELSE 'production' END, 'service-' || (feature %% 3),
    CASE WHEN tenant IS NULL THEN 'app/views_' || (chance >> 16 & 15) || '.py:' || (chance >> 20 & 7) END,
    CASE WHEN model < 4 THEN 'openai' ELSE 'anthropic' END, 'chat', 'model-' || model,
    'model-' || model || '-2026-' || CASE WHEN %(day)s >= %(later)s THEN '11' ELSE '08' END, 'response-' || n,
    false, 1, CASE WHEN chance >> 24 & 63 = 0 THEN 'error' ELSE 'ok' END,
    interval '1 millisecond' * (200 + (chance >> 28 & 4095)),
    input_tokens, input_tokens / 4, '{}', output_tokens,
    CASE WHEN feature = 6 THEN input_tokens / 2 END,
    CASE WHEN feature = 6 THEN jsonb_build_object('audio_seconds', ((chance >> 12 & 4095) * 0.01)::text)
        WHEN feature = 7 AND chance >> 44 & 3 = 0 THEN jsonb_build_object('images', (1 + (chance >> 46 & 3))::text)
        ELSE '{}' END,
    'provider',
    CASE WHEN tenant %% 10 = 0 THEN 'included' ELSE 'billable' END, 'defaults-1',
    CASE WHEN chance >> 40 & 1023 <> 0 THEN input_tokens * 0.00000125 + output_tokens * 0.00001 END, 'USD', 'rates-1',
    CASE WHEN chance >> 40 & 1023 <> 0 THEN 'exact' ELSE 'unpriced' END, 'spanmeter', 'spanmeter.openai', '1'
FROM (
    SELECT
        n, chance, of_action,
        CASE WHEN of_action >> 2 & 511 <> 0 THEN (power((of_action >> 32 & 65535) / 65536.0, 3) * 2000)::int END AS tenant,
        of_action >> 8 & 3 AS workspace,
        of_action >> 48 & 7 AS feature,
        CASE WHEN chance >> 51 & 3 = 0 THEN (chance >> 53 & 255) %% 6 ELSE (of_action >> 48 & 7) %% 6 END AS model,
        200 + (chance >> 12 & 4095) AS input_tokens,
        50 + (chance >> 18 & 511) AS output_tokens
    FROM (
        SELECT n, hashint8extended(n, 20261120) AS chance, hashint8extended(n / 3, 20261121) AS of_action
        FROM generate_series(%(first)s::bigint, %(first)s::bigint + %(rows)s - 1) AS n
    ) AS numbered
) AS drawn;

-- without_index --
-- Loading is quicker without the index that every row finds another place in.
DROP INDEX usage_events_tenant;

-- uncounted --
-- The rollups are made by day, in one go each, instead of as rows are booked.
DROP TRIGGER count_usage ON usage_events;

-- with_index --
-- As the migration has it.
CREATE INDEX usage_events_tenant ON usage_events (tenant_id, time DESC);

-- counted --
-- As the migration has it.
CREATE TRIGGER count_usage AFTER INSERT ON usage_events
    REFERENCING NEW TABLE AS booked FOR EACH STATEMENT EXECUTE FUNCTION count_usage();

-- roll_up --
-- The rollups of all days.
SELECT rebuild_usage(%(first)s::date, %(end)s::date);

-- analyze --
-- As autovacuum does in time.
VACUUM (ANALYZE);
