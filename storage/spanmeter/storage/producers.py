"""The producers of metering records: which of their numbered records have arrived."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from psycopg.types.multirange import Int8Multirange
from psycopg.types.range import Int8Range

from spanmeter.storage import statements
from spanmeter.storage.connection import Connection

_SQL = statements.load("once")


class Producer(NamedTuple):
    """One process of an application: what a batch holds of it, or says of it."""

    service_name: str | None
    dropped: int
    received: Sequence[int]
    """The sequence numbers of its records."""


def add_producers(connection: Connection, producers: Mapping[str, Producer]) -> None:
    """Note what has arrived of each producer, by its id. Noting it again changes nothing."""
    ids = list(producers)
    connection.execute(
        _SQL["add_producers"],
        (
            ids,
            [producers[name].service_name for name in ids],
            [_ranges(producers[name].received) for name in ids],
            [producers[name].dropped for name in ids],
        ),
    )


def merged(parts: Iterable[Mapping[str, Producer]]) -> dict[str, Producer]:
    """What several batches say, together."""
    whole: dict[str, Producer] = {}
    for part in parts:
        for name, producer in part.items():
            known = whole.get(name)
            whole[name] = producer if known is None else _together(known, producer)
    return whole


def _together(one: Producer, other: Producer) -> Producer:
    return Producer(
        other.service_name or one.service_name,
        max(one.dropped, other.dropped),
        [*one.received, *other.received],
    )


def _ranges(numbers: Sequence[int]) -> Int8Multirange:
    ranges: list[list[int]] = []
    for number in sorted(set(numbers)):
        if ranges and ranges[-1][1] == number:
            ranges[-1][1] += 1
        else:
            ranges.append([number, number + 1])
    return Int8Multirange([Int8Range(first, end) for first, end in ranges])
