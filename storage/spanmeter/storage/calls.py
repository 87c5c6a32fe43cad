"""Each call to a provider counts once, however many spans describe it: what the ledger knows of calls."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from hashlib import blake2b
from typing import Any, Final, NamedTuple
from uuid import UUID

from psycopg import sql

from spanmeter.metering.attributes import SCOPE_PREFIX
from spanmeter.metering.resolution import NOTHING, Booked, Key, Resolution, resolve
from spanmeter.metering.same_call import WRAPPERS, is_ours, shared_key
from spanmeter.metering.usage_event import UsageEvent
from spanmeter.storage import statements
from spanmeter.storage.connection import Connection

Pair = tuple[int, Key]

# "spanonce" as a number: advisory locks of all programs share one namespace per database.
_LOCK: Final = int.from_bytes(b"spanonce")

_DAY: Final = timedelta(days=1)
"""Spans of one call lie within a day of each other; the bound keeps the search to a chunk or two."""

_KINDS: Final = {"ours": SCOPE_PREFIX, "wrappers": list(WRAPPERS)}

_COLUMNS: Final = sql.SQL(", ").join(sql.Identifier("booked", name) for name in UsageEvent._fields)

_SQL = statements.load("once")


class MustGoAlone(Exception):
    """The batch touches what other writers may be deciding on: it is to be written again, alone."""


class Resolved(NamedTuple):
    """Which of a batch count, whether some of its calls were `known` before or come twice, and the places of those
    whose row was dropped: they are staged no more."""

    resolution: Resolution
    known: bool
    dropped: Sequence[int]


def lock_own_calls(connection: Connection) -> Callable[[], bool]:
    """Let no batch of other libraries' spans in until this transaction ends.

    Returns what tells whether there were none before; otherwise any call may be one that they describe. Ask it once the
    pipeline around this, if there is one, has ended.
    """
    connection.execute(_SQL["share_links"], (_LOCK,))
    told = connection.execute(_SQL["no_foreign_calls"])
    return lambda: told.fetchone() == (True,)


def resolve_calls(
    connection: Connection, events: Sequence[UsageEvent], *, foreign: bool, alone: bool
) -> Resolved:
    """Register the calls of the staged `events`, and decide which of them count.

    `foreign`: some are other libraries'. What is to be reversed is reversed; which of the staged ones count nothing is
    for the caller to see to. Raises MustGoAlone unless `alone`.
    """
    connection.execute(_SQL["own_links" if alone else "share_links"], (_LOCK,))
    registered = connection.execute(_SQL["register_calls"]).rowcount
    known = registered < len(events)
    dropped = _unstage_dropped(connection, events) if known else []
    same_id = _pairs(connection, "same_identity") if known else []
    if foreign:
        connection.execute(_SQL["add_foreign_calls"], _KINDS)
    related = _related(connection, events, foreign=foreign)
    if not same_id and not related:
        return Resolved(NOTHING, known, dropped)
    resolution = resolve(
        events,
        same_id,
        related,
        lambda keys: _booked(connection, keys),
        lambda places: _same_shared(connection, events, places),
    )
    if (resolution.reversed or resolution.matched) and not alone:
        raise MustGoAlone
    _record(connection, resolution)
    return Resolved(resolution, known, dropped)


def forget_calls(connection: Connection, before: datetime) -> int:
    """Forget the calls made, and the producers last heard of, `before`; return how many calls."""
    connection.execute(_SQL["forget_foreign_calls"], (before,))
    connection.execute(_SQL["forget_producers"], (before,))
    return connection.execute(_SQL["forget_calls"], (before,)).rowcount


def _unstage_dropped(connection: Connection, events: Sequence[UsageEvent]) -> list[int]:
    """What retention has dropped is not billed again when it is delivered again."""
    dropped = [place for (place,) in connection.execute(_SQL["dropped"], _around(events))]
    if dropped:
        connection.execute(_SQL["unstage"], (dropped,))
    return dropped


def _around(events: Sequence[UsageEvent]) -> dict[str, datetime]:
    times = [event.time for event in events]
    return {"earliest": min(times) - _DAY, "latest": max(times) + _DAY}


def _related(connection: Connection, events: Sequence[UsageEvent], *, foreign: bool) -> list[Pair]:
    related = _pairs(connection, "related_foreign", _KINDS)
    if foreign:
        sought = {**_KINDS, **_around(events)}
        related += _pairs(connection, "related_booked", sought)
        related += _booked_inside(connection, events, sought)
    return related


def _booked_inside(
    connection: Connection, events: Sequence[UsageEvent], sought: Mapping[str, object]
) -> list[Pair]:
    places: defaultdict[tuple[bytes, bytes], list[int]] = defaultdict(list)
    for place, event in enumerate(events):
        if not is_ours(event):
            places[event.trace_id, event.span_id].append(place)
    return [
        (place, (trace_id, span_id, time))
        for trace_id, parent, span_id, time in connection.execute(_SQL["booked_inside"], sought)
        for place in places.get((trace_id, parent), ())
        if span_id != parent
    ]


def _same_shared(
    connection: Connection, events: Sequence[UsageEvent], places: Collection[int]
) -> list[Pair]:
    """Register events by their id and their counts; others that are known by the same."""
    chosen = [(place, events[place]) for place in sorted(places)]
    wanted = {
        "places": [place for place, _ in chosen],
        "calls": [shared_key(event) for _, event in chosen],
        "times": [event.time for _, event in chosen],
        "trace_ids": [event.trace_id for _, event in chosen],
        "span_ids": [event.span_id for _, event in chosen],
    }
    connection.execute(_SQL["register_shared"], wanted)
    return _pairs(connection, "same_shared", wanted)


def _pairs(
    connection: Connection, name: str, parameters: Mapping[str, object] | None = None
) -> list[Pair]:
    return [(row[0], row[1:]) for row in connection.execute(_SQL[name], parameters)]


def _booked(connection: Connection, keys: Iterable[Key]) -> dict[Key, Booked]:
    wanted = list(keys)
    times = [time for _, _, time in wanted]
    rows = connection.execute(
        _SQL["booked"].format(columns=_COLUMNS),
        {
            "trace_ids": [trace_id for trace_id, _, _ in wanted],
            "span_ids": [span_id for _, span_id, _ in wanted],
            "times": times,
            "reversals": [_reversal(key) for key in wanted],
            "earliest": min(times),
            "latest": max(times),
        },
    )
    found = map(_as_booked, rows)
    return {(event.trace_id, event.span_id, event.time): booked for event, booked in found}


def _as_booked(row: tuple[Any, ...]) -> tuple[UsageEvent, Booked]:
    *values, trace_id, span_id, time, reference, matched_child = row
    event = UsageEvent._make(values)
    amounts = {unit: Decimal(amount) for unit, amount in event.quantities.items()}
    event = event._replace(quantities=amounts)
    counted = (trace_id, span_id, time) if trace_id is not None else None
    return event, Booked(event, counted or (reference and _referred(reference)), matched_child)


def _record(connection: Connection, resolution: Resolution) -> None:
    for loser, winner in resolution.reversed.items():
        parameters = {
            **_named(loser),
            "reversal": _reversal(loser),
            "reference": _reference(winner),
        }
        connection.execute(_SQL["reverse"], parameters)
    for parent, child in resolution.matched.items():
        connection.execute(_SQL["match_child"], {**_named(parent), "child": child})


def _named(key: Key) -> dict[str, object]:
    return dict(zip(("trace_id", "span_id", "time"), key, strict=True))


def _reversal(key: Key) -> UUID:
    """The id of the adjustment that reverses an event: it can be reversed once."""
    trace_id, span_id, _ = key
    return UUID(bytes=blake2b(trace_id + span_id, digest_size=16, person=b"superseded").digest())


def _reference(key: Key) -> str:
    trace_id, span_id, time = key
    return f"span {trace_id.hex()} {span_id.hex()} {time.isoformat()}"


def _referred(reference: str) -> Key:
    _, trace_id, span_id, time = reference.split(" ")
    return bytes.fromhex(trace_id), bytes.fromhex(span_id), datetime.fromisoformat(time)
