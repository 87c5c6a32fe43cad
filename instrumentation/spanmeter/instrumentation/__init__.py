"""What runs inside an application: whose call it is, and what the call used.

from spanmeter.instrumentation import instrument, usage

instrument()  # not needed under `opentelemetry-instrument`

with usage(tenant_id="acme", feature="summaries"):
    client.chat.completions.create(...)
"""

from spanmeter.instrumentation.context import UsageContext, current_usage, refine, usage
from spanmeter.instrumentation.errors import (
    ApprovalRequired,
    BudgetExceeded,
    BudgetUnavailable,
    MissingTenant,
    SpanmeterError,
)
from spanmeter.instrumentation.installed import Coverage
from spanmeter.instrumentation.loading import coverage, instrument, uninstrument
from spanmeter.instrumentation.scope import UsageScope

__all__ = [
    "ApprovalRequired",
    "BudgetExceeded",
    "BudgetUnavailable",
    "Coverage",
    "MissingTenant",
    "SpanmeterError",
    "UsageContext",
    "UsageScope",
    "coverage",
    "current_usage",
    "instrument",
    "refine",
    "uninstrument",
    "usage",
]
