"""Anthropic's reports of usage and cost, as a day of them would be."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

IN, READ, OUT = Decimal("0.000003"), Decimal("0.0000003"), Decimal("0.000015")
"""What claude-sonnet-4-5 costs for a token; tests/unit/metering/test_catalogue.py holds the catalogue to it."""


def usage(
    day: int, uncached: int, read: int, output: int, tier: str = "standard"
) -> dict[str, Any]:
    """A day of Anthropic's usage report."""
    result = {
        "uncached_input_tokens": uncached,
        "cache_read_input_tokens": read,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": output,
        "server_tool_use": {"web_search_requests": 0},
        "model": "claude-sonnet-4-5",
        "service_tier": tier,
        "workspace_id": None,
    }
    return _bucket(day, [result])


def costs(day: int, tier: str = "standard", **amounts: Decimal) -> dict[str, Any]:
    """A day of Anthropic's cost report: dollars, told in cents."""
    results = [
        {
            "amount": str(amount * 100),
            "currency": "USD",
            "cost_type": "tokens",
            "token_type": kind,
            "model": "claude-sonnet-4-5",
            "service_tier": tier,
            "workspace_id": None,
            "description": f"Claude Sonnet 4.5 {kind}",
        }
        for kind, amount in amounts.items()
    ]
    return _bucket(day, results)


def _bucket(day: int, results: list[dict[str, Any]]) -> dict[str, Any]:
    starting = date(2026, 10, day)
    return {
        "starting_at": f"{starting}T00:00:00Z",
        "ending_at": f"{starting + timedelta(days=1)}T00:00:00Z",
        "results": results,
    }


def bill(day: int, uncached: int, read: int, output: int, **more: Any) -> list[dict[str, Any]]:
    """What Anthropic would report of a day, at `times` the list price, the quantities and the costs."""
    times = more.pop("times", Decimal(1))
    tier = more.pop("tier", "standard")
    return [
        usage(day, uncached, read, output, tier),
        costs(
            day,
            tier,
            uncached_input_tokens=uncached * IN * times,
            cache_read_input_tokens=read * READ * times,
            output_tokens=output * OUT * times,
        ),
    ]
