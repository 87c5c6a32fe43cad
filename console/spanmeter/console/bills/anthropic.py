"""Anthropic's bill: the cost report, and the usage report of messages, which has the quantities.

Amounts are decimal texts in cents. Costs at the priority tier are in neither report.
Source: platform.claude.com/docs/en/api/admin/cost_report and .../usage_report/retrieve_messages.
"""

from collections.abc import Generator, Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any, Final

from spanmeter.console.bills.documents import as_object, count, decimal, results, text
from spanmeter.metering.reconciliation.bill import (
    CACHE_READ,
    CACHE_WRITE_1H,
    CACHE_WRITE_5M,
    OUTPUT,
    UNCACHED_INPUT,
    Bill,
    BillLine,
    UnreadableBill,
    tier_named,
)

PROVIDER: Final = "anthropic"

CENTS: Final = 2
"""Decimal places between the lowest unit of the currency and the currency."""

TOKEN_TYPES: Final = {
    "uncached_input_tokens": UNCACHED_INPUT,
    "cache_read_input_tokens": CACHE_READ,
    "cache_creation.ephemeral_5m_input_tokens": CACHE_WRITE_5M,
    "cache_creation.ephemeral_1h_input_tokens": CACHE_WRITE_1H,
    "output_tokens": OUTPUT,
}

COST_TYPES: Final = {"web_search": "web_searches", "code_execution": "code_executions"}
"""Costs of server tools, and the kinds they are; no model is named with them."""


def bill(found: Iterable[tuple[str, Mapping[str, Any]]]) -> Bill:
    """The bill in pages of either kind, in any order. Raises `UnreadableBill`."""
    lines: list[BillLine] = []
    for place, bucket, result in results(found):
        if "amount" in result:
            lines.append(_cost(place, _day(bucket, place), result))
        elif "output_tokens" in result:
            lines += _usage(place, _day(bucket, place), result)
        else:
            raise UnreadableBill(
                f"{place} is of neither report: it has no amount and no output_tokens"
            )
    return Bill(PROVIDER, tuple(lines))


def _day(bucket: Mapping[str, Any], place: str) -> date:
    start = text(bucket.get("starting_at"), f"{place}: starting_at")
    try:
        return datetime.fromisoformat(start or "").astimezone(UTC).date()
    except ValueError as error:
        raise UnreadableBill(f"{place}: starting_at {start!r:.100} is no moment") from error


def _cost(place: str, day: date, result: Mapping[str, Any]) -> BillLine:
    def told(name: str) -> str | None:
        return text(result.get(name), f"{place}: {name}")

    cost_type, token_type = told("cost_type"), told("token_type")
    tier = told("service_tier")
    return BillLine(
        day=day,
        account=told("workspace_id"),
        model=told("model"),
        kind=TOKEN_TYPES.get(token_type or "", token_type)
        or COST_TYPES.get(cost_type or "", cost_type),
        quantity=None,
        amount=decimal(result["amount"], f"{place}: amount").scaleb(-CENTS),
        currency=(told("currency") or "USD").upper(),
        tier=tier_named(tier),
    )


def _usage(place: str, day: date, result: Mapping[str, Any]) -> Generator[BillLine]:
    account = text(result.get("workspace_id"), f"{place}: workspace_id")
    model = text(result.get("model"), f"{place}: model")
    tier = tier_named(text(result.get("service_tier"), f"{place}: service_tier"))
    for name, kind in TOKEN_TYPES.items():
        quantity = count(_inside(result, name), f"{place}: {name}")
        if quantity:
            yield BillLine(day, model, kind, quantity, None, account=account, tier=tier)
    searches = count(
        _inside(result, "server_tool_use.web_search_requests"), f"{place}: web searches"
    )
    if searches:
        # As on the cost report, where no model is named with them.
        yield BillLine(day, None, "web_searches", searches, None, account=account)


def _inside(result: Mapping[str, Any], path: str) -> object:
    value: object = result
    for name in path.split("."):
        inside = as_object(value)
        value = inside.get(name) if inside is not None else None
    return value
