"""One row explained: what it cost and why, whose it is and why, what corrects it; and whether all of that agrees."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, cast

from spanmeter.console.listing import Column, shown
from spanmeter.console.rates_known import RatesKnown
from spanmeter.metering.billable_facts import DECLARED
from spanmeter.metering.costing import Cost
from spanmeter.metering.rechecking import CHARGES_NOTHING, Recheck, RulesByVersion, recheck
from spanmeter.metering.who import Who
from spanmeter.storage.adjustments import Adjustment
from spanmeter.storage.booked_events import BookedEvent, duplicates, superseded
from spanmeter.storage.connection import Connection
from spanmeter.storage.corrections import booked_against
from spanmeter.storage.positions import positions

_CALL: Final = (
    *("provider", "operation", "request_model", "response_model", "response_id", "region"),
    *("service_tier", "byok", "attempt", "status", "error_type", "duration", "time_to_first_token"),
)
_USED: Final = (
    *("input_tokens", "cache_read_input_tokens", "cache_write_input_tokens", "cache_write_by_ttl"),
    *("output_tokens", "reasoning_output_tokens", "audio_input_tokens", "audio_output_tokens"),
    *("image_input_tokens", "image_output_tokens", "quantities", "usage_source", "raw_usage"),
)

_LISTS: Final = ("adjustments", "now")

Explanation = Mapping[str, Any]
"""Sections by name, as JSON has them: money is text, times are ISO 8601."""


def explained_event(
    connection: Connection, booked: BookedEvent, known: RatesKnown, rules: RulesByVersion
) -> Explanation:
    """All that the ledger knows of a row. Raises RulesError, DatabaseUnavailable."""
    again = recheck(booked.event, known.rates, rules)
    corrections = booked_against(connection, [booked.key]).get(booked.key, [])
    explanation: Explanation = _plain(
        {
            "event": booked.name,
            "agrees": not again.differences,
            "differences": again.differences,
            "span": _span(booked),
            "attribution": _fields(booked, Who._fields),
            "call": _fields(booked, _CALL),
            "used": _fields(booked, _USED),
            "cost": _cost(booked, again, known),
            "state": _state(booked, again),
            "same_call": _same_call(connection, booked),
            "adjustments": [_adjustment(each) for each in corrections],
            "now": [_amounts(each) for each in positions(booked, corrections)],
        }
    )
    return explanation


def as_json(explanation: Explanation) -> str:
    """The explanation as one object."""
    return json.dumps(explanation, indent=2, ensure_ascii=False) + "\n"


def as_text(explanation: Explanation) -> str:
    """The explanation for people: a section after the other, what is not known left out."""
    lines: list[str] = [f"event  {_shown(explanation['event'])}"]
    for name, section in explanation.items():
        if name in _LISTS:
            lines += ["", name, *_items(section)]
        elif isinstance(section, Mapping):
            told = cast("Explanation", section)
            if any(told.values()):
                lines += ["", name.replace("_", " "), *_section(told)]
    lines += ["", *(f"DIFFERS: {_shown(each)}" for each in explanation["differences"])]
    if explanation["agrees"]:
        lines.append("Computed again, cost and state agree.")
    return "\n".join(lines) + "\n"


def _section(section: Mapping[str, Any]) -> Iterator[str]:
    known = {name: value for name, value in section.items() if value not in (None, {}, [])}
    width = max(map(len, known), default=0)
    for name, value in known.items():
        label = name.replace("_", " ")
        if isinstance(value, list):
            yield f"  {label}"
            yield from (f"    {_shown(item)}" for item in cast("Sequence[Any]", value))
        else:
            yield f"  {label:{width}}  {_shown(value)}"


def _items(section: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not section:
        yield "  none"
    for item in section:
        told = (
            f"{name.replace('_', ' ')} {_shown(value)}"
            for name, value in item.items()
            if value is not None
        )
        yield "  " + ", ".join(told)


def _shown(value: Any) -> str:
    """Text made safe to print on a terminal."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return shown(text, Column("", ""))


def _fields(booked: BookedEvent, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(booked.event, name) for name in names}


