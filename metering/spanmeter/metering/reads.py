"""What metering reads of a span: these attributes and, of those that hold JSON, these members. Nothing else of a span
can change its row, and whoever keeps spans to be metered later keeps no more.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Final, NamedTuple

from spanmeter.metering import attributes as names
from spanmeter.metering.attribution import Attribution
from spanmeter.metering.dialects import DIALECTS, Dialect
from spanmeter.metering.places import Place

WHOLE: Final[tuple[str, ...]] = ()
"""The attribute itself, and not a member of its JSON."""

OF_PROCESS: Final = frozenset(
    {names.SERVICE_NAME, names.DEPLOYMENT_ENVIRONMENT_NAME, names.DEPLOYMENT_ENVIRONMENT}
)
"""What is read of a resource, beside its tenant."""

Members = frozenset[tuple[str, ...]]
"""Ways from member to member inside the JSON of an attribute, as in `Place`."""


class Reads(NamedTuple):
    """The attributes of spans with the members that are read of each, and those of their resources."""

    span: Mapping[str, Members]
    resource: Mapping[str, Members]


def reads_of(attribution: Attribution) -> Reads:
    """What is read where tenants are found by this attribution."""
    ours = (Place(name) for name in (*names.READ, names.USAGE_RAW))
    return Reads(
        _by_attribute((*ours, *_of_dialects(), *attribution.places(of_process=False))),
        _by_attribute((*map(Place, OF_PROCESS), *attribution.places(of_process=True))),
    )


def places_of(dialect: Dialect) -> Iterator[str]:
    """Where the spans of a dialect are looked at, as the dialect writes it."""
    yield from dialect.operation + dialect.total
    yield from dialect.first_token_milliseconds + dialect.routes
    for listed in (*dialect.places.values(), *dialect.beside.values()):
        yield from listed
    yield from dialect.places
    for case in (*(case for case, _ in dialect.counting), *dialect.estimates, *dialect.outside):
        yield from filter(None, (case.having, case.lacking, *case.saying))


@cache
def _of_dialects() -> frozenset[Place]:
    return frozenset(Place.named(place) for dialect in DIALECTS for place in places_of(dialect))


def _by_attribute(places: Iterable[Place]) -> dict[str, Members]:
    found: dict[str, set[tuple[str, ...]]] = {}
    for attribute, members in places:
        found.setdefault(attribute, set()).add(members)
    return {attribute: frozenset(members) for attribute, members in found.items()}


READS: Final = reads_of(Attribution())
"""What is read unless an operator says where else tenants are."""
