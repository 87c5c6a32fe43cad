"""What an application asks about budgets, read from JSON that anybody may have sent."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple, TypeVar, cast
from uuid import UUID

from spanmeter.collector_receiver.refusals import Unusable
from spanmeter.metering.budgets.budget import BudgetError
from spanmeter.metering.budgets.call_rates import Model
from spanmeter.metering.budgets.documents import decimal
from spanmeter.metering.budgets.scopes import MAX_DIMENSIONS, MAX_VALUE, values_of
from spanmeter.storage.budget_leasing import HeldLease

MAX_BYTES: Final = 1024 * 1024
"""Of a request."""

MAX_WALLETS: Final = 1000
MAX_LEASES: Final = 64
MAX_MODELS: Final = 256
MAX_TEXT: Final = 256

T = TypeVar("T")


class Wallet(NamedTuple):
    """What a process holds of a counter, and wants."""

    budget: str
    counter: str
    leases: Sequence[HeldLease]
    into: UUID | None
    asked: Decimal
    least: Decimal
    ahead: Decimal


class WaitsForApproval(NamedTuple):
    """A call that was refused until somebody lets it."""

    budget: str
    counter: str
    amount: Decimal


class Asked(NamedTuple):
    """A request. `known` is the version of the budgets that the process has."""

    holder: str
    service: str
    known: str
    wallets: Sequence[Wallet]
    models: Sequence[Model]
    approvals: Sequence[WaitsForApproval]


def read(body: bytes) -> Asked:
    """Raises `Unusable` for what is no request."""
    try:
        document = _object(json.loads(body))
        return Asked(
            _text(document["holder"]),
            _text(document.get("service", "")),
            _text(document.get("known", "")),
            _list(document, "wallets", MAX_WALLETS, _wallet),
            _list(document, "models", MAX_MODELS, Model.of),
            _list(document, "approvals", MAX_WALLETS, _approval),
        )
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise Unusable(f"this asks nothing about budgets: {error}") from None


def _wallet(given: object) -> Wallet:
    members = _object(given)
    into = members.get("into")
    return Wallet(
        _text(members["budget"]),
        _counter(members["counter"]),
        _list(members, "leases", MAX_LEASES, _lease),
        None if into is None else UUID(hex=_text(into)),
        _amount(members["asked"]),
        _amount(members["least"]),
        _amount(members["ahead"]),
    )


def _lease(given: object) -> HeldLease:
    members = _object(given)
    window = members.get("window")
    return HeldLease(
        UUID(hex=_text(members["id"])),
        None if window is None else _moment(window),
        _amount(members["held"]),
        members.get("settled") is True,
    )


def _approval(given: object) -> WaitsForApproval:
    members = _object(given)
    return WaitsForApproval(
        _text(members["budget"]), _counter(members["counter"]), _amount(members["amount"])
    )


def _counter(given: object) -> str:
    if not isinstance(given, str) or len(given) > 2 * MAX_DIMENSIONS * MAX_VALUE:
        raise BudgetError("a counter is text of bounded length")
    values_of(given)
    return given


def _amount(given: object) -> Decimal:
    amount = decimal(given)
    if not 0 <= amount <= Decimal(10) ** 18:
        raise BudgetError("an amount is 0 or more, and not endless")
    return amount


def _moment(given: object) -> datetime:
    moment = datetime.fromisoformat(_text(given))
    if moment.tzinfo is None:
        raise BudgetError("a moment has a time zone")
    return moment.astimezone(UTC)


def _text(given: object) -> str:
    if not isinstance(given, str) or len(given) > MAX_TEXT or "\0" in given:
        raise BudgetError("a text of up to 256 characters is missing")
    return given.encode(errors="replace").decode()


def _object(given: object) -> Mapping[str, Any]:
    if not isinstance(given, dict):
        raise BudgetError("an object is missing")
    return cast("Mapping[str, Any]", given)


def _list(
    members: Mapping[str, Any], name: str, most: int, read_one: Callable[[object], T]
) -> list[T]:
    given = members.get(name, [])
    if not isinstance(given, list) or len(cast("list[object]", given)) > most:
        raise BudgetError(f"{name} is a list of up to {most}")
    return [read_one(each) for each in cast("list[object]", given)]
