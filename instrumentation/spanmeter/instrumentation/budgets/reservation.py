"""What a call has taken from budgets before it was made, and settles when its usage is known."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from spanmeter.instrumentation.budgets.amounts import SCALE
from spanmeter.instrumentation.budgets.policy import UNIT, Rule
from spanmeter.instrumentation.budgets.rates import Rates
from spanmeter.instrumentation.budgets.wallets import Lease, Wallet
from spanmeter.instrumentation.guard import guarded
from spanmeter.instrumentation.recorder import Recording
from spanmeter.metering import attributes as names


class Taken(NamedTuple):
    """From one budget. `rates` are those that the estimate was made at, for budgets of money."""

    wallet: Wallet
    lease: Lease
    amount: int
    rule: Rule
    rates: Rates | None


class Reservation:
    """What one attempt has taken from all its budgets. It is settled once, at the latest when nobody has it."""

    __slots__ = ("_taken", "over")

    def __init__(self, taken: list[Taken], over: list[str]) -> None:
        self._taken = taken
        self.over = over
        """Budgets that it does not fit into, and that let it go."""

    @property
    def attributes(self) -> dict[str, str]:
        """What its record says of it."""
        said: dict[str, str] = {}
        if self._taken:
            said[names.USAGE_BUDGET_LEASES] = " ".join(
                [each.lease.lease_id for each in self._taken]
            )
        if self.over:
            said[names.USAGE_BUDGETS_OVER] = " ".join(self.over)
        return said

    def settle(self, attributes: Mapping[str, Any]) -> None:
        """The attempt has ended, and used what its record says: the rest is free again."""
        taken, self._taken = self._taken, []
        for wallet, lease, amount, rule, rates in taken:
            wallet.settle(lease, amount, used(rule, rates, attributes))

    @guarded
    def release(self) -> None:
        """There was no attempt."""
        taken, self._taken = self._taken, []
        for each in taken:
            each.wallet.settle(each.lease, each.amount, 0)

    def __del__(self) -> None:
        if self._taken:
            self.release()


def used(rule: Rule, rates: Rates | None, attributes: Mapping[str, Any]) -> int:
    """What a record comes to in the metric of a budget, as far as this process can tell. The ledger knows exactly.

    Cached input is taken at the full rate, so that it errs on the side of too much.
    """
    taken_in: int = attributes.get(names.INPUT_TOKENS, 0)
    made: int = attributes.get(names.OUTPUT_TOKENS, 0)
    if rates is not None:
        return rates.cost(taken_in, made, _units(rates, attributes))
    counts: dict[str, int] = {
        # Failed ones too: the ledger counts them.
        "requests": 1,
        "tokens": taken_in + made,
        "input_tokens": taken_in,
        "output_tokens": made,
    }
    unit = names.quantity(rule.metric.removeprefix(UNIT))
    other: float = attributes.get(unit, 0)
    return int(counts.get(rule.metric, other) * SCALE)


def _units(rates: Rates, attributes: Mapping[str, Any]) -> Mapping[str, float]:
    """What else a record says was used, of what has a price."""
    found = ((unit, attributes.get(names.quantity(unit))) for unit in rates.units)
    return {unit: amount for unit, amount in found if amount is not None}


class ReservedRecording:
    """A recording whose end settles a reservation. Otherwise it is the recording."""

    __slots__ = ("_recording", "_reservation", "span")

    def __init__(self, recording: Recording, reservation: Reservation) -> None:
        self._recording = recording
        self._reservation = reservation
        self.span = recording.span

    def end(
        self, attributes: Mapping[str, Any], *, failed: bool = False, end_ns: int | None = None
    ) -> None:
        """As of the recording."""
        try:
            self._settle(attributes)
        finally:
            self._recording.end(attributes, failed=failed, end_ns=end_ns)

    @guarded
    def _settle(self, attributes: Mapping[str, Any]) -> None:
        self._reservation.settle(attributes)
