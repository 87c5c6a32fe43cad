"""Answers what applications ask about budgets: which there are, what they are lent, what tokens cost."""

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any, Final

from spanmeter.collector_receiver.budgets.asked import Asked, Wallet, read
from spanmeter.collector_receiver.budgets.counted import Counted
from spanmeter.collector_receiver.refusals import Refused, TryAgain
from spanmeter.collector_receiver.sender import Sender
from spanmeter.metering import attributes as names
from spanmeter.metering.budgets.book import BudgetBook
from spanmeter.metering.budgets.budget import PRICE, Budget
from spanmeter.metering.budgets.call_rates import CallRates, Model, TokenRates, cost_rates
from spanmeter.metering.budgets.documents import as_document
from spanmeter.metering.budgets.price_rates import price_rates
from spanmeter.metering.budgets.scopes import EACH, values_of
from spanmeter.metering.meter import Meter
from spanmeter.storage.budget_approvals import ask_for_approval
from spanmeter.storage.budget_leasing import LIVING, Lent, Wanted, lend
from spanmeter.storage.connection import Connection
from spanmeter.storage.errors import StorageError
from spanmeter.storage.plans import read_plan_book

logger = logging.getLogger(__name__)

Tenants = frozenset[str] | None
"""Those that a key is bound to; None: it may ask about any."""


class BudgetService:
    """Answers requests, each in a thread of its own. `meter` is the one that is in force."""

    def __init__(self, counted: Counted, meter: Callable[[], Meter]) -> None:
        self._counted = counted
        self._meter = meter

    def __call__(self, body: bytes, sender: Sender) -> bytes:
        """The answer, as JSON, to a request in JSON. Raises `Refused`."""
        asked = read(body)
        tenants = sender.grant.tenants if sender.grant else None
        try:
            with self._counted.connected() as (connection, book):
                answer = self._answer(connection, book, asked, tenants)
        except StorageError as error:
            raise TryAgain("budgets cannot be looked up: the database does not answer") from error
        except Refused:
            raise
        except Exception as error:
            logger.exception("could not answer about budgets")
            raise TryAgain("an internal error; see the collector's log") from error
        return json.dumps(answer, separators=(",", ":"), ensure_ascii=False).encode()

    def _answer(
        self, connection: Connection, book: BudgetBook, asked: Asked, tenants: Tenants
    ) -> Mapping[str, Any]:
        version = _version(book, tenants)
        answer: dict[str, Any] = {
            "version": version,
            "lives": LIVING.total_seconds(),
            "wallets": [
                _told(wallet, lent)
                for wallet in asked.wallets
                if (lent := _lent(connection, book, asked.holder, wallet, tenants)) is not None
            ],
            "rates": self._rates(
                connection, book, [each for each in asked.models if _is_open(each, tenants)]
            ),
        }
        if asked.known != version:
            answer["budgets"] = [
                {"name": budget.name, **as_document(budget)}
                for budget in book.budgets.values()
                if _is_visible(budget, tenants)
            ]
        for each in asked.approvals:
            budget = book.budgets.get(each.budget)
            if budget is not None and _has(budget, each.counter, tenants):
                ask_for_approval(
                    connection,
                    each.budget,
                    each.counter,
                    each.amount,
                    asked.service or asked.holder,
                )
        return answer

    def _rates(
        self, connection: Connection, book: BudgetBook, models: Iterable[Model]
    ) -> list[Mapping[str, Any]]:
        """Those of each model, at cost, and at the price of the tenant's plan where any budget is on price."""
        now, meter, plans = datetime.now(UTC), self._meter(), None
        told: list[Mapping[str, Any]] = []
        for model in models:
            cost = cost_rates(meter, model, now)
            rates: dict[str, Any] = {"model": list(model), "cost": _rates(cost)}
            if any(budget.metric == PRICE for budget in book.budgets.values()):
                plans = read_plan_book(connection) if plans is None else plans
                version = plans.in_force(model.tenant, now) if model.tenant else None
                price = (
                    _NOTHING_CHARGED if version is None else price_rates(version.plan, model, cost)
                )
                rates["price"] = _rates(price)
            told.append(rates)
        return told


_NOTHING_CHARGED: Final = CallRates(TokenRates(), {}, "")
"""The prices of who has no plan; they are of no currency."""


def _rates(rates: CallRates | None) -> Mapping[str, Any] | None:
    if rates is None:
        return None
    return {
        "tokens": [_exact(each) for each in rates.tokens],
        "units": {unit: _exact(each) for unit, each in rates.units.items()},
        "currency": rates.currency,
    }


def _lent(
    connection: Connection, book: BudgetBook, holder: str, wallet: Wallet, tenants: Tenants
) -> Lent | None:
    """What is lent; None for a budget that is no more, or none of the sender's."""
    budget = book.budgets.get(wallet.budget)
    if budget is None or not _has(budget, wallet.counter, tenants):
        return None
    wanted = Wanted(budget, *wallet[1:])
    return lend(connection, book, holder, wanted)


def _told(wallet: Wallet, lent: Lent) -> Mapping[str, Any]:
    ends = lent.window.end
    return {
        "budget": wallet.budget,
        "counter": wallet.counter,
        "into": None if wallet.into is None else wallet.into.hex,
        "lent": _exact(lent.amount),
        "spent": _exact(lent.spent),
        "limit": _exact(lent.limit),
        "left": _exact(lent.left),
        "others": _exact(lent.others),
        "recalled": lent.recalled,
        "window": lent.window.start.isoformat(),
        "resets_at": None if ends is None else ends.isoformat(),
        "ends_in": None if ends is None else (ends - datetime.now(UTC)).total_seconds(),
    }


def _version(book: BudgetBook, tenants: Tenants) -> str:
    """Of what this sender may see: a key may be bound to others tomorrow."""
    return book.version if tenants is None else f"{book.version}/{_digest(tenants)}"


def _digest(tenants: Iterable[str]) -> str:
    """Tells sets of tenants apart."""
    return sha256(json.dumps(sorted(tenants)).encode()).hexdigest()[:16]


def _is_visible(budget: Budget, tenants: Tenants) -> bool:
    return tenants is None or budget.scope.get(names.TENANT_ID, "") in {EACH, *tenants}


def _has(budget: Budget, counter: str, tenants: Tenants) -> bool:
    """Whether the budget has this counter, and the sender may know of it."""
    values: Mapping[str, str] = {}
    with suppress(ValueError):
        values = values_of(counter)
    if values.keys() != {name for name, value in budget.scope.items() if value == EACH}:
        return False
    if tenants is None:
        return True
    return {**budget.scope, **values}.get(names.TENANT_ID) in tenants


def _is_open(model: Model, tenants: Tenants) -> bool:
    return tenants is None or model.tenant is None or model.tenant in tenants


def _exact(amount: Decimal) -> str:
    return f"{amount:f}"
