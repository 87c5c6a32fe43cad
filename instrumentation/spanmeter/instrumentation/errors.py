"""The errors that spanmeter raises into an application's calls: only those that were switched on.

SpanmeterError
  MissingTenant         SPANMETER_MISSING_TENANT=raise
  BudgetExceeded        the call does not fit into a budget that was laid down
    ApprovalRequired    it is waiting for somebody to let it
    BudgetUnavailable   nobody could be asked, and then calls are refused
"""

from datetime import datetime
from decimal import Decimal


class SpanmeterError(Exception):
    """The base of them all. Nothing else of spanmeter's ever reaches a caller."""


class MissingTenant(SpanmeterError):
    """A call was about to be made of which nobody knows whose it is. It was not made.

    `callsite` is the `file:line` that would have made it, `package` the client library.
    """

    def __init__(self, callsite: str, package: str) -> None:
        super().__init__(callsite, package)
        self.callsite = callsite
        self.package = package

    def __str__(self) -> str:
        return (
            f"the call of {self.package} at {self.callsite} has no tenant and was not made: put "
            "`with usage(tenant_id=...)` around it, or UsageMiddleware around the application"
        )


class BudgetExceeded(SpanmeterError):
    """A call does not fit into a budget. It was not made.

    `scope` is whose budget it is, `limit` and `spent` are amounts in `unit`, `needed` what the call was estimated at.
    `resets_at` is when the window ends, None where it has no end or moves on. What is not known is None.
    """

    def __init__(
        self,
        budget: str,
        scope: str = "",
        *,
        unit: str = "",
        limit: Decimal | None = None,
        spent: Decimal | None = None,
        needed: Decimal | None = None,
        resets_at: datetime | None = None,
        reason: str = "",
    ) -> None:
        super().__init__(budget, scope)
        self.budget = budget
        self.scope = scope
        self.unit = unit
        self.limit = limit
        self.spent = spent
        self.needed = needed
        self.resets_at = resets_at
        self.reason = reason

    def __reduce__(self) -> tuple[object, ...]:
        # To other processes with all that it says: a worker's task queue, for one.
        return _unpickled, (type(self), dict(self.__dict__))

    def __str__(self) -> str:
        whose = f" of {self.scope}" if self.scope else ""
        until = f"; it resets at {self.resets_at.isoformat()}" if self.resets_at else ""
        return f"the budget {self.budget!r}{whose} {self._what()}; the call was not made{until}{self._cure()}"

    def _what(self) -> str:
        if self.reason:
            return self.reason
        said = (("limit", self.limit), ("spent", self.spent), ("the call needs about", self.needed))
        figures = [f"{what} {_short(value)}" for what, value in said if value is not None]
        return f"has no room for it ({', '.join(figures)} {self.unit})".replace(" )", ")")

    def _cure(self) -> str:
        return f"; `spanmeter budget increase {self.budget} AMOUNT` raises it for a time"


class ApprovalRequired(BudgetExceeded):
    """A call does not fit into a budget, and waits for somebody to approve it: try again later."""

    def _cure(self) -> str:
        return "; it waits in `spanmeter budget approvals`"


class BudgetUnavailable(BudgetExceeded):
    """Nobody could be asked whether a call fits into its budget, and calls are refused then. It was not made."""

    def _what(self) -> str:
        return self.reason or "cannot be looked up, no collector answers"

    def _cure(self) -> str:
        return ""


def _unpickled(kind: type[BudgetExceeded], members: dict[str, object]) -> BudgetExceeded:
    error = kind.__new__(kind, members["budget"], members["scope"])
    error.__dict__.update(members)
    return error


def _short(amount: Decimal) -> str:
    return f"{round(amount, 6).normalize():f}"
