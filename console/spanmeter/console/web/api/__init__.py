"""The HTTP API: each resource is one module with its routes."""

from collections.abc import Sequence
from typing import Final

from fastapi import APIRouter

from spanmeter.console.web.api import (
    actions,
    evaluations,
    events,
    health,
    keys,
    rates,
    reconciliations,
    rules,
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
    rates.router,
    rules.router,
    keys.router,
    reconciliations.router,
    health.router,
)
"""A new resource is one module, named here."""