def _span(booked: BookedEvent) -> dict[str, Any]:
    event = booked.event
    return {
        "time": event.time,
        "trace_id": event.trace_id,
        "span_id": event.span_id,
        "parent_span_id": event.parent_span_id,
        "scope": f"{event.scope_name} {event.scope_version}".rstrip(),
        "dialect": event.dialect,
        "api_key": event.key_id,
        "booked_at": booked.ingested_at,
    }


def _cost(booked: BookedEvent, again: Recheck, known: RatesKnown) -> dict[str, Any]:
    event = booked.event
    version = event.rate_version
    return {
        "amount": event.cost,
        "currency": event.currency,
        "quality": event.cost_quality,
        "computed_again": again.cost.amount,
        "rate_version": version,
        **_rate(again, known),
        "because": CHARGES_NOTHING.get(
            version or "", None if version else "no rate is known for it"
        ),
        "formula": _formula(again.cost),
        "lines": [each._asdict() for each in again.cost.components],
    }


def _rate(again: Recheck, known: RatesKnown) -> dict[str, Any]:
    """Where the rate comes from, and since when it holds."""
    stated = None if again.rate is None else known.stated.get(again.rate.rate_version)
    if stated is None:
        return {}
    return {
        "rate_card": f"{stated.card} {stated.version}",
        "rate": stated.name,
        "effective_from": stated.effective_from,
        "approved_at": stated.approved_at,
    }


def _formula(cost: Cost) -> str | None:
    terms = [
        f"{line.quantity} * {_money(line.price)} / {line.per:,} {line.unit}"
        for line in cost.components
    ]
    if not terms or cost.amount is None:
        return None
    return f"{' + '.join(terms)} = {_money(cost.amount)}"


def _money(amount: Decimal) -> str:
    return f"{amount:f}"


def _state(booked: BookedEvent, again: Recheck) -> dict[str, Any]:
    reason = booked.event.billable_reason
    declared = "the application declared it: usage.billable_state"
    return {
        "billable_state": booked.event.billable_state,
        "billable_reason": reason,
        "rule": declared if reason == DECLARED else again.rule and again.rule.text,
    }


def _same_call(connection: Connection, booked: BookedEvent) -> dict[str, Any]:
    """Which row counts this call, and which others describe it."""
    of = booked.duplicate_of
    return {
        "counted_by": None if of is None else booked._replace(event=_keyed(booked, of)).name,
        "also_described_by": [each.name for each in duplicates(connection, booked.key)],
        "took_the_place_of": [each.name for each in superseded(connection, booked.key)],
    }


def _keyed(booked: BookedEvent, key: tuple[bytes, bytes, datetime]) -> Any:
    trace_id, span_id, time = key
    return booked.event._replace(trace_id=trace_id, span_id=span_id, time=time)


def _adjustment(adjustment: Adjustment) -> dict[str, Any]:
    return {
        "adjustment_id": str(adjustment.adjustment_id),
        "reason": adjustment.reason,
        "reference": adjustment.reference,
        **_amounts(adjustment),
        "rate_version": adjustment.rate_version,
    }


def _amounts(adjustment: Adjustment) -> dict[str, Any]:
    return {
        "tenant_id": adjustment.tenant_id,
        "billable_state": adjustment.billable_state,
        "billable_reason": adjustment.billable_reason,
        "requests": adjustment.requests,
        "input_tokens": adjustment.input_tokens,
        "output_tokens": adjustment.output_tokens,
        "cost": adjustment.cost,
        "currency": adjustment.currency,
    }


def _plain(value: Any) -> Any:
    """Values as JSON has them: exact."""
    if isinstance(value, Mapping):
        table = cast("Mapping[str, Any]", value)
        return {name: _plain(inner) for name, inner in table.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in cast("Sequence[Any]", value)]
    return _PLAIN.get(type(cast("object", value)), _as_it_is)(value)


def _as_it_is(value: Any) -> Any:
    return value


_PLAIN: Final[Mapping[type, Callable[[Any], Any]]] = {
    bytes: bytes.hex,
    Decimal: _money,
    datetime: lambda moment: moment.astimezone(UTC).isoformat(),
    timedelta: lambda lasted: f"{lasted.total_seconds():.6f} s",
}
