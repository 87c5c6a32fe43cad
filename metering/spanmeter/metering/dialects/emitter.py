"""One version of one emitting library: what of its dialect's table applies, made ready for use."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from spanmeter.metering.dialects.cases import can_be, cases_of
from spanmeter.metering.dialects.dialect import Case, Counting, Dialect
from spanmeter.metering.places import Place

TOTAL: Final = "total"
"""Stands for the emitter's total among our attributes."""


class Emitter(NamedTuple):
    """One version of one emitting library: its dialect, and what of it applies to its spans."""

    dialect: Dialect
    places: Mapping[str, tuple[Place, ...]]
    told_by: Mapping[str, tuple[str, ...]]
    """Attribute → those of ours that it may stand for."""
    beside: tuple[tuple[str, tuple[Place, ...]], ...]
    first_token_milliseconds: tuple[Place, ...]
    counting: tuple[tuple[Case, Counting], ...]
    estimates: tuple[Case, ...]
    outside: tuple[Case, ...]
    routes: tuple[Place, ...]


@lru_cache(maxsize=1024)
def emitter(dialect: Dialect, scope: str, version: str) -> Emitter:
    """What of a dialect applies to the spans of a scope."""
    places = {
        name: _places(written) for name, written in {**dialect.places, TOTAL: dialect.total}.items()
    }
    return Emitter(
        dialect,
        places,
        _told_by(places),
        tuple((name, _places(places)) for name, places in dialect.beside.items()),
        _places(dialect.first_token_milliseconds),
        tuple(
            (case, counting) for case, counting in dialect.counting if can_be(case, scope, version)
        ),
        cases_of(dialect.estimates, scope, version),
        cases_of(dialect.outside, scope, version),
        _places(dialect.routes),
    )


def _places(written: tuple[str, ...]) -> tuple[Place, ...]:
    return tuple(Place.named(place) for place in written)


def _told_by(places: Mapping[str, tuple[Place, ...]]) -> dict[str, tuple[str, ...]]:
    """The places by their attributes. An attribute of ours that has other places is none of its own."""
    heard: dict[str, list[str]] = {name: [name] for name in places}
    for name, of_name in places.items():
        for place in of_name:
            heard.setdefault(place.attribute, []).append(name)
    return {attribute: tuple(dict.fromkeys(told)) for attribute, told in heard.items()}
