"""Whether a call fits into all its budgets: decided at once where this process holds enough, else when it is lent more.

A call that has to wait waits in its own way: a thread sleeps, a task lets others run.
"""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from spanmeter.instrumentation.budgets.amounts import LEAST
from spanmeter.instrumentation.budgets.estimating import Expected, expected
from spanmeter.instrumentation.budgets.gentler import Gentler
from spanmeter.instrumentation.budgets.guard import Guard
from spanmeter.instrumentation.budgets.pausing import pause
from spanmeter.instrumentation.budgets.policy import Matched
from spanmeter.instrumentation.budgets.rates import Rates
from spanmeter.instrumentation.budgets.refusing import refusal
from spanmeter.instrumentation.budgets.reservation import Reservation, Taken
from spanmeter.instrumentation.budgets.wallets import Wallet
from spanmeter.instrumentation.errors import BudgetExceeded, BudgetUnavailable
from spanmeter.instrumentation.guard import guarded
from spanmeter.metering import attributes as names

if TYPE_CHECKING:
    from spanmeter.instrumentation.instrumentor import Request

PATIENCE: Final = 2.5
"""Seconds that a call waits for what others may give back, before it is refused."""

OUTAGE: Final = 5.0
"""Seconds for which an exchange that failed tells that there is nobody to be asked."""

FIRST_PAUSE: Final = 0.002
LONGEST_PAUSE: Final = 0.05


class Waits(Exception):
    """Not decided yet."""


