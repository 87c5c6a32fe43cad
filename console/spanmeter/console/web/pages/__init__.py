"""The pages: each is one module with its routes, and one template."""

from collections.abc import Sequence
from typing import Final

from fastapi import APIRouter

from spanmeter.console.web.pages import (
    alerts,
    breakdowns,
    budgets,
    embed,
    events,
    health,
    keys,
    login,
    margin,
    overview,
    quality,
    rates,
    reconciliations,
    rules,
    statements,
    tenants,
    unattributed,
)

ROUTERS: Final[Sequence[APIRouter]] = (
    login.router,
    overview.router,
    tenants.router,
    margin.router,
    statements.router,
    budgets.router,
    alerts.router,
    breakdowns.router,
    quality.router,
    unattributed.router,
    events.router,
    reconciliations.router,
    rates.router,
    rules.router,
    keys.router,
    health.router,
    embed.router,
)
"""A new page is one module, named here."""
