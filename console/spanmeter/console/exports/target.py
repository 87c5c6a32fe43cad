"""What the frame asks of a target: what it takes, how it is sent, and whether it has got it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from importlib import import_module
from typing import Any, Literal, NamedTuple, Protocol, cast, runtime_checkable

from spanmeter.console.exports.configuration import Configured, Meter
from spanmeter.console.exports.kinds import KINDS
from spanmeter.storage.exports import Intent, Series

Cancels = Literal["never", "any change", "less"]
"""When a window that was sent is cancelled and sent anew, because the ledger now has more or less of it; else the
difference is added, signed."""


class Usage(NamedTuple):
    """Usage of a window that a target is to be told: `value` in its units, for its `customer`."""

    dedupe_id: str
    customer: str
    meter: Meter
    series: Series
    window_start: datetime
    window_end: datetime
    value: Decimal


@dataclass(frozen=True, slots=True)
class Rules:
    """What a target takes. `step` is the least part of a value, None where any decimal will do.

    Sending again within `resend_within` of the first time is known as a duplicate: None is for ever.
    """

    batch: int
    step: Decimal | None
    resend_within: timedelta | None
    cancels: Cancels = "never"


@dataclass(frozen=True, slots=True)
class Delivered:
    """The target has it."""

    remote_ref: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The target will not take it, now or later."""

    reason: str


@dataclass(frozen=True, slots=True)
class NotTaken:
    """The target did not take it this time, for sure: it can be sent again after so many seconds."""

    reason: str
    after: float | None = None


@dataclass(frozen=True, slots=True)
class Unknown:
    """Whether the target has it is not known."""

    reason: str


Outcome = Delivered | Refused | NotTaken | Unknown


class TargetUnusable(Exception):
    """Nothing can be exported to a target as it is configured; the message says why."""


class Target(Protocol):
    """A billing system. Sending raises `TargetUnusable` where nothing can be sent; an `Outcome` says all else."""

    @property
    def rules(self) -> Rules:
        """What it takes."""
        ...

    def payload(self, usage: Usage) -> Mapping[str, Any]:
        """What is sent for usage. Raises ValueError where it cannot be taken: why."""
        ...

    def obstacle(self, usage: Usage, now: datetime) -> str | None:
        """Why the target would not take it; None where it would."""
        ...

    def send(self, intents: Sequence[Intent]) -> Sequence[Outcome]:
        """Send at most as many as the rules say, and return what became of each."""
        ...

    def found(self, intent: Intent, told: Decimal, now: datetime) -> bool | None:
        """Whether the target has it; None: it cannot tell. `told` is what it has confirmed of the same before."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


@runtime_checkable
class Cancelling(Target, Protocol):
    """A target whose rules say when windows are cancelled."""

    def cancellation(self, intent: Intent, dedupe_id: str) -> Mapping[str, Any]:
        """What is sent to cancel an intent."""
        ...

    def cancel_obstacle(self, intent: Intent, now: datetime) -> str | None:
        """Why an intent cannot be cancelled any more; None where it can."""
        ...


def open_target(configured: Configured) -> Target:
    """The target. Raises `TargetUnusable`."""
    module, _, name = KINDS[configured.kind].place.partition(":")
    return cast(Target, getattr(import_module(module), name)(configured))
