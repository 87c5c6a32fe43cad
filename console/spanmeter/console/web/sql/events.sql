-- events --
-- Usage events, the latest first: a page of them. What a tenant is not shown is NULL.
SELECT {columns}
FROM {relation}
WHERE time >= %(since)s AND time < %(until)s AND {conditions}
    AND (%(after_time)s::timestamptz IS NULL
        OR (time, trace_id, span_id) < (%(after_time)s::timestamptz, %(after_trace)s::bytea, %(after_span)s::bytea))
ORDER BY time DESC, trace_id DESC, span_id DESC
LIMIT %(limit)s;

-- operators_columns --
-- All that a line of the list has.
time, trace_id, span_id, tenant_id, workspace_id, project_id, user_id, feature, workflow, action, label, idempotency_key,
account_type, environment, dimensions, service_name, callsite, provider, operation, coalesce(response_model, request_model),
status, error_type, extract(epoch FROM duration)::float8, input_tokens, cache_read_input_tokens, cache_write_input_tokens,
output_tokens, reasoning_output_tokens, usage_source, billable_state, cost, currency, cost_quality,
duplicate_of_trace_id IS NOT NULL;

-- own_columns --
-- The same, as far as a tenant is shown it.
time, trace_id, span_id, own_tenant(), workspace_id, project_id, user_id, feature, workflow, action, label, idempotency_key,
account_type, environment, dimensions, NULL, NULL, provider, NULL, model,
status, NULL, NULL, input_tokens, cache_read_input_tokens, cache_write_input_tokens,
output_tokens, reasoning_output_tokens, NULL, billable_state, cost, currency, NULL,
false;

-- model --
-- The model that ran, or the one asked for.
coalesce(response_model, request_model);
