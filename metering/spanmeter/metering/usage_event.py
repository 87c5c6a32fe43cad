"""The usage event: one metered row of the ledger, one attempt at one provider."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Literal, NamedTuple

UsageSource = Literal["provider", "tokenizer", "estimate", "none"]
Status = Literal["ok", "error", "timeout", "cancelled"]
BillableState = Literal["billable", "included", "ignored"]
CostQuality = Literal["exact", "partial", "fallback", "unpriced"]


class UsageEvent(NamedTuple):
    """One request to a provider: who caused it, what it used, what it cost.

    The fields are the columns of `usage_events`, in the same order, so that an event is the row that
    is written. `None` means *not known* everywhere; a count that was reported as 0 is 0.

    `input_tokens` includes cache reads and writes; `output_tokens` includes reasoning. `cost` is in
    `currency`, unrounded, made by `rate_version`; it is `None` where `cost_quality` is `unpriced`.
    """

    # When and where in the trace. `time` is the span's start, UTC: a pure function of the span.
    time: datetime
    trace_id: bytes
    span_id: bytes
    parent_span_id: bytes | None = None

    # Who, and which attribute says so. No tenant is `unattributed`.
    tenant_id: str | None = None
    workspace_id: str | None = None
    project_id: str | None = None
    user_id: str | None = None
    feature: str | None = None
    workflow: str | None = None
    action: str | None = None
    label: str | None = None
    idempotency_key: str | None = None
    account_type: str | None = None
    dimensions: Mapping[str, str] = MappingProxyType({})
    environment: str | None = None
    service_name: str | None = None
    callsite: str | None = None
    attributed_by: str | None = None

    # What was called.
    provider: str = ""
    operation: str = ""
    request_model: str | None = None
    response_model: str | None = None
    response_id: str | None = None
    region: str | None = None
    service_tier: str | None = None
    byok: bool = False

    # How it went.
    attempt: int = 1
    status: Status = "ok"
    error_type: str | None = None
    duration: timedelta = timedelta()
    time_to_first_token: timedelta | None = None

    # How much.
    input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None
    cache_write_by_ttl: Mapping[str, int] = MappingProxyType({})
    output_tokens: int | None = None
    reasoning_output_tokens: int | None = None
    audio_input_tokens: int | None = None
    audio_output_tokens: int | None = None
    image_input_tokens: int | None = None
    image_output_tokens: int | None = None
    quantities: Mapping[str, Decimal] = MappingProxyType({})
    usage_source: UsageSource = "none"
    raw_usage: str | None = None

    # What it costs us, and whether the tenant is charged.
    billable_state: BillableState = "billable"
    billable_reason: str = ""
    cost: Decimal | None = None
    currency: str = "USD"
    rate_version: str | None = None
    cost_quality: CostQuality = "unpriced"

    # Who told us.
    dialect: str = ""
    scope_name: str = ""
    scope_version: str = ""
    key_id: str | None = None
    budget_leases: str | None = None
