"""What a client library's file says of each endpoint: what it is, and how to read usage from what
comes back."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast

Json = Mapping[str, Any]
Attributes = dict[str, str | int]


class Reading(NamedTuple):
    """What a response body, or one event of a stream, says of the call. `None` where it says
    nothing.

    `usage` is the provider's own usage block. `error` is the provider's name of what went wrong.
    `last` is whether nothing that concerns metering can follow.
    """

    response_id: str | None = None
    model: str | None = None
    service_tier: str | None = None
    usage: Json | None = None
    error: str | None = None
    last: bool = False


class Endpoint(NamedTuple):
    """One endpoint of a provider's API.

    `read` takes a whole response body, `read_event` one event of a stream, both as parsed JSON.
    `attributes` turns the usage block, merged over the events of a stream, into span attributes.
    `telling` are byte strings of which every stream event worth reading, after the first, holds at
    least one: the others are not parsed.
    """

    operation: str
    read: Callable[[Json], Reading]
    read_event: Callable[[Json], Reading]
    attributes: Callable[[Json], Attributes]
    telling: tuple[bytes, ...]


def mapping(value: object) -> Json:
    """The value if it is a JSON object, else an empty one: what a provider leaves out is often
    `null`."""
    return cast("Json", value) if isinstance(value, Mapping) else {}


def counts(values: Json) -> Attributes:
    """The values that are whole numbers; what the provider left out is left out. 0 is kept: it was
    said."""
    return {name: value for name, value in values.items() if type(value) is int}
