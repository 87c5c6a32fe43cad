"""Keeps the budgets of this process: knows what is laid down, holds what is lent, and tells the collector about it.

One thread talks to the collector, every second while anything is held, and at once where a call waits.
"""

import logging
import threading
import time
import uuid
from collections.abc import Mapping
from contextvars import Context
from typing import Any, Final

from opentelemetry.instrumentation.utils import suppress_instrumentation

from spanmeter.instrumentation.budgets.amounts import written
from spanmeter.instrumentation.budgets.link import Link, NoAnswer
from spanmeter.instrumentation.budgets.policy import Matched, Policy, Rule
from spanmeter.instrumentation.budgets.rates import KnownRates
from spanmeter.instrumentation.budgets.settings import BudgetSettings
from spanmeter.instrumentation.budgets.wallets import SAFETY, Wallet
from spanmeter.instrumentation.pipeline.rarely import Rarely

HEARTBEAT: Final = 1.0
"""Seconds between two exchanges while anything is held."""

REFRESH: Final = 3.0
"""Seconds between two looks at what is laid down."""

RETRY: Final = 2.0
"""Seconds after an exchange that failed, unless a call waits."""

SOONEST: Final = 0.1
"""Seconds between two exchanges for calls that wait."""

MAX_WALLETS: Final = 1000
"""Told of in one exchange."""

MAX_APPROVALS: Final = 1000

_logger: Final = logging.getLogger(__name__)


class Guard:
    """The budgets of a process. Its thread starts with the first call; a forked child begins anew."""

    def __init__(self, settings: BudgetSettings) -> None:
        self.settings: Final = settings
        self.policy: Policy | None = None
        self.rates = KnownRates()
        self._complaints = Rarely()
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._holder = uuid.uuid4().hex
        self._wallets: dict[tuple[str, str], Wallet] = {}
        self._approvals: dict[tuple[str, str], int] = {}
        self._link = Link(self.settings.destination)
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._called = threading.Event()
        self.answered = threading.Condition()
        """Told whenever an exchange has ended, well or not."""
        self._stopping = False
        self.begun = 0
        """Exchanges so far."""
        self.failed_at: float | None = None
        """When the last exchange failed; None: it did not."""

    def wallet(self, matched: Matched) -> Wallet:
        """The wallet of a counter."""
        key = (matched.rule.name, matched.counter)
        found = self._wallets.get(key)
        if found is None or found.matched.rule is not matched.rule:
            found = self._made(key, matched, found)
        return found

    def _made(self, key: tuple[str, str], matched: Matched, found: Wallet | None) -> Wallet:
        with self._starting:
            known = self._wallets.get(key)
            if known is None:
                known = self._wallets[key] = Wallet(matched)
            elif known is found:
                # The budget has another version; what is held of it is held.
                known.matched = matched
            return known

    def hurry(self) -> None:
        """A call waits for an answer."""
        if self._thread is None:
            self._start()
        self._called.set()

    def ask_for_approval(self, matched: Matched, amount: int) -> None:
        """Somebody shall be asked to let calls of such an amount."""
        key = (matched.rule.name, matched.counter)
        if key in self._approvals or len(self._approvals) < MAX_APPROVALS:
            self._approvals[key] = max(amount, self._approvals.get(key, 0))
        self._called.set()

    def shutdown(self, timeout: float | None = None) -> None:
        """Gives back what is held."""
        self._stopping = True
        self._called.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(self.settings.timeout if timeout is None else min(timeout, 1.0))

    def after_fork(self) -> None:
        """In the child: what the parent holds is the parent's."""
        self._link.close()
        self._begin_anew()

    def _start(self) -> None:
        with self._starting:
            if self._thread is None and not self._stopping:
                thread = threading.Thread(
                    # In a context of its own: it must not keep the identity of the first caller.
                    target=Context().run,
                    args=(self._run,),
                    name="spanmeter-budgets",
                    daemon=True,
                )
                thread.start()
                self._thread = thread

    def _run(self) -> None:
        with suppress_instrumentation():
            while not self._stopping:
                self._called.clear()
                started = time.monotonic()
                again = self._exchange()
                self._called.wait(0.0 if again else self._rest())
                if self._called.is_set():
                    # Several calls that come to wait at once are one question.
                    time.sleep(max(0.0, min(SOONEST, started + SOONEST - time.monotonic())))
            self._exchange()
            self._link.close()

    def _rest(self) -> float:
        wallets = self._some()
        if any(wallet.wanted for wallet in wallets):
            return SOONEST if self.failed_at is None else RETRY / 4
        if self.failed_at is not None:
            return RETRY
        return HEARTBEAT if wallets else REFRESH

    def _exchange(self) -> bool:
        """Asks and tells once; whether to do so again at once."""
        self.begun += 1
        number, asked_at = self.begun, time.monotonic()
        try:
            again = self._took(self._link.ask(self._question()), number, asked_at)
            self.failed_at = None
        except NoAnswer as error:
            self.failed_at = time.monotonic()
            self._complaints.log(_logger, "budgets cannot be looked up: %s", error)
            again = False
        except Exception as error:  # noqa: BLE001 - the thread must not die of it
            self.failed_at = time.monotonic()
            self._link.close()
            self._complaints.log(_logger, "looking up budgets failed: %r", error)
            again = False
        with self.answered:
            self.answered.notify_all()
        return again

    def _question(self) -> Mapping[str, Any]:
        approvals, self._approvals = self._approvals, {}
        closing = self._stopping
        return {
            "holder": self._holder,
            "service": self.settings.service,
            "known": "" if self.policy is None else self.policy.version,
            "wallets": [wallet.report(closing=closing) for wallet in self._some()],
            "models": [list(model) for model in self.rates.wanted()],
            "approvals": [
                {"budget": budget, "counter": counter, "amount": written(amount)}
                for (budget, counter), amount in approvals.items()
            ],
        }

    def _took(self, answer: Mapping[str, Any], number: int, asked_at: float) -> bool:
        if "budgets" in answer:
            rules = [Rule.of(each) for each in answer["budgets"]]
            self.policy = Policy(answer["version"], rules)
        elif self.policy is None:
            raise NoAnswer("the collector has told no budgets")
        self.rates.told(answer["rates"])
        lives_until = asked_at + SAFETY * float(answer["lives"])
        again = False
        for each in answer["wallets"]:
            wallet = self._wallets.get((each["budget"], each["counter"]))
            if wallet is not None:
                again = wallet.told(each, lives_until, number) or wallet.must_return or again
        return again

    def _some(self) -> list[Wallet]:
        """The wallets to tell of: those that wait first."""
        with self._starting:
            for key in [key for key, wallet in self._wallets.items() if wallet.is_forgotten]:
                del self._wallets[key]
            wallets = list(self._wallets.values())
        return sorted(wallets, key=lambda each: not each.wanted)[:MAX_WALLETS]