class Admission:
    """One call's way through its budgets; each further attempt of it goes through them again."""

    __slots__ = (
        "__weakref__",
        "_asked_in",
        "_began",
        "_expected",
        "_guard",
        "_identity",
        "_is_over",
        "_let_go",
        "_matched",
        "_reservation",
        "_waiting_at",
        "request",
    )

    def __init__(
        self,
        guard: Guard,
        identity: Mapping[str, str],
        request: "Request",
        matched: tuple[Matched, ...] | None,
    ) -> None:
        self._guard = guard
        self._identity = identity
        self.request = request
        self._matched = matched
        self._expected: Expected | None = None
        self._renew()

    def _renew(self) -> None:
        self._began = time.monotonic()
        self._reservation: Reservation | None = None
        self._let_go = False
        self._is_over = False
        self._asked_in: dict[int, int] | None = None
        self._waiting_at: dict[int, Wallet] | None = None

    @property
    def is_decided(self) -> bool:
        """Whether the call may be made."""
        return self._let_go or self._reservation is not None

    def decide(self) -> bool:
        """Decides, if that can be; False: it has to wait. Raises `BudgetExceeded`, and then waits no more."""
        if self._let_go or self._reservation is not None:
            return True
        try:
            decided = self._decided()
        except BudgetExceeded:
            self.give_up()
            raise
        if decided is False:
            return False
        # A fault of ours keeps no call from being made.
        self._let_go = self._reservation is None
        if self._waiting_at is not None:
            self.give_up()
        return True

    @guarded
    def give_up(self) -> None:
        """Waits for nothing any more."""
        waiting, self._waiting_at = self._waiting_at, None
        for wallet in (waiting or {}).values():
            wallet.wait_no_more(id(self))

    def wait(self) -> None:
        """Decides, however long that takes. Raises the same."""
        try:
            while not self.decide():
                answered = self._guard.answered
                with answered:
                    answered.wait(LONGEST_PAUSE)
        finally:
            self.give_up()

    async def wait_async(self) -> None:
        """The same, while others run."""
        seconds = FIRST_PAUSE
        try:
            while not self.decide():
                await pause(seconds)
                seconds = min(2 * seconds, LONGEST_PAUSE)
        finally:
            self.give_up()

    def is_next(self) -> bool:
        """Whether another attempt begins that has to be decided about before it is made. What it asks for is written by
        now, and stays."""
        if self._reservation is not None:
            return False
        if self._is_over:
            self._renew()
        elif self._let_go:
            return False
        self.request = self.request._replace(rewrite=None, rename=None)
        return True

    def take(self) -> Reservation | None:
        """What an attempt that begins now has taken. Raises where it does not fit."""
        if self.is_next() and not self.decide():
            # Nobody could wait: the library sends by a way that is not known.
            self.give_up()
            self._undecided()
        taken, self._reservation = self._reservation, None
        self._let_go = self._is_over = True
        return taken

    def _undecided(self) -> None:
        policy = self._guard.policy
        matched = () if policy is None else self._falls_under()
        if any(each.rule.fails_closed for each in matched) or (
            policy is None and self._guard.settings.fails_closed
        ):
            raise BudgetUnavailable(matched[0].rule.name if matched else "unknown")

    def _falls_under(self) -> tuple[Matched, ...]:
        policy, request = self._guard.policy, self.request
        if policy is None:
            return ()
        return policy.of(
            self._identity, request.provider or None, request.model, request.endpoint.operation
        )

    @guarded
    def _decided(self) -> bool:
        guard = self._guard
        if guard.policy is None:
            return self._without_policy()
        # Looked up already, unless it has to be decided anew.
        matched, self._matched = self._matched, None
        try:
            while True:
                taken: list[Taken] = []
                over: list[str] = []
                try:
                    for each in self._falls_under() if matched is None else matched:
                        self._take_from(each, taken, over)
                    break
                except Gentler as gentler:
                    _undo(taken)
                    self.request, self._expected = gentler.request, None
                    matched = self._asked_in = None
                except (Waits, BudgetExceeded):
                    _undo(taken)
                    raise
        except Waits:
            guard.hurry()
            return False
        if taken or over:
            self._reservation = Reservation(taken, over)
        return True

    def _without_policy(self) -> bool:
        guard = self._guard
        if guard.failed_at is None and self._waited < guard.settings.timeout:
            guard.hurry()
            return False
        guard.hurry()
        if guard.settings.fails_closed:
            raise BudgetUnavailable("unknown")
        return True

    @property
    def _is_session(self) -> bool:
        """Whether it is of no call yet: then there has to be anything left at all."""
        return not self.request.provider

    @property
    def _use(self) -> Expected:
        if self._expected is None:
            self._expected = expected(self.request.endpoint, self.request.body)
        return self._expected

    @property
    def _waited(self) -> float:
        return time.monotonic() - self._began

    def _take_from(self, matched: Matched, taken: list[Taken], over: list[str]) -> None:
        """Takes from one budget. Raises `Waits`, `Gentler`, `BudgetExceeded`."""
        rule = matched.rule
        wallet = self._guard.wallet(matched)
        rates = None
        if rule.costs and not self._is_session:
            found = self._rates(matched, wallet)
            if found is None:
                return
            rates = found
            if rates.currency is None:
                rates = self._stand_in(matched)
            elif rates.currency != rule.currency:
                # Money of other currencies is none of this budget.
                return
        amount = LEAST if self._is_session else max(LEAST, self._use.amount(rule, rates))
        if rule.per_request is not None and amount > rule.per_request:
            self._refuse(matched, wallet, amount, rates, most=rule.per_request)
        lease = wallet.take(amount)
        if lease is not None:
            taken.append(Taken(wallet, lease, amount, rule, rates))
        elif rule.action == "notify":
            self._told_of(wallet, amount, over)
        else:
            self._come_short(matched, wallet, amount, rates)

    def _rates(self, matched: Matched, wallet: Wallet) -> Rates | None:
        """Those of the model; None: they cannot be known, and the call goes on."""
        request = self.request
        tenant = self._identity.get(names.TENANT_ID)
        model = (request.provider, request.endpoint.operation, request.model or "", tenant)
        found = self._guard.rates.of(model, matched.rule.metric)
        if found is not None:
            return found
        if matched.rule.action == "notify":
            self._guard.hurry()
            return None
        if self._may_be_answered(wallet):
            raise Waits
        self._fail(matched)
        return None

    def _stand_in(self, matched: Matched) -> Rates:
        rule = matched.rule
        if rule.unpriced is None:
            model = self.request.model or "the model"
            raise BudgetExceeded(
                rule.name, matched.whose, reason=f"refuses {model}, which has no rate"
            )
        return rule.unpriced

    def _told_of(self, wallet: Wallet, amount: int, over: list[str]) -> None:
        """Of a budget that lets all calls go: it is asked for more in the background."""
        if wallet.answered and wallet.left < amount:
            over.append(wallet.matched.rule.name)
        wallet.want_once(amount)
        self._guard.hurry()

    def _come_short(
        self, matched: Matched, wallet: Wallet, amount: int, rates: Rates | None
    ) -> None:
        """There is not enough here. Raises; or returns, where the call may go on all the same."""
        if not self._is_answered(wallet, amount):
            if self._may_be_answered(wallet):
                raise Waits
            self._fail(matched)
            return
        if wallet.may_return(amount) and self._waited < PATIENCE:
            raise Waits
        if matched.rule.action == "throttle" and self._waited < matched.rule.max_wait:
            if self._is_out and self._waited > self._guard.settings.timeout:
                self._fail(matched)
                return
            raise Waits
        self._refuse(matched, wallet, amount, rates)

    def _is_answered(self, wallet: Wallet, amount: int) -> bool:
        """Whether the collector has said how much is left since this call waits for it."""
        asked = self._asked_in = self._asked_in or {}
        asked_in = asked.get(id(wallet))
        wallet.wait(id(self), amount)
        waiting = self._waiting_at = self._waiting_at or {}
        waiting[id(wallet)] = wallet
        if asked_in is None and wallet.is_known_short_of(amount):
            return True
        if asked_in is None:
            # The exchange that is under way may not have asked for this one.
            asked[id(wallet)] = self._guard.begun + 1
            return False
        return wallet.answered >= asked_in

    def _may_be_answered(self, wallet: Wallet) -> bool:
        return self._waited < self._guard.settings.timeout and not self._is_out

    @property
    def _is_out(self) -> bool:
        """Whether an exchange that failed is recent enough to tell that there is nobody."""
        failed_at = self._guard.failed_at
        return failed_at is not None and failed_at > self._began - OUTAGE

    def _fail(self, matched: Matched) -> None:
        """Nobody could be asked."""
        self._guard.hurry()
        if matched.rule.fails_closed:
            raise BudgetUnavailable(matched.rule.name, matched.whose)

    def _refuse(
        self,
        matched: Matched,
        wallet: Wallet,
        amount: int,
        rates: Rates | None,
        most: int | None = None,
    ) -> None:
        """Raises `BudgetExceeded`, or `Gentler` with what can be made instead. `most` is what one request may use."""
        rule = matched.rule
        there = wallet.available if most is None else most
        Gentler.instead(self.request, rule, self._use, rates, there)
        if rule.action == "approve" and most is None:
            self._guard.ask_for_approval(matched, amount)
        if rule.action != "notify":
            raise refusal(wallet, matched, amount, most)


def _undo(taken: list[Taken]) -> None:
    for each in taken:
        each.wallet.settle(each.lease, each.amount, 0)
