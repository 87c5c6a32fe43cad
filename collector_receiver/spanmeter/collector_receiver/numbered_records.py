"""What a request says of the processes that made its metering records, which number them without a gap."""

from collections.abc import Iterable, Sequence
from typing import Final

from spanmeter.collector_receiver.received import Received
from spanmeter.metering import attributes as names
from spanmeter.metering.reading import mended
from spanmeter.metering.span import Attributes
from spanmeter.storage.producers import Producer

HIGHEST: Final = 2**53
"""No process makes as many records; a number beyond it would make a gap of its own."""

LONGEST_ID: Final = 128
"""Characters of a producer's id. Ours have 32."""


def producers_of(received: Iterable[Received]) -> dict[str, Producer]:
    """The producers by id, each with the numbers of its records, whether these could be metered or not."""
    numbers: dict[str, list[int]] = {}
    resources: dict[str, Attributes] = {}
    for span, _ in received:
        number = span.attributes.get(names.PRODUCER_SEQUENCE)
        if type(number) is int and 1 <= number <= HIGHEST:
            producer = _id_in(span.resource)
            if producer is not None:
                numbers.setdefault(producer, []).append(number)
                resources[producer] = span.resource
    return {name: _producer(resources[name], numbers[name]) for name in numbers}


def tellers_among(resources: Iterable[Attributes]) -> dict[str, Producer]:
    """The producers by id of a request without spans, which tell how many records they had to give up."""
    told = {_id_in(resource): _producer(resource, []) for resource in resources}
    return {name: each for name, each in told.items() if name is not None and each.dropped}


def _id_in(resource: Attributes) -> str | None:
    """The producer's id; `None` where there is none that can be kept."""
    name = resource.get(names.PRODUCER_ID)
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_ID:
        return None
    return name if name.isascii() and name.isprintable() else None


def _producer(resource: Attributes, numbers: Sequence[int]) -> Producer:
    service = resource.get(names.SERVICE_NAME)
    dropped = resource.get(names.PRODUCER_DROPPED)
    return Producer(
        mended(service) if isinstance(service, str) else None,
        dropped if type(dropped) is int and 0 <= dropped <= HIGHEST else 0,
        numbers,
    )
