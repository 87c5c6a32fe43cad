"""Targets and what was sent to them, as listings."""

from collections.abc import Sequence
from typing import cast

from spanmeter.console.exports.configuration import Configured
from spanmeter.console.failures import UnusableSetting
from spanmeter.console.listing import Column, Listing, Value
from spanmeter.storage import exports
from spanmeter.storage.connection import Connection
from spanmeter.storage.exports import STATES, Intent, State

_TARGETS = ("target", "kind", "since", "period", "every", "exported_until", "looked_at")

_INTENTS = (
    *("id", "state", "kind", "tenant_id", "meter", "dimensions", "window_start", "generation"),
    *("quantity", "value", "attempts", "reason"),
)


def targets_listing(connection: Connection, targets: Sequence[Configured]) -> Listing:
    """The targets of a file, and up to when they are planned."""
    return Listing(
        columns=[Column(name, name.replace("_", " ")) for name in _TARGETS],
        rows=[_target(connection, each) for each in targets],
    )


def intents_listing(connection: Connection, target: str, states: Sequence[str]) -> Listing:
    """What was sent to a target, or is to be, oldest first."""
    if unknown := sorted(set(states) - set(STATES)):
        raise UnusableSetting(f"there is no state {unknown[0]!r}; there are {', '.join(STATES)}")
    wanted = cast("Sequence[State]", states) or STATES
    found = exports.in_states(connection, target, wanted)
    return Listing(
        columns=[Column(name, name.replace("_", " ")) for name in _INTENTS],
        rows=[_intent(each) for each in found],
        notes=[] if found else [f"Nothing such was exported to {target}."],
    )


def _target(connection: Connection, each: Configured) -> Sequence[Value]:
    kept = exports.planned(connection, each.name)
    every = None if each.every is None else str(each.every)
    until, looked = (None, None) if kept is None else (kept.planned_until, kept.planned_at)
    return [each.name, each.kind, each.since, each.period, every, until, looked]


def _intent(each: Intent) -> Sequence[Value]:
    dimensions = ", ".join(f"{name}={value}" for name, value in sorted(each.dimensions.items()))
    return [
        *(each.dedupe_id, each.state, each.kind, each.tenant_id, each.meter, dimensions),
        *(each.window_start, each.generation, each.quantity, each.value, each.attempts),
        each.reason,
    ]
