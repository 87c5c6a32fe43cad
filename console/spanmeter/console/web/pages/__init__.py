"""The pages: each is one module with its routes, and one template."""

from collections.abc import Sequence
from typing import Final

from fastapi import APIRouter

from spanmeter.console.web.pages import (
    breakdowns,
    embed,
    events,
    health,
    keys,
    login,
    overview,
    quality,
    rates,
    reconciliations,
    rules,
    tenants,
    unattributed,
)

ROUTERS: Final[Sequence[APIRouter]] = (
    login.router,
    overview.router,
    tenants.router,
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
