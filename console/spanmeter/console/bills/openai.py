"""OpenAI's bill: the organization's costs, and its usage, which has the quantities and the service tiers.

Source: platform.openai.com/docs/api-reference/usage (`/v1/organization/costs`, `/v1/organization/usage/...`).
"""

from collections.abc import Generator, Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any, Final

from spanmeter.console.bills.documents import as_object, count, decimal, results, text
from spanmeter.metering.reconciliation.bill import (
    CACHE_READ,
    OUTPUT,
    UNCACHED_INPUT,
    Bill,
    BillLine,
    UnreadableBill,
    tier_named,
)

PROVIDER: Final = "openai"

COSTS: Final = "organization.costs.result"
USAGE: Final = "organization.usage."

LINE_ITEMS: Final = {
    "input": UNCACHED_INPUT,
    "cached input": CACHE_READ,
    "output": OUTPUT,
    "audio input": "audio_input_tokens",
    "audio output": "audio_output_tokens",
    "image input": "image_input_tokens",
    "image output": "image_output_tokens",
}
"""What follows the model in a line item: `gpt-5-2025-08-07, cached input`."""

SIMPLE_COUNTS: Final = {
    "images": "images",
    "characters": "characters",
    "seconds": "audio_seconds",
    "num_sessions": "code_interpreter_sessions",
}
"""Counts of usage that is not of tokens, and the kinds they are."""


def bill(found: Iterable[tuple[str, Mapping[str, Any]]]) -> Bill:
    """The bill in pages of either kind, in any order. Raises `UnreadableBill`."""
    lines: list[BillLine] = []
    for place, bucket, result in results(found):
        kind = result.get("object")
        if kind == COSTS:
            lines.append(_cost(place, _day(bucket, place), result))
        elif isinstance(kind, str) and kind.startswith(USAGE):
            lines += _usage(place, _day(bucket, place), result)
        else:
            raise UnreadableBill(f"{place} is of the kind {kind!r}: neither costs nor usage")
    return Bill(PROVIDER, tuple(_of_models(lines)))


def _day(bucket: Mapping[str, Any], place: str) -> date:
    start = int(count(bucket.get("start_time"), f"{place}: start_time"))
    try:
        return datetime.fromtimestamp(start, UTC).date()
    except (OverflowError, ValueError) as error:
        raise UnreadableBill(f"{place}: start_time {start} is no moment") from error


def _cost(place: str, day: date, result: Mapping[str, Any]) -> BillLine:
    amount = as_object(result.get("amount"))
    if amount is None:
        raise UnreadableBill(f"{place} has no amount")
    item = text(result.get("line_item"), f"{place}: line_item")
    model, kind = _line_item(item)
    return BillLine(
        day=day,
        account=text(result.get("project_id"), f"{place}: project_id"),
        model=model,
        kind=kind,
        quantity=None,
        amount=decimal(amount.get("value"), f"{place}: amount.value"),
        currency=(text(amount.get("currency"), f"{place}: amount.currency") or "usd").upper(),
        tier=None,
    )


def _line_item(item: str | None) -> tuple[str | None, str | None]:
    """The model and the kind."""
    if item is None:
        return None, None
    model, _, what = item.rpartition(", ")
    if not model:
        return item, None
    return model, LINE_ITEMS.get(what.lower(), what.lower().replace(" ", "_"))


def _of_models(lines: list[BillLine]) -> Generator[BillLine]:
    """What is charged for something that no usage names as a model is a charge without one."""
    models = {line.model for line in lines if line.quantity is not None}
    for line in lines:
        if line.kind is None and line.model is not None and line.model not in models:
            yield line._replace(model=None, kind=line.model)
        else:
            yield line


def _usage(place: str, day: date, result: Mapping[str, Any]) -> Generator[BillLine]:
    def counted(name: str) -> int:
        return int(count(result.get(name), f"{place}: {name}"))

    whole = counted("input_text_tokens") or counted("input_tokens")
    cached = counted("input_cached_text_tokens") or counted("input_cached_tokens")
    if cached > whole:
        raise UnreadableBill(f"{place}: {cached} of {whole} input tokens cannot be cached")
    used = {
        UNCACHED_INPUT: whole - cached,
        CACHE_READ: cached,
        OUTPUT: counted("output_text_tokens") or counted("output_tokens"),
        "audio_input_tokens": counted("input_audio_tokens"),
        "audio_output_tokens": counted("output_audio_tokens"),
        "image_input_tokens": counted("input_image_tokens"),
        "image_output_tokens": counted("output_image_tokens"),
        **{kind: counted(name) for name, kind in SIMPLE_COUNTS.items()},
    }
    tier = text(result.get("service_tier"), f"{place}: service_tier")
    for kind, amount in used.items():
        if amount:
            yield BillLine(
                day=day,
                account=text(result.get("project_id"), f"{place}: project_id"),
                model=text(result.get("model"), f"{place}: model"),
                kind=kind,
                quantity=count(amount, place),
                amount=None,
                tier="batch" if result.get("batch") is True else tier_named(tier),
            )
