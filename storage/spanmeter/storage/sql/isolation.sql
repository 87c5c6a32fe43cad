-- tenant_role --
-- Whether there is a role for tenants, and whether this login may put itself in its place.
SELECT to_regrole('spanmeter_tenant') IS NOT NULL,
    to_regrole('spanmeter_tenant') IS NOT NULL AND pg_has_role('spanmeter_tenant', 'MEMBER');

-- holding --
-- What holds rows of tenants, or sums of them: tables of the ledger's owner with a column that tells so, their chunks and
-- partitions, and the views that read one of these, but for those that show a session its own tenant.
WITH RECURSIVE holding AS (
    SELECT pg_class.oid
    FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
    WHERE attname IN ('tenant_id', 'tenants', 'trace_id', 'series', 'cost') AND relkind IN ('r', 'p') AND relname <> 'tenant_logins'
        AND (relnamespace, relowner) = (
            SELECT relnamespace, relowner FROM pg_class WHERE oid = 'usage_events'::regclass
        )
    UNION
    SELECT reached.oid
    FROM holding CROSS JOIN LATERAL (
        SELECT inhrelid AS oid FROM pg_inherits WHERE inhparent = holding.oid
        UNION ALL
        SELECT ev_class
        FROM pg_depend JOIN pg_rewrite ON pg_rewrite.oid = objid AND classid = 'pg_rewrite'::regclass
        WHERE refclassid = 'pg_class'::regclass AND refobjid = holding.oid
    ) AS reached
    WHERE reached.oid <> ALL (ARRAY[
        'own_ledger', 'own_usage_events', 'own_adjustments', 'own_usage_hourly', 'own_usage_daily', 'own_usage_monthly',
        'own_usage_hourly_quantities', 'own_usage_daily_quantities', 'own_shown_daily', 'own_shown_ledger'
    ]::regclass[])
)
SELECT holding.oid, format('%I.%I', nspname, relname) AS name, relkind, relispartition OR nspname <> current_schema()
FROM holding JOIN pg_class ON pg_class.oid = holding.oid JOIN pg_namespace ON pg_namespace.oid = relnamespace
ORDER BY 2;

-- reachable --
-- Of these, what the role for tenants, or a login that is a tenant's, may read or change, and which role that is.
SELECT relation::regclass::text, role
FROM unnest(%(relations)s::oid[]) AS relation JOIN pg_class ON pg_class.oid = relation
CROSS JOIN (
    SELECT 'spanmeter_tenant' AS role
    UNION
    SELECT login FROM tenant_logins WHERE to_regrole(quote_ident(login)) IS NOT NULL
) AS roles
WHERE has_schema_privilege(role, relnamespace, 'USAGE')
    AND (has_any_column_privilege(role, relation, 'SELECT, INSERT, UPDATE') OR has_table_privilege(role, relation, 'DELETE, TRUNCATE'))
ORDER BY 1, 2;

-- become_tenant --
-- Until the end of the transaction, be a tenant that there is none of.
SELECT set_config('role', 'spanmeter_tenant', true), set_config('spanmeter.tenant', gen_random_uuid()::text, true);

-- read --
-- Try to read any row at all.
SELECT 1 FROM {relation} LIMIT 1 /* spanmeter's self-test: has to be refused, or to find nothing */;
