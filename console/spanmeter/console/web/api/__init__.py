"""The HTTP API: each resource is one module with its routes."""

from collections.abc import Sequence
from typing import Final

from fastapi import APIRouter

from spanmeter.console.web.api import (
    actions,
    alerts,
    approvals,
    budgets,
    evaluations,
    events,
    grants,
    health,
    keys,
    limits,
    margin,
    plans,
    rates,
    reconciliations,
    rules,
    statements,
    tenants,
    unattributed,
    usage,
)

ROUTERS: Final[Sequence[APIRouter]] = (
    usage.router,
    actions.router,
    events.router,
    unattributed.router,
    evaluations.router,
    tenants.router,
    budgets.router,
    approvals.router,
    limits.router,
    statements.router,
    grants.router,
    plans.router,
    margin.router,
    alerts.router,
    rates.router,
    rules.router,
    keys.router,
    reconciliations.router,
    health.router,
)
"""A new resource is one module, named here."""
